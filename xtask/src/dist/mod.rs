//! `cargo xtask dist`: packages for installation, and their checks.

mod archive;
mod check;
mod chroot;
mod command;
mod deb;
mod docker;
mod files;
mod image;
mod installed;
mod page;
mod release;
mod rpm;
mod rpm_root;
mod sbom;
mod stage;

pub(crate) use command::{Arguments, run};
