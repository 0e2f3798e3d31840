//! The harness of the whole-program tests: starts callmeter and other programs as child processes,
//! configures callmeter for a simulator, and reads what it shows.
//!
//! Failures panic with the output of the program.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail like tests"
)]

mod csv_files;
mod exporter;
mod midday;
mod process;
mod programs;
mod samples;
mod usage;
mod world;

pub use csv_files::{CsvRow, csv_rows_so_far};
pub use exporter::{Answer, Exporter, Web};
pub use midday::{Midday, office_noon_before, wednesday_noon_before};
pub use process::Process;
pub use programs::{callmeter, plugin, system};
pub use samples::{Samples, differences, published};
pub use usage::Usage;
pub use world::{PbxAccount, SuiteAccount, World, output, quoted};

use std::time::{Duration, Instant};

/// The longest wait, enough for a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(100);

/// Waits until `condition` returns something; panics with `otherwise` after [`PATIENCE`].
pub async fn until<T>(
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
    otherwise: impl AsyncFnOnce() -> String,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        let out_of_patience = begun.elapsed() > PATIENCE;
        assert!(!out_of_patience, "not {what}:\n{}", otherwise().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
