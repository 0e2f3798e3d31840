//! The C ABI between callmeter and its output plugins.
//!
//! A plugin is a shared library that exposes exactly two things: an ELF note ([`note`]) that the
//! host reads from the file before any of its code runs, and one function named [`INIT_SYMBOL`],
//! which fills a table of functions ([`OutputPlugin`]). Records cross as Arrow C Data ([`arrow`]);
//! everything else is fixed-width integers and length-counted UTF-8.
//!
//! This crate is the Rust twin of `include/callmeter_plugin.h`; a test compiles the header as C and
//! as C++ and compares every offset. Authors who write Rust want the SDK, `callmeter-plugin-sdk`,
//! and never see this crate.
//!
//! # Rules
//!
//! * **Versions.** The major is part of the symbol's name: a missing symbol is another major.
//!   Inside a major, structs only grow at their end; each side writes its own `struct_size`, and
//!   the reader uses the smaller of the two. A function or member that the other side does not know
//!   is therefore zero, which means "default". A slot is never reused for something else.
//! * **Schemas** change independently of the ABI: columns are looked up by name and only ever
//!   added. The schema's metadata says which one it is (`callmeter.schema` = `calls/1`).
//! * **Ownership.** The side that allocates memory frees it. The only exception is Arrow's
//!   `release`. The schema is borrowed. A plugin may take the array (copy the struct, then set
//!   `release` to null) and release it later from any of its threads; the host releases what the
//!   plugin did not take.
//! * **Threads.** Calls on one instance never overlap, except `cancel`. They may come from
//!   different threads over time. Different instances run at the same time.
//! * **Unloading.** A plugin is never unloaded.
#![no_std]
// The whole purpose of the crate is to describe raw memory to another language.
#![allow(unsafe_code)]

pub mod arrow;
pub mod note;
pub mod output;

pub use output::{
    Batch, ErrorBox, Host, InitFn, OutputPlugin, Status, Str, StreamKind, level, size_u32,
};

/// The major of the ABI. Another major has another [`INIT_SYMBOL`].
pub const ABI_MAJOR: u16 = 1;

/// The minor of the ABI: for messages, and for a plugin that needs at least this much of the host.
pub const ABI_MINOR: u16 = 1;

/// The one function that a plugin exports.
pub const INIT_SYMBOL: &core::ffi::CStr = c"callmeter_output_plugin_init_v1";

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
