//! `callmeter export`: journaled records as CSV or NDJSON, or counters with timestamps.
//!
//! Reads beside a running exporter: a reader needs no lock.

mod cell;
mod openmetrics;
mod records;

use std::fs::File;
use std::io::{self, BufWriter, Write};

use callmeter_journal::{BatchSeq, Filter, Reader, StoredBatch};
use callmeter_records::{CallsView, CommonView, Stream};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::cli::{ExportArgs, ExportFormat, StreamArg};
use crate::exit::Failure;

impl From<StreamArg> for Stream {
    fn from(arg: StreamArg) -> Self {
        match arg {
            StreamArg::Calls => Self::Calls,
            StreamArg::Balances => Self::Balances,
            StreamArg::Rates => Self::Rates,
            StreamArg::Billing => Self::Billing,
        }
    }
}

/// Writes what was asked for.
///
/// # Errors
/// When a time cannot be read, the journal cannot, or the output cannot be written.
pub fn run(args: &ExportArgs) -> Result<(), Failure> {
    let window = Window {
        from: micros(&args.from, "--from")?,
        to: micros(&args.to, "--to")?,
    };
    if window.from >= window.to {
        return Err(Failure::failed("--from must lie before --to"));
    }
    if window.from >= Timestamp::now().as_microsecond() {
        return Err(Failure::failed("--from lies in the future"));
    }
    let path = super::journal::path(&args.journal)?;
    let reader = Reader::open(&path).map_err(crate::pipeline::journal_failure)?;
    let stream = Stream::from(args.stream);
    let batches = Batches {
        reader,
        filter: Filter {
            stream: Some(stream),
            account: args.account.clone(),
            // Edited calls are kept under their start, so that the openmetrics format, which counts
            // an edit when it was seen, has to look at everything before the end.
            from: (args.format != ExportFormat::Openmetrics).then_some(window.from),
            to: (args.format != ExportFormat::Openmetrics).then_some(window.to),
        },
        after: BatchSeq::START,
    };
    let mut out: Box<dyn Write> = match &args.output {
        Some(file) => Box::new(BufWriter::new(File::create(file).map_err(|error| {
            Failure::failed(format!("cannot write {}: {error}", file.display()))
        })?)),
        None => Box::new(BufWriter::new(io::stdout().lock())),
    };
    let written = match args.format {
        ExportFormat::Csv => records::csv(batches, stream, window, &mut out),
        ExportFormat::Ndjson => records::ndjson(batches, stream, window, &mut out),
        ExportFormat::Openmetrics if stream == Stream::Calls => {
            // Samples of the future would stand in the way of the real ones.
            let now = Timestamp::now().as_microsecond();
            let window = Window {
                to: window.to.min(now),
                ..window
            };
            openmetrics::write(batches, window, args.step, &mut out)
        }
        ExportFormat::Openmetrics => {
            return Err(Failure::failed(
                "the openmetrics format counts calls; leave --stream out",
            ));
        }
    };
    match written.and_then(|()| out.flush().map_err(ExportError::Write)) {
        // Whoever reads the pipe has enough.
        Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::failed),
    }
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
enum ExportError {
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

/// A span of time in microseconds; the end does not belong to it.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: i64,
    to: i64,
}

impl Window {
    fn contains(self, micros: i64) -> bool {
        (self.from..self.to).contains(&micros)
    }
}

/// The journal's batches that a filter lets through.
struct Batches {
    reader: Reader,
    filter: Filter,
    after: BatchSeq,
}

impl Iterator for Batches {
    type Item = callmeter_journal::Result<StoredBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self
            .reader
            .next_matching(&self.filter, self.after)
            .transpose()?;
        if let Ok(batch) = &batch {
            self.after = batch.meta.seq;
        }
        Some(batch)
    }
}

/// When each row happened: a call's start where it is known, else the time at which it was read.
fn event_times(stream: Stream, batch: &StoredBatch) -> Result<Vec<i64>, ExportError> {
    if stream == Stream::Calls {
        let view = CallsView::new(&batch.records)?;
        return Ok(view
            .rows()
            .map(|call| call.start_time().unwrap_or(call.observed_at()))
            .collect());
    }
    let view = CommonView::new(&batch.records)?;
    Ok((0..view.rows()).map(|row| view.observed_at(row)).collect())
}

/// A day (its begin in UTC) or a moment.
fn micros(text: &str, flag: &str) -> Result<i64, Failure> {
    let moment = text.parse::<Timestamp>().ok().or_else(|| {
        let day: Date = text.parse().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    });
    moment.map(Timestamp::as_microsecond).ok_or_else(|| {
        Failure::failed(format!(
            "{flag}: {text:?} is neither a day such as 2026-01-31 nor a time such as 2026-01-31T06:00:00Z"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read_as_utc() {
        assert_eq!(micros("1970-01-02", "--from").unwrap(), 86_400_000_000);
        assert_eq!(micros("1970-01-01T01:00:00+01:00", "--from").unwrap(), 0);
        assert!(micros("yesterday", "--from").is_err());
    }
}
