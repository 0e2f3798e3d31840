//! `callmeter dead-letters`: the batches that outputs rejected permanently.

use std::io::Write as _;

use callmeter_plugin_host::{DeadLetterError, Listing};
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
        let Listing { letters, damaged } = dead_letters(&output)
            .list_output(&output.name)
            .map_err(Failure::failed)?;
        writeln!(out, "output {}: {} batches", output.name, letters.len())
            .map_err(Failure::stdout)?;
        for letter in letters {
            let refused = i64::try_from(letter.refused_at)
                .ok()
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
                .map_or_else(String::new, |time| time.to_string());
            writeln!(
                out,
                "  {}  {} records, refused {refused} by {} after {} attempts: {}",
                letter.name(),
                letter.records,
                letter.plugin,
                letter.attempts,
                letter.reason
            )
            .map_err(Failure::stdout)?;
        }
        unreadable.extend(damaged);
    }
    report(&unreadable)
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
    let texts: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
    Err(Failure::Damaged(format!(
        "these dead letters are left as they are; the others are not affected:\n{}",
        texts.join("\n")
    )))
}
