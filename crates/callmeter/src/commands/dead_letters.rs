//! `callmeter dead-letters`: the batches that outputs rejected permanently.

use std::io::Write;

use callmeter_error_chain::one_line;
use callmeter_plugin_host::{DeadLetter, DeadLetterError};
use jiff::Timestamp;

use crate::cli::{DeadLettersArgs, DeadLettersCommand};
use crate::config::{self, Output};
use crate::exit::Failure;
use crate::pipeline::dead_letters;

/// Runs one of the commands.
///
/// # Errors
/// If the directory cannot be read or written.
pub fn run(command: DeadLettersCommand) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List(args) => list(&args),
        DeadLettersCommand::Replay(args) => replay(&args),
    }
}

/// The output of the flags, or all outputs.
fn outputs(args: &DeadLettersArgs) -> Result<Vec<Output>, Failure> {
    let outputs = config::load_for_stored_data(&args.config.config_file)?.outputs;
    let Some(name) = &args.output else {
        return Ok(outputs);
    };
    let named: Vec<Output> = outputs
        .into_iter()
        .filter(|output| output.name == *name)
        .collect();
    if named.is_empty() {
        return Err(Failure::failed(format!("no output {name:?} is configured")));
    }
    Ok(named)
}

fn list(args: &DeadLettersArgs) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let mut unreadable = Vec::new();
    for output in outputs(args)? {
        let store = dead_letters(&output);
        let refused = store.list_output(&output.name).map_err(Failure::failed)?;
        let queued = store.replays(&output.name).map_err(Failure::failed)?;
        write_output(&mut out, &output.name, &refused.letters, &queued.letters)
            .map_err(Failure::stdout)?;
        unreadable.extend(refused.damaged.into_iter().chain(queued.damaged));
    }
    report(&unreadable)
}

fn write_output(
    out: &mut impl Write,
    name: &str,
    refused: &[DeadLetter],
    queued: &[DeadLetter],
) -> std::io::Result<()> {
    write!(out, "output {name}: {} batches", refused.len())?;
    match queued.len() {
        0 => writeln!(out)?,
        queued => writeln!(
            out,
            ", and {queued} queued by `replay` that are not delivered yet"
        )?,
    }
    for letter in refused {
        writeln!(out, "  {}", describe(letter))?;
    }
    for letter in queued {
        writeln!(out, "  queued: {}", describe(letter))?;
    }
    Ok(())
}

/// One line: files may hold what a plugin said to an earlier version.
fn describe(letter: &DeadLetter) -> String {
    let refused = i64::try_from(letter.refused_at)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(String::new, |time| time.to_string());
    one_line(&format!(
        "{}  {} records, refused {refused} by {} after {} attempts: {}",
        letter.name(),
        letter.records,
        letter.plugin,
        letter.attempts,
        letter.reason
    ))
}

fn replay(args: &DeadLettersArgs) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let mut unreadable = Vec::new();
    for output in outputs(args)? {
        let (replayed, damaged) = dead_letters(&output)
            .replay_all(&output.name)
            .map_err(Failure::failed)?;
        unreadable.extend(damaged);
        writeln!(
            out,
            "output {}: {replayed} batches queued; callmeter delivers them within half a minute, or when it starts",
            output.name
        )
        .map_err(Failure::stdout)?;
    }
    report(&unreadable)
}

/// Dead letters that cannot be read stay where they are.
fn report(unreadable: &[DeadLetterError]) -> Result<(), Failure> {
    if unreadable.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = unreadable
        .iter()
        .map(|error| one_line(&error.to_string()))
        .collect();
    Err(Failure::Damaged(format!(
        "these dead letters are left as they are; the others are not affected:\n{}",
        texts.join("\n")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        DeadLetter {
            output: "crm".to_owned(),
            plugin: "odd 1\u{1b}[2J".to_owned(),
            stream: "calls".to_owned(),
            place: 7,
            id: "ab".repeat(16),
            records: 3,
            reason: "no\r\noutput archive: 0 batches\u{202e}dlof".to_owned(),
            refused_at: 1_786_005_900,
            attempts: 2,
        }
    }

    #[test]
    fn a_dead_letter_is_one_line() {
        assert_eq!(
            describe(&letter()),
            "calls-000000000007-abababababababababababababababab  3 records, refused \
             2026-08-06T08:45:00Z by odd 1[2J after 2 attempts: no output archive: 0 batchesdlof"
        );
    }

    #[test]
    fn batches_that_are_queued_are_listed_until_they_are_delivered() {
        let mut out = Vec::new();
        write_output(&mut out, "crm", &[], &[]).unwrap();
        write_output(&mut out, "crm", &[letter()], &[letter(), letter()]).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }
}
