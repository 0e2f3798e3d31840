//! `cargo xtask dist`: packages for installation, and their checks.

mod archive;
mod check;
mod chroot;
mod command;
mod deb;
mod files;
mod image;
mod release;
mod rpm;
mod sbom;
mod stage;

pub(crate) use command::{Arguments, run};
