//! `callmeter charges`: rates again what the journal holds, and compares it with what was charged.

mod decks;
mod report;
mod rerate;
#[cfg(test)]
mod tests;

use std::io::Write as _;

use super::named_journal;
use crate::cli::{ChargesArgs, ChargesFormat};
use crate::config::{self, Charging};
use crate::exit::Failure;
use crate::pipeline::journal_failure;
use decks::Decks;
use rerate::Run;

/// Prints what calls cost, and where that differs from what was charged.
///
/// # Errors
/// If there is no entry of `charges`, a time is invalid, or the journal or the deck cannot be read.
pub fn run(args: &ChargesArgs) -> Result<(), Failure> {
    let period = args.period.micros()?;
    let config = config::load_for_stored_data(&args.journal.config.config_file)?;
    let entry = entry(&config.charges, args.charge.as_deref())?;
    let mut reader = named_journal::open(&args.journal)?;
    reader.check_rows().map_err(journal_failure)?;
    let decks = Decks::find(&mut reader, entry, args.deck.as_deref())?;
    let run = Run::new(reader, entry, period, args.group);
    let report = run.report(decks)?;
    let text = match args.format {
        ChargesFormat::Table => report.table(),
        ChargesFormat::Csv => report.csv()?,
        ChargesFormat::Json => report.json()?,
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::stdout)
}

fn entry<'c>(entries: &'c [Charging], name: Option<&str>) -> Result<&'c Charging, Failure> {
    let names = || {
        let names: Vec<_> = entries.iter().map(|one| one.name.as_str()).collect();
        names.join(", ")
    };
    match (name, entries) {
        (_, []) => Err(Failure::failed(
            "the configuration has no entry of `charges`, which says which calls are charged by \
             which rates: add one",
        )),
        (None, [entry]) => Ok(entry),
        (None, _) => Err(Failure::usage(format!(
            "`charges` has several entries: name one with --charge: {}",
            names()
        ))),
        (Some(name), _) => {
            let found = entries.iter().find(|entry| entry.name == name);
            found.ok_or_else(|| {
                let names = names();
                Failure::failed(format!(
                    "--charge: `charges` has no entry {name:?}; it has {names}"
                ))
            })
        }
    }
}
