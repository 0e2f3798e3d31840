//! From an OpenAPI description to a client that survives the servers it describes.
//!
//! A spec is read with the line of every value ([`source`]); keys that progenitor would skip ([`dropped`]) and shapes that it gets wrong
//! ([`rules`]) are refused; what the code needs is read off the spec ([`plan`]); the model is widened ([`widen`]), turned into code and
//! changed ([`passes`]); the text is written ([`emit`]), with the
//! tables of the members of listed records ([`members`]).

pub mod dropped;
pub mod emit;
pub mod generate;
pub mod members;
pub mod passes;
pub mod plan;
pub mod rules;
pub mod schemas;
pub mod source;
pub mod widen;
