//! `callmeter backfill`: reads the calls of past days into the journal.
//!
//! A running exporter reads the days itself; this command hands them over and follows. If none
//! runs, it reads them itself. Either way the journal knows which days are read, so that an
//! interrupted run continues where it stopped.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use callmeter_error_chain::chain;
use callmeter_journal::JournalError;
use callmeter_meter::{Ledger, Meter};
use callmeter_plugin_host::Outputs;
use indicatif::ProgressBar;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};

use super::progress::progress as progress_bar;
use super::runtime::block_on;
use crate::cli::BackfillArgs;
use crate::config::{self, Account, Api, JournalPlace};
use crate::context::AppContext;
use crate::control::{self, Answer, Request};
use crate::exit::Failure;
use crate::logging;
use crate::pipeline::{meter_limits, open_journal};
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::sources::{
    self, Backfill, BackfillProgress, BackfillRequests, Budgets, HostLimits, PollError,
};
use crate::status::StatusStore;
use crate::stop::{Stop, stop};

/// Longest time for one day.
const DAY_LIMIT: Duration = Duration::from_hours(1);
/// Attempts to read a day before the next one is read.
const ATTEMPTS: u32 = 5;
/// First and longest pause between attempts.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The longest wait that a server can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Reads the days of the flags.
///
/// # Errors
/// If the account is not at HostedSuite, or a day cannot be proven complete.
pub fn run(args: &BackfillArgs) -> Result<(), Failure> {
    let redactor = Arc::new(SecretRedactor::new());
    logging::start(args.log.level, args.log.format, &redactor);
    if args.from > args.to {
        return Err(Failure::usage("--from must not be after --to"));
    }
    let days: Vec<Date> = args
        .from
        .series(1.day())
        .take_while(|date| *date <= args.to)
        .take(control::MOST_DAYS + 1)
        .collect();
    if days.len() > control::MOST_DAYS {
        return Err(Failure::usage(format!(
            "--from and --to are more than {} days apart: read them in parts",
            control::MOST_DAYS
        )));
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
    let today = Timestamp::now().to_zoned(api.time_zone.clone()).date();
    if args.to > today {
        return Err(Failure::usage(format!(
            "--to {} has not come: in the time zone of account {:?} it is {today}",
            args.to, args.account
        )));
    }
    block_on(async {
        let bar = progress_bar(days.len() as u64);
        let progress = match follow(args, &loaded.config.journal.place, &bar).await? {
            Some(progress) => progress,
            None => read_here(args, &loaded.config, account, redactor, &days, &bar).await?,
        };
        bar.finish_and_clear();
        report(&progress)
    })
}

/// Hands the days to the exporter that uses the journal, and follows it. `None` if none runs.
async fn follow(
    args: &BackfillArgs,
    journal: &JournalPlace,
    bar: &ProgressBar,
) -> Result<Option<BackfillProgress>, Failure> {
    let Ok(mut stream) = UnixStream::connect(control::path(journal)).await else {
        return Ok(None);
    };
    let request = Request::Backfill {
        account: args.account.clone(),
        from: args.from,
        to: args.to,
        again: args.again,
    };
    let mut line = serde_json::to_vec(&request).map_err(Failure::failed)?;
    line.push(b'\n');
    let gone = || {
        Failure::failed(
            "the exporter has stopped; when it runs again it reads the rest, and the same command follows it",
        )
    };
    stream.write_all(&line).await.map_err(|_| gone())?;
    bar.set_message("the running exporter reads the days");
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await.map_err(|_| gone())? {
        match serde_json::from_str(&line).map_err(Failure::failed)? {
            Answer::Refused(why) => return Err(Failure::failed(why)),
            Answer::Progress(progress) => {
                show(bar, &progress);
                if progress.is_done {
                    return Ok(Some(progress));
                }
            }
        }
    }
    Err(gone())
}

/// Reads the days in this process.
async fn read_here(
    args: &BackfillArgs,
    config: &config::Config,
    account: &Account,
    redactor: Arc<SecretRedactor>,
    days: &[Date],
    bar: &ProgressBar,
) -> Result<BackfillProgress, Failure> {
    let app = {
        let (args, config) = (args.clone(), config.clone());
        tokio::task::spawn_blocking(move || app(&args, &config, redactor))
            .await
            .map_err(Failure::failed)??
    };
    let stop = stop_on_signals()?;
    let mut backfill = sources::backfill(account, &app, stop.clone())
        .map_err(|error| Failure::failed(chain(&error)))?;
    let left = backfill
        .ask(days, args.again)
        .await
        .map_err(|error| asked_in_vain(account, &error))?;
    let mut progress = BackfillProgress::new(days.len(), left.len());
    let mut left = left.into_iter();
    // One day may fail in a way in which all would; when two in a row do, all are given up.
    let mut failed_before = false;
    while let Some(day) = left.next() {
        show(bar, &progress);
        match read_day(&mut backfill, day, &stop, &mut progress).await? {
            DayEnd::Proven => {
                progress.read += 1;
                failed_before = false;
            }
            DayEnd::NotProven(why) => progress.not_proven.push((day, why)),
            DayEnd::AccountFails(why) if !failed_before => {
                progress.not_proven.push((day, why));
                failed_before = true;
            }
            DayEnd::AccountFails(why) => {
                let days = std::iter::once(day).chain(left.by_ref());
                progress
                    .not_proven
                    .extend(days.map(|day| (day, why.clone())));
            }
            DayEnd::Stopped => {
                bar.abandon();
                return Err(Failure::failed(format!(
                    "interrupted at {day}; run the same command to continue there"
                )));
            }
        }
    }
    progress.is_done = true;
    Ok(progress)
}

/// The failure of days that cannot be noted.
fn asked_in_vain(account: &Account, error: &PollError) -> Failure {
    if matches!(error, PollError::Journal(JournalError::LeaseLost { .. })) {
        return Failure::failed(format!(
            "another callmeter polls account {:?} with this journal: run the command on its machine, or on that of any other instance, with the configuration of that instance",
            account.name
        ));
    }
    Failure::failed(chain(error))
}

fn app(
    args: &BackfillArgs,
    config: &config::Config,
    redactor: Arc<SecretRedactor>,
) -> Result<AppContext, Failure> {
    let journal = open_journal(&config.journal.place, &redactor)?;
    // Nothing is published here. The next start of the exporter counts the new records.
    let meter = Arc::new(Meter::new(Ledger::new(meter_limits(&config.metrics))));
    let metrics = SelfMetrics::new().map_err(Failure::failed)?;
    let status = StatusStore::new(
        &args.config.config_file,
        Timestamp::now(),
        Arc::clone(&meter),
        metrics.clone(),
    );
    Ok(AppContext {
        meter,
        outputs: Arc::new(Outputs::new(Arc::new(journal.clone())).map_err(Failure::failed)?),
        metrics,
        status: Arc::new(status),
        redactor,
        journal,
        backfills: BackfillRequests::default(),
        hosts: HostLimits::default(),
        budgets: Budgets::default(),
        appended: Arc::default(),
    })
}

fn stop_on_signals() -> Result<Stop, Failure> {
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
    Ok(stop)
}

/// How the reading of a day ended.
enum DayEnd {
    Proven,
    NotProven(String),
    /// Perhaps no other day can be read either.
    AccountFails(String),
    Stopped,
}

/// Reads a day, with retries.
async fn read_day(
    backfill: &mut Backfill,
    day: Date,
    stop: &Stop,
    progress: &mut BackfillProgress,
) -> Result<DayEnd, Failure> {
    let mut stop = stop.clone();
    let mut attempts = 0;
    loop {
        let error = match backfill.read(day, DAY_LIMIT).await {
            Ok(read) => {
                progress.add(day, &read.counts);
                if read.is_proven {
                    return Ok(DayEnd::Proven);
                }
                // A cap was reached; the next reading continues there.
                continue;
            }
            Err(PollError::Stopped) => return Ok(DayEnd::Stopped),
            Err(error) => error,
        };
        attempts += 1;
        if matches!(error, PollError::Journal(_) | PollError::Meter(_)) {
            return Err(Failure::failed(format!("{day}: {}", chain(&error))));
        }
        if attempts == ATTEMPTS || !error.is_transient() {
            let why = chain(&error);
            return Ok(match error {
                PollError::Day(_) => DayEnd::NotProven(why),
                _ => DayEnd::AccountFails(why),
            });
        }
        tracing::warn!(%day, error = %chain(&error), "cannot read the day; trying again");
        let pause = error.retry_after().map_or_else(
            || callmeter_backoff::wait(attempts, FIRST_PAUSE, LONGEST_PAUSE),
            |wait| wait.min(LONGEST_RETRY_AFTER),
        );
        let paused = stop.unless_stopped(tokio::time::sleep(pause)).await;
        if paused.is_none() {
            return Ok(DayEnd::Stopped);
        }
    }
}

fn show(bar: &ProgressBar, progress: &BackfillProgress) {
    let not_proven = progress.not_proven.len() as u64;
    let position = progress.read_before + progress.read + not_proven;
    let last_failed = progress.not_proven.last().map(|(day, _)| *day);
    let advanced = position > bar.position() && last_failed != progress.day;
    bar.set_position(position);
    if let Some(day) = progress.day {
        if bar.is_hidden() && advanced {
            let (new, records) = (progress.new, progress.records);
            tracing::info!(%day, new_so_far = new, records_so_far = records, "read a day");
        }
        bar.set_message(format!(
            "{day}: {} new of {}",
            progress.new, progress.records
        ));
    }
}

/// Prints what was read, and fails if a day is not proven complete.
fn report(progress: &BackfillProgress) -> Result<(), Failure> {
    let BackfillProgress {
        read,
        read_before,
        records,
        new,
        revised,
        known,
        forgotten,
        waiting,
        not_proven,
        ..
    } = progress;
    let days_of = |number: u64| match number {
        1 => "1 day".to_owned(),
        number => format!("{number} days"),
    };
    let mut text = format!(
        "{} read: {records} records, {new} of them new, {known} known, {revised} edited",
        days_of(*read)
    );
    for (count, what) in [
        (forgotten, "older than the journal, not counted"),
        (waiting, "not settled yet"),
    ] {
        if *count > 0 {
            // Writing to a String does not fail.
            let _ = write!(text, ", {count} {what}");
        }
    }
    if *read_before > 0 {
        let before = days_of(*read_before);
        let _ = write!(
            text,
            "; {before} had been read before (--again reads them again)"
        );
    }
    println!("{text}");
    if not_proven.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "not proven complete, and still due: {}\n{}",
        days_of(not_proven.len() as u64),
        reasons(not_proven)
    )))
}

/// A line for each day with the reason, or for each run of days with the same one.
fn reasons(not_proven: &[(Date, String)]) -> String {
    let is_next = |a: &(Date, String), b: &(Date, String)| {
        a.1 == b.1 && a.0.tomorrow().is_ok_and(|day| day == b.0)
    };
    let mut lines = Vec::new();
    for run in not_proven.chunk_by(is_next) {
        match run {
            [(day, why)] => lines.push(format!("  {day}: {why}")),
            [(first, why), .., (last, _)] => lines.push(format!("  {first} to {last}: {why}")),
            [] => {}
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_with_the_same_reason_stand_in_one_line() {
        let day = |day| Date::constant(2026, 1, day);
        let days = [
            (day(1), "timeout".to_owned()),
            (day(2), "timeout".to_owned()),
            (day(4), "timeout".to_owned()),
            (day(5), "server error".to_owned()),
        ];
        let text = reasons(&days);
        assert_eq!(
            text,
            "  2026-01-01 to 2026-01-02: timeout\n  2026-01-04: timeout\n  2026-01-05: server error"
        );
    }
}
