//! Makes, from an OpenAPI description, a client that copes with the servers it describes.
//!
//! [`source`] reads a spec with the line of every value. [`dropped`] finds keys that progenitor
//! would skip, and [`rules`] shapes that it gets wrong; both are refused. [`plan`] reads from the
//! spec what the code needs, [`widen`] changes the model, progenitor turns it into code, and
//! [`passes`] and [`client`] change that code. [`members`] makes the tables of the members of
//! listed records. [`emit`] writes the text.

pub mod client;
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
