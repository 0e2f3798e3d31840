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

impl ExportError {
    /// Whether the reader of the output is gone. Each writer hides the system's error differently.
    pub(super) fn is_broken_pipe(&self) -> bool {
        let kind = match self {
            Self::Write(error) => Some(error.kind()),
            Self::Csv(error) => match error.kind() {
                csv::ErrorKind::Io(error) => Some(error.kind()),
                _ => None,
            },
            Self::Json(error) => error.io_error_kind(),
            _ => None,
        };
        kind == Some(io::ErrorKind::BrokenPipe)
    }
}
