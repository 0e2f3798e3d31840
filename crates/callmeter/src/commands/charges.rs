//! `callmeter charges`: rates again what the journal holds, and compares it with what was charged.

mod decks;
mod report;
mod rerate;
#[cfg(test)]
mod tests;

use std::io::Write as _;

use callmeter_journal::Reader;

use super::journal;
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
    let from = super::export::micros(&args.from, "--from")?;
    let to = super::export::micros(&args.to, "--to")?;
    if from >= to {
        return Err(Failure::failed("--from must be before --to"));
    }
    let config = config::load_for_stored_data(&args.journal.config.config_file)?;
    let entry = entry(&config, args.charge.as_deref())?;
    let path = journal::path(&args.journal)?;
    let mut reader = Reader::open(&path).map_err(journal_failure)?;
    let decks = Decks::find(&mut reader, entry, args.deck.as_deref())?;
    let run = Run::new(reader, entry, from..to, args.group);
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

fn entry<'c>(config: &'c config::Config, name: Option<&str>) -> Result<&'c Charging, Failure> {
    let found = match (name, config.charges.as_slice()) {
        (None, [entry]) => Some(entry),
        (None, _) => None,
        (Some(name), entries) => entries.iter().find(|entry| entry.name == name),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = config.charges.iter().map(|one| one.name.as_str()).collect();
        Failure::failed(format!(
            "name an entry of `charges` with --charge; the configuration has: {}",
            names.join(", ")
        ))
    })
}
