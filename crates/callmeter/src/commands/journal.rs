//! `callmeter journal`: contents and damage of the journal. The exporter may be running.

use std::io::Write as _;
use std::path::Path;

use callmeter_journal::Stats;
use jiff::Timestamp;

use super::journal_copy;
use super::named_journal::open;
use super::progress::progress;
use crate::cli::{JournalArg, JournalCommand};
use crate::exit::Failure;
use crate::pipeline::journal_failure;

/// Runs one of the commands.
///
/// # Errors
/// If the journal cannot be read, or is damaged.
pub fn run(command: JournalCommand) -> Result<(), Failure> {
    match command {
        JournalCommand::Verify(arg) => verify(&arg),
        JournalCommand::Stats(arg) => stats(&arg),
        JournalCommand::Backup { journal, file } => backup(&journal, &file),
        JournalCommand::Copy(args) => journal_copy::run(&args),
    }
}

fn verify(arg: &JournalArg) -> Result<(), Failure> {
    let mut reader = open(arg)?;
    let bar = progress(reader.head().map_err(journal_failure)?.0);
    let report = reader
        .verify(|seq| bar.set_position(seq.0))
        .map_err(journal_failure)?;
    bar.finish_and_clear();
    let summary = format!(
        "{}: {} records in {} batches, {} bytes read",
        reader.location(),
        report.records,
        report.batches,
        report.bytes
    );
    if report.is_sound() {
        return print(&format!("{summary}: sound\n"));
    }
    let mut text = format!("{summary}: {} findings", report.found);
    for finding in &report.findings {
        match finding.batch {
            Some(batch) => line(
                &mut text,
                format_args!("\n  batch {batch}: {}", finding.what),
            ),
            None => line(&mut text, format_args!("\n  {}", finding.what)),
        }
    }
    let unlisted = report.found.saturating_sub(report.findings.len() as u64);
    if unlisted > 0 {
        line(&mut text, format_args!("\n  and {unlisted} more"));
    }
    Err(Failure::Damaged(text))
}

fn stats(arg: &JournalArg) -> Result<(), Failure> {
    let reader = open(arg)?;
    let stats = reader.stats().map_err(journal_failure)?;
    print(&table(&reader.location().to_string(), &stats))
}

fn backup(arg: &JournalArg, file: &Path) -> Result<(), Failure> {
    let reader = open(arg)?;
    let bar = progress(0);
    let done = reader
        .backup(file, |copied, all| {
            bar.set_length(all);
            bar.set_position(copied);
        })
        .map_err(journal_failure)?;
    bar.finish_and_clear();
    print(&format!(
        "{}: {} bytes, up to batch {}\n",
        file.display(),
        done.bytes,
        done.head
    ))
}

/// Appends to a text, which cannot fail.
fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = std::fmt::Write::write_fmt(text, line);
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::stdout)
}

fn table(path: &str, stats: &Stats) -> String {
    let mut text = format!(
        "journal        {path}\nformat         {}\nbatches        {} … {}\nsize           {} bytes\n",
        stats.format,
        stats
            .oldest
            .map_or_else(|| "none".to_owned(), |seq| seq.to_string()),
        stats.head,
        stats.bytes
    );
    for (seq, bytes) in &stats.snapshots {
        line(
            &mut text,
            format_args!("totals kept    up to batch {seq}, {bytes} bytes\n"),
        );
    }
    text.push_str("\nstream    account           records  batches        bytes  span\n");
    for stream in &stats.streams {
        let (from, to) = stream.span.unwrap_or(stream.observed);
        line(
            &mut text,
            format_args!(
                "{:<9} {:<16} {:>8} {:>8} {:>12}  {} … {}\n",
                stream.stream.name(),
                stream.account,
                stream.records,
                stream.batches,
                stream.bytes,
                moment(from),
                moment(to)
            ),
        );
    }
    text.push_str("\naccount           read up to\n");
    for (name, state) in &stats.accounts {
        let watermark = state.watermark.map_or_else(|| "-".to_owned(), moment);
        line(&mut text, format_args!("{name:<16}  {watermark}\n"));
    }
    if !stats.cursors.is_empty() {
        text.push_str("\noutput            stream      owed     lost  oldest\n");
        for (cursor, backlog) in &stats.cursors {
            line(
                &mut text,
                format_args!(
                    "{:<16}  {:<9} {:>6} {:>8}  {}\n",
                    cursor.output,
                    cursor.stream.name(),
                    backlog.records,
                    backlog.lost,
                    backlog
                        .oldest_observed_at
                        .map_or_else(|| "-".to_owned(), moment)
                ),
            );
        }
    }
    text
}

fn moment(micros: i64) -> String {
    Timestamp::from_microsecond(micros)
        .map_or_else(|_| micros.to_string(), |time| format!("{time:.0}"))
}
