//! Why an export failed.

use std::io;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
    #[error(transparent)]
    Journal(#[from] callmeter_journal::JournalError),
    #[error("cannot read a batch: {0}")]
    View(#[from] callmeter_records::ViewError),
    #[error("cannot count a batch: {0}")]
    Count(#[from] callmeter_meter::ApplyError),
    #[error("cannot write CSV: {0}")]
    Csv(#[from] csv::Error),
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot show a column: {0}")]
    Column(String),
}
