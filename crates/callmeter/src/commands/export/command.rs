//! Reads the flags, selects the batches, and writes them in the requested format.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use callmeter_journal::{BatchSeq, Filter, Reader};
use callmeter_meter::{Ledger, Limits};
use callmeter_records::Stream;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::journal;
use super::batches::{Batches, Window};
use super::error::ExportError;
use super::{openmetrics, records};
use crate::cli::{ExportArgs, ExportFormat, StreamArg};
use crate::config;
use crate::exit::Failure;
use crate::pipeline::{journal_failure, meter_limits};

impl From<StreamArg> for Stream {
    fn from(arg: StreamArg) -> Self {
        match arg {
            StreamArg::Calls => Self::Calls,
            StreamArg::Balances => Self::Balances,
            StreamArg::Rates => Self::Rates,
            StreamArg::Billing => Self::Billing,
            StreamArg::Charges => Self::Charges,
        }
    }
}

/// Writes the records.
///
/// # Errors
/// If a time is invalid, the journal cannot be read, or the output cannot be written.
pub fn run(args: &ExportArgs) -> Result<(), Failure> {
    let window = Window {
        from: micros(&args.from, "--from")?,
        to: micros(&args.to, "--to")?,
    };
    if window.from >= window.to {
        return Err(Failure::failed("--from must be before --to"));
    }
    if window.from >= Timestamp::now().as_microsecond() {
        return Err(Failure::failed("--from must not be in the future"));
    }
    let path = journal::path(&args.journal)?;
    let reader = Reader::open(&path).map_err(journal_failure)?;
    check_account(&reader, args.account.as_deref())?;
    let head = reader.head().map_err(journal_failure)?;
    let stream = Stream::from(args.stream);
    let batches = Batches {
        reader,
        filter: Filter {
            stream: Some(stream),
            account: args.account.clone(),
            // An edit may move a call out of the window. So the openmetrics format, which counts
            // last versions, has to read all batches.
            from: (args.format != ExportFormat::Openmetrics).then_some(window.from),
            to: (args.format != ExportFormat::Openmetrics).then_some(window.to),
        },
        after: BatchSeq::START,
        through: head,
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
            // Samples in the future would conflict with the real ones.
            let now = Timestamp::now().as_microsecond();
            let window = Window {
                to: window.to.min(now),
                ..window
            };
            let choice = openmetrics::Choice {
                step: args.step,
                details: args.details,
                buckets: args.buckets,
                ledger: counting(&batches.reader, args)?,
            };
            openmetrics::write(batches, window, &choice, &mut out)
        }
        ExportFormat::Openmetrics => {
            return Err(Failure::failed(
                "the openmetrics format has calls only; remove --stream",
            ));
        }
    };
    match written.and_then(|()| out.flush().map_err(ExportError::Write)) {
        // The reader of the pipe has closed it.
        Err(error) if error.is_broken_pipe() => Err(Failure::ReaderGone),
        result => result.map_err(Failure::failed),
    }
}

/// How calls are counted: as the exporter counted them. If it never ran with this journal, as the
/// configuration says, if there is one.
fn counting(reader: &Reader, args: &ExportArgs) -> Result<Ledger, Failure> {
    let limits = if args.journal.journal.is_some() {
        Limits::default()
    } else {
        let file = &args.journal.config.config_file;
        meter_limits(&config::load_for_stored_data(file)?.metrics)
    };
    let stored = reader.latest_snapshot().map_err(journal_failure)?;
    let stored = stored.and_then(|(_, bytes)| Ledger::decode(&bytes, limits).ok());
    Ok(stored.unwrap_or_else(|| Ledger::new(limits)))
}

/// An account without records is most likely misspelt: the export would be empty.
fn check_account(reader: &Reader, account: Option<&str>) -> Result<(), Failure> {
    let Some(account) = account else {
        return Ok(());
    };
    let known = reader.account_names().map_err(journal_failure)?;
    if known.iter().any(|name| name == account) {
        return Ok(());
    }
    Err(Failure::failed(if known.is_empty() {
        format!("--account: the journal has no account {account:?}; it has none at all")
    } else {
        let known = known.join(", ");
        format!("--account: the journal has no account {account:?}; it has {known}")
    }))
}

/// A time, or the start of a day in UTC.
pub(in super::super) fn micros(text: &str, flag: &str) -> Result<i64, Failure> {
    let moment = text.parse::<Timestamp>().ok().or_else(|| {
        let day: Date = text.parse().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    });
    moment.map(Timestamp::as_microsecond).ok_or_else(|| {
        Failure::failed(format!(
            "{flag}: {text:?} is neither a day, such as 2026-01-31, nor a time, such as 2026-01-31T06:00:00Z"
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
