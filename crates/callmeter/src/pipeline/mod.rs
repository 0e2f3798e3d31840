//! What happens to journaled records: the journal itself, the meter that counts them, the outputs
//! that read them from the journal.

mod follower;
mod journal;
mod keeper;
mod lifecycle;
mod lost_server;
mod output_metrics;
mod outputs;
mod restore;
mod shares;
mod sharing;
mod sharing_metrics;
#[cfg(test)]
mod test_server;

pub use journal::{connection, journal_failure, meter_limits, open_journal, read_journal};
pub use lifecycle::Pipeline;
pub(crate) use lost_server::finish;
pub use outputs::OutputsError;
pub(crate) use outputs::{dead_letters, plugin_settings};
