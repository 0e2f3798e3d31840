//! Where outputs read their batches and keep their cursors.

#[cfg(feature = "journal")]
mod journal;
mod memory;
mod traits;

pub use memory::MemoryLog;
pub use traits::{BatchLog, BatchLogError};
