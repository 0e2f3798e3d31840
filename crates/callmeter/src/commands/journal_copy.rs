//! `callmeter journal copy`: from a file to a server, or back.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use callmeter_journal::{Copied, Location};

use super::named_journal::{configured, file};
use super::progress::progress;
use crate::cli::JournalCopyArgs;
use crate::config::JournalPlace;
use crate::exit::Failure;
use crate::pipeline::{connection, journal_failure, read_journal};
use crate::secret_redactor::SecretRedactor;

/// Copies a journal, and says what is equal.
///
/// # Errors
/// If one of the two cannot be read or written, or the copy would overwrite something.
pub(super) fn run(args: &JournalCopyArgs) -> Result<(), Failure> {
    let from = place(args.from.from.as_deref(), args.from.from_config.as_deref())?;
    let to = place(args.to.to.as_deref(), args.to.to_config.as_deref())?;
    let mut reader = read_journal(&from)?;
    let running = reader.used_by().map_err(journal_failure)?;
    if !running.is_empty() {
        eprintln!("warning: {}", still_runs(reader.location(), &running));
    }
    let bar = progress(0);
    let show = |copied, all| {
        bar.set_length(all);
        bar.set_position(copied);
    };
    let done = match &to {
        JournalPlace::File(path) => reader.copy_to_file(path, show),
        JournalPlace::Server(server) => {
            reader.copy_to_server(&connection(server, &SecretRedactor::new())?, show)
        }
    };
    let done = done.map_err(journal_failure)?;
    bar.finish_and_clear();
    let copy = read_journal(&to)?;
    std::io::stdout()
        .write_all(table(reader.location(), copy.location(), &done).as_bytes())
        .map_err(Failure::stdout)
}

fn place(path: Option<&Path>, config: Option<&Path>) -> Result<JournalPlace, Failure> {
    match (path, config) {
        (Some(path), _) => file(path),
        (None, Some(config)) => configured(config),
        (None, None) => Err(Failure::usage("name a file or a configuration")),
    }
}

/// What a copy lacks, if callmeter works on the journal.
fn still_runs(from: &Location, running: &[String]) -> String {
    format!(
        "callmeter runs on journal {from} ({}): the copy gets what is stored now, as it is at one \
         moment, and lacks what comes later. To move the journal, stop callmeter first",
        running.join(", ")
    )
}

fn table(from: &Location, to: &Location, done: &Copied) -> String {
    let mut text = format!(
        "journal    {from}\ncopy       {to}\nequal      batches, records with their ids, totals, \
         positions of outputs\nbatches    {}, up to batch {}\n",
        done.batches, done.head
    );
    for (stream, records) in &done.records {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{:<9}  {records} records", stream.name());
    }
    let _ = writeln!(text, "accounts   {}", done.accounts);
    let _ = writeln!(text, "positions  {}", done.cursors);
    text
}

#[cfg(test)]
mod tests {
    use callmeter_journal::{BatchSeq, ServerLocation};
    use callmeter_records::Stream;

    use super::*;

    #[test]
    fn the_end_says_what_is_equal() {
        let server = ServerLocation {
            host: "db:5432".to_owned(),
            database: "calls".to_owned(),
            schema: "callmeter".to_owned(),
        };
        let done = Copied {
            head: BatchSeq(1200),
            batches: 1100,
            records: vec![(Stream::Calls, 50_000), (Stream::Balances, 12)],
            accounts: 2,
            cursors: 3,
        };
        let from = Location::from(Path::new("journal.db"));
        let text = table(&from, &Location::Server(Box::new(server)), &done);
        insta::assert_snapshot!(text);
    }
}
