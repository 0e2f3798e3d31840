//! The bytes of a batch.
//!
//! They are packed columns ([`columns`]), compressed with LZ4. Formats before 5 stored an Arrow IPC
//! message instead ([`ipc`]), whose length always begins with a zero bit; so the mark tells them
//! apart.

mod columns;
mod integers;
mod ipc;
mod pack;
mod read_columns;
mod texts;

pub(crate) use self::ipc::{pack_schema, unpack_schema};
pub(crate) use self::pack::{Packer, unpack};
