//! `callmeter metrics`: prints the table of all metrics.

use std::io::Write as _;

use callmeter_meter::reference;

use crate::cli::{MetricsArgs, MetricsFormat};
use crate::exit::Failure;

/// Prints the table.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(args: &MetricsArgs) -> Result<(), Failure> {
    let page = match args.format {
        MetricsFormat::Text => reference::text(),
        MetricsFormat::Markdown => reference::markdown(),
    };
    std::io::stdout()
        .write_all(page.as_bytes())
        .map_err(Failure::stdout)
}
