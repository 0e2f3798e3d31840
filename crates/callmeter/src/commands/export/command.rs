//! Reads the flags, selects the batches, and writes them in the requested format.

use callmeter_journal::{BatchSeq, Filter, Reader};
use callmeter_meter::{Ledger, Limits};
use callmeter_records::Stream;
use jiff::Timestamp;

use super::super::named_journal;
use super::batches::{Batches, Window};
use super::error::ExportError;
use super::output::Output;
use super::{openmetrics, records};
use crate::cli::{ExportArgs, ExportFormat, StreamArg};
use crate::config;
use crate::exit::Failure;
use crate::pipeline::{journal_failure, meter_limits};

/// The step between samples of the openmetrics format: as long as Prometheus shows a value.
const STEP: std::time::Duration = std::time::Duration::from_mins(5);

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
    check_flags(args)?;
    let period = args.period.micros()?;
    let window = Window {
        from: period.start,
        to: period.end,
    };
    if window.from >= Timestamp::now().as_microsecond() {
        return Err(Failure::usage("--from must not be in the future"));
    }
    let reader = named_journal::open(&args.journal)?;
    reader.check_rows().map_err(journal_failure)?;
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
    let file = batches.reader.location().file();
    let mut out = Output::open(args.output.as_deref(), file).map_err(Failure::failed)?;
    let written = match args.format {
        ExportFormat::Csv => records::csv(batches, stream, window, &mut out),
        ExportFormat::Ndjson => records::ndjson(batches, stream, window, &mut out),
        ExportFormat::Openmetrics => {
            // Samples in the future would conflict with the real ones.
            let now = Timestamp::now().as_microsecond();
            let window = Window {
                to: window.to.min(now),
                ..window
            };
            let choice = openmetrics::Choice {
                step: args.step.unwrap_or(STEP),
                details: args.details,
                buckets: args.buckets,
                ledger: counting(&batches.reader, args)?,
            };
            openmetrics::write(batches, window, &choice, &mut out)
        }
    };
    match written.and_then(|()| out.finish().map_err(ExportError::Write)) {
        // The reader of the pipe has closed it.
        Err(error) if error.is_broken_pipe() => Err(Failure::ReaderGone),
        result => result.map_err(Failure::failed),
    }
}

/// Refuses flags that the format would ignore.
fn check_flags(args: &ExportArgs) -> Result<(), Failure> {
    let is_openmetrics = args.format == ExportFormat::Openmetrics;
    let unused = [
        ("--step", args.step.is_some()),
        ("--details", args.details),
        ("--buckets", args.buckets),
    ];
    match unused.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) if !is_openmetrics => Err(Failure::usage(format!(
            "{flag} is for --format openmetrics; remove it or choose that format"
        ))),
        _ if is_openmetrics && args.stream != StreamArg::Calls => Err(Failure::usage(
            "the openmetrics format has calls only; remove --stream",
        )),
        _ => Ok(()),
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
