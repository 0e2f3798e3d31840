//! The journal from outside: pages in, batches out, and what must hold through everything in between.

mod faults;
mod files;
mod format;
mod intake;
mod kill;
mod latest;
mod model;
mod outputs;
mod retention;
mod support;
