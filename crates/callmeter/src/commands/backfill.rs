//! `callmeter backfill`: reads the calls of past days into the journal.
//!
//! A file beside the journal lists the days that were read, so that an interrupted run continues
//! where it stopped. Calls in the journal are never counted again, with or without that file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use callmeter_meter::{Ledger, Meter};
use callmeter_plugin_host::Outputs;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use tokio::signal::unix::{SignalKind, signal};

use super::journal::progress;
use super::runtime::block_on;
use crate::cli::BackfillArgs;
use crate::config::{self, Account, Api};
use crate::context::AppContext;
use crate::exit::Failure;
use crate::logging;
use crate::pipeline::{meter_limits, open_journal};
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::sources::{self, Backfill, Day, DayRead, PollError};
use crate::status::StatusStore;
use crate::stop::{Stop, stop};
use callmeter_error_chain::chain;

/// Longest time for one day.
const DAY_LIMIT: Duration = Duration::from_hours(1);
/// Attempts to read a day before the command fails.
const ATTEMPTS: u32 = 5;
/// First and longest pause between attempts.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Reads the days of the flags.
///
/// # Errors
/// If the account is not at HostedSuite, another process holds the journal, or a day cannot be
/// read.
pub fn run(args: &BackfillArgs) -> Result<(), Failure> {
    let redactor = Arc::new(SecretRedactor::new());
    logging::start(args.log.level, args.log.format, &redactor);
    if args.from > args.to {
        return Err(Failure::failed("--from must not be after --to"));
    }
    let loaded = config::load(&args.config.config_file)?;
    let account = loaded
        .config
        .accounts
        .iter()
        .find(|account| account.name == args.account)
        .ok_or_else(|| Failure::failed(format!("no account {:?} is configured", args.account)))?;
    let Api::HostedSuite(api) = &account.api else {
        return Err(Failure::failed(format!(
            "account {:?} is at a PortSIP PBX, which keeps no past records to read",
            args.account
        )));
    };
    let days: Vec<Day> = args
        .from
        .series(1.day())
        .take_while(|date| *date <= args.to)
        .filter_map(|date| Day::of(date, &api.time_zone))
        .collect();
    let noted = DaysRead::open(&loaded.config.journal.path, &args.account)?;
    let missing: Vec<Day> = days
        .into_iter()
        .filter(|day| args.again || !noted.contains(day.date))
        .collect();
    block_on(backfill(
        args,
        &loaded.config,
        account,
        redactor,
        missing,
        noted,
    ))
}

async fn backfill(
    args: &BackfillArgs,
    config: &config::Config,
    account: &Account,
    redactor: Arc<SecretRedactor>,
    days: Vec<Day>,
    mut noted: DaysRead,
) -> Result<(), Failure> {
    let journal = open_journal(&config.journal.path)?;
    // Nothing is published here. The next start of the exporter counts the new records.
    let meter = Arc::new(Meter::new(Ledger::new(meter_limits(&config.metrics))));
    let metrics = SelfMetrics::new().map_err(Failure::failed)?;
    let status = StatusStore::new(
        &args.config.config_file,
        Timestamp::now(),
        Arc::clone(&meter),
        metrics.clone(),
    );
    let app = AppContext {
        meter,
        outputs: Arc::new(Outputs::new(Arc::new(journal.clone())).map_err(Failure::failed)?),
        metrics,
        status: Arc::new(status),
        redactor,
        journal,
    };
    let (sender, stop) = stop();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        sender.stop();
    });
    let backfill = sources::backfill(account, &app, stop.clone(), args.pause)
        .map_err(|error| Failure::failed(chain(&error)))?;
    let bar = progress(days.len() as u64);
    let mut sums = Sums::default();
    for day in &days {
        bar.set_message(format!(
            "{}: {} new of {}",
            day.date, sums.new, sums.records
        ));
        let Some(read) = read_day(&backfill, *day, &stop).await? else {
            bar.abandon();
            return Err(Failure::failed(format!(
                "interrupted at {}; run the same command to continue there",
                day.date
            )));
        };
        sums.new += read.new;
        sums.records += read.records;
        noted.add(day.date)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!(
        "{} days read: {} records, {} of them new",
        days.len(),
        sums.records,
        sums.new
    );
    Ok(())
}

#[derive(Default)]
struct Sums {
    records: u64,
    new: u64,
}

/// Reads a day, with retries; `None` if stopped.
async fn read_day(backfill: &Backfill, day: Day, stop: &Stop) -> Result<Option<Sums>, Failure> {
    let mut stop = stop.clone();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match backfill.read(day, DAY_LIMIT).await {
            Ok(DayRead {
                capped: Some(cap), ..
            }) => {
                return Err(Failure::failed(format!(
                    "{}: {cap}; raise calls.max_pages or calls.max_rows",
                    day.date
                )));
            }
            Ok(DayRead { records, new, .. }) => return Ok(Some(Sums { records, new })),
            Err(PollError::Stopped) => return Ok(None),
            Err(error) => error,
        };
        if attempts == ATTEMPTS || !error.is_transient() {
            return Err(Failure::failed(format!("{}: {}", day.date, chain(&error))));
        }
        tracing::warn!(day = %day.date, error = %chain(&error), "cannot read the day; trying again");
        let pause = error
            .retry_after()
            .unwrap_or_else(|| callmeter_backoff::wait(attempts, FIRST_PAUSE, LONGEST_PAUSE));
        if stop
            .unless_stopped(tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return Ok(None);
        }
    }
}

/// The days of an account that a backfill has read, in a file beside the journal.
struct DaysRead {
    file: PathBuf,
    days: BTreeSet<Date>,
}

impl DaysRead {
    fn open(journal: &Path, account: &str) -> Result<Self, Failure> {
        let mut file = journal.as_os_str().to_owned();
        file.push(format!(".backfill-{account}"));
        let file = PathBuf::from(file);
        let days = match std::fs::read_to_string(&file) {
            // If the last line is incomplete, its day is read again.
            Ok(text) => text.lines().filter_map(|line| line.parse().ok()).collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => {
                return Err(Failure::failed(format!(
                    "cannot read {}: {error}",
                    file.display()
                )));
            }
        };
        Ok(Self { file, days })
    }

    fn contains(&self, day: Date) -> bool {
        self.days.contains(&day)
    }

    fn add(&mut self, day: Date) -> Result<(), Failure> {
        use std::io::Write as _;
        self.days.insert(day);
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.file)
            .and_then(|mut file| writeln!(file, "{day}"))
            .map_err(|error| {
                Failure::failed(format!("cannot write {}: {error}", self.file.display()))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_read_are_remembered_and_a_torn_line_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("journal.db");
        let day = |text: &str| text.parse::<Date>().unwrap();
        let mut days = DaysRead::open(&journal, "acme").unwrap();
        days.add(day("2026-01-01")).unwrap();
        days.add(day("2026-01-02")).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&days.file)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"2026-01-"))
            .unwrap();
        let days = DaysRead::open(&journal, "acme").unwrap();
        assert!(days.contains(day("2026-01-02")));
        assert_eq!(days.days.len(), 2);
        assert!(
            !DaysRead::open(&journal, "other")
                .unwrap()
                .contains(day("2026-01-01"))
        );
    }
}
