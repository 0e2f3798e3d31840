//! The checks that every plugin must pass.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use callmeter_plugin_host::{Inspection, Isolation, LastError, Trust, inspect};
use callmeter_records::Stream;

use crate::generate::{self, Recipe};
use crate::rig::{Rig, RigOptions};
use crate::written;

/// How long a plugin may take for the batches of a check.
const PATIENCE: Duration = Duration::from_secs(60);

/// After how many restarts a plugin is given up.
const RESTARTS: u64 = 3;

/// The checks' results.
#[derive(Debug)]
pub struct Report {
    inspection: Inspection,
    checks: Vec<(&'static str, Result<(), String>)>,
    notes: Vec<String>,
}

impl Report {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.inspection.loads() && self.checks.iter().all(|(_, result)| result.is_ok())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inspection)?;
        for note in &self.notes {
            writeln!(f, "note      {note}")?;
        }
        for (name, result) in &self.checks {
            match result {
                Ok(()) => writeln!(f, "ok        {name}")?,
                Err(reason) => writeln!(f, "FAILED    {name}: {reason}")?,
            }
        }
        Ok(())
    }
}

/// How a library is checked.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The command that runs a plugin in a process of its own, where a crash fails a check instead
    /// of ending this process; an empty one is this program, which has to be callmeter. Without it,
    /// plugins run in this process.
    pub child_command: Option<Vec<OsString>>,
    /// The file or directory that an instance writes, below the instance's directory. The id of
    /// every call must be in it.
    pub written: Option<PathBuf>,
}

/// Checks a library. `config` returns the configuration of an instance, given the instance's
/// directory.
pub fn run(library: &Path, config: impl Fn(&Path) -> String + Sync) -> Report {
    run_with(library, &config, &Options::default())
}

/// Like [`run`], with options.
pub fn run_with(
    library: &Path,
    config: &(dyn Fn(&Path) -> String + Sync),
    options: &Options,
) -> Report {
    let inspection = inspect(library, None, Trust::Development);
    let mut report = Report {
        inspection,
        checks: Vec::new(),
        notes: Vec::new(),
    };
    if !report.inspection.loads() {
        return report;
    }
    let bench = Bench {
        library,
        config,
        options,
    };
    match exported_symbols(library) {
        Ok(symbols) => {
            let one = symbols == ["callmeter_output_plugin_init_v1"];
            let result = if one {
                Ok(())
            } else {
                Err(format!("it exports {}", symbols.join(", ")))
            };
            report
                .checks
                .push(("exports one symbol and no other", result));
        }
        Err(reason) => report
            .notes
            .push(format!("SKIPPED the exported symbols: {reason}")),
    }
    let created = bench.is_created();
    let is_created = created.is_ok();
    report
        .checks
        .push(("is created with its settings", created));
    if !is_created {
        let note = "SKIPPED the other checks: there is no instance to check";
        report.notes.push(note.to_owned());
        return report;
    }
    let checks: [Check; 10] = [
        ("takes every stream", |b| b.every_stream()),
        ("takes empty batches and single records", |b| b.small()),
        ("takes slices at odd offsets", |b| b.slices()),
        ("takes columns full of nulls and columns without any", |b| {
            b.nulls()
        }),
        ("takes columns that it does not know", |b| b.later()),
        ("takes 100,000 records in a batch", |b| b.large()),
        ("takes batches that it had before", |b| b.again()),
        ("runs as two instances at the same time", |b| b.twice()),
        ("stops when it is told to, and can be started again", |b| {
            b.stop_and_start()
        }),
        ("survives configurations that are not for it", |b| {
            b.strange_configurations()
        }),
    ];
    for (name, check) in checks {
        report.checks.push((name, check(&bench)));
    }
    if let Some(written) = &options.written {
        let result = bench.written(written);
        report.checks.push(("writes the id of every call", result));
    }
    report
}

/// A check: its name and its function.
type Check = (&'static str, fn(&Bench<'_>) -> Result<(), String>);

struct Bench<'a> {
    library: &'a Path,
    config: &'a (dyn Fn(&Path) -> String + Sync),
    options: &'a Options,
}

impl Bench<'_> {
    fn options(&self, directory: &Path) -> RigOptions {
        let rig = RigOptions::library(self.library, directory).config((self.config)(directory));
        match &self.options.child_command {
            Some(command) => RigOptions {
                isolation: Isolation::Process,
                child_command: command.clone(),
                ..rig
            },
            None => rig,
        }
    }

    fn is_created(&self) -> Result<(), String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let rig = Rig::start(self.options(directory.path()));
        let waited = rig.wait(PATIENCE, |status| {
            status.plugin.is_some() || status.last_error.is_some()
        });
        let status = rig.status();
        drop(end(&rig));
        match (status.plugin, status.last_error) {
            (Some(_), _) => Ok(()),
            (None, Some(error)) => Err(error.text),
            (None, None) => waited,
        }
    }

    /// Feeds batches to a fresh instance and waits until all are durable and none is refused.
    fn feed(&self, batches: &[(Stream, arrow_array::RecordBatch)]) -> Result<(), String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let rig = Rig::start(self.options(directory.path()));
        let result = Self::feed_into(&rig, batches);
        end(&rig).and(result)
    }

    fn feed_into(rig: &Rig, batches: &[(Stream, arrow_array::RecordBatch)]) -> Result<(), String> {
        for (stream, records) in batches {
            rig.append(*stream, records.clone());
        }
        // A plugin that fails again and again is not waited for.
        rig.wait(PATIENCE, |status| {
            rig.settled() || status.restarts > RESTARTS
        })?;
        let status = rig.status();
        // Counted in batches, because a refused batch without records drops none.
        let refused = rig
            .dead_letters()
            .list()
            .map_err(|error| error.to_string())?;
        if let Some(letter) = refused.first() {
            return Err(format!(
                "it refused {} batches; the first, of {} records: {}",
                refused.len(),
                letter.records,
                letter.reason
            ));
        }
        if status.restarts > 0 {
            return Err(format!(
                "it failed and had to be made again: {:?}",
                status.last_error
            ));
        }
        Ok(())
    }

    fn every_stream(&self) -> Result<(), String> {
        let mut batches = Vec::new();
        for round in 0..3_u32 {
            for stream in Stream::ALL {
                let first = i64::from(round) * 40 + 1;
                let recipe = Recipe {
                    seed: round.into(),
                    first,
                    ..Recipe::rows(40)
                };
                batches.push((stream, generate::batch(stream, recipe)));
            }
        }
        self.feed(&batches)
    }

    fn small(&self) -> Result<(), String> {
        let mut batches = Vec::new();
        for stream in Stream::ALL {
            for rows in [0, 1, 0, 2] {
                batches.push((stream, generate::batch(stream, Recipe::rows(rows))));
            }
        }
        self.feed(&batches)
    }

    fn slices(&self) -> Result<(), String> {
        let mut batches = Vec::new();
        for stream in Stream::ALL {
            let whole = generate::batch(stream, Recipe::rows(1_000));
            for (offset, length) in [(1, 8), (7, 64), (13, 1), (500, 500), (999, 1), (1_000, 0)] {
                batches.push((stream, whole.slice(offset, length)));
            }
        }
        self.feed(&batches)
    }

    fn nulls(&self) -> Result<(), String> {
        let mut batches = Vec::new();
        for stream in Stream::ALL {
            for nulls in [0, 100] {
                batches.push((
                    stream,
                    generate::batch(
                        stream,
                        Recipe {
                            nulls,
                            ..Recipe::rows(50)
                        },
                    ),
                ));
            }
        }
        self.feed(&batches)
    }

    fn later(&self) -> Result<(), String> {
        let mut batches = Vec::new();
        for stream in Stream::ALL {
            batches.push((stream, generate::later_batch(stream, Recipe::rows(30))));
        }
        self.feed(&batches)
    }

    fn large(&self) -> Result<(), String> {
        self.feed(&[(
            Stream::Calls,
            generate::batch(Stream::Calls, Recipe::rows(100_000)),
        )])
    }

    /// After a crash the same batches are sent again, with the same configuration.
    fn again(&self) -> Result<(), String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let batches = [(
            Stream::Calls,
            generate::batch(Stream::Calls, Recipe::rows(100)),
        )];
        for _ in 0..2 {
            let rig = Rig::start(self.options(directory.path()));
            let result = Self::feed_into(&rig, &batches);
            end(&rig).and(result)?;
        }
        Ok(())
    }

    fn twice(&self) -> Result<(), String> {
        let batches = [(
            Stream::Calls,
            generate::batch(Stream::Calls, Recipe::rows(500)),
        )];
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.feed(&batches));
            let one = self.feed(&batches);
            let other = other
                .join()
                .unwrap_or_else(|_| Err("the check panicked".to_owned()));
            one.and(other)
        })
    }

    fn stop_and_start(&self) -> Result<(), String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let rig = Rig::start(self.options(directory.path()));
        for round in 0..50_i64 {
            let recipe = Recipe {
                first: round * 20 + 1,
                ..Recipe::rows(20)
            };
            rig.append(Stream::Calls, generate::batch(Stream::Calls, recipe));
        }
        // This may stop it in the middle or at the end. The next instance gets what is not durable
        // yet.
        end(&rig)?;
        let rig = Rig::start_over(rig.batches(), self.options(directory.path()));
        let result = rig.settle(PATIENCE);
        end(&rig).and(result)
    }

    /// Whether what was acknowledged was written, also after a stop and a start.
    fn written(&self, place: &Path) -> Result<(), String> {
        const CALLS: usize = 500;
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut log = Arc::default();
        for first in [1, CALLS + 1] {
            let recipe = Recipe {
                first: i64::try_from(first).unwrap_or(i64::MAX),
                ..Recipe::rows(CALLS)
            };
            let batches = [(Stream::Calls, generate::batch(Stream::Calls, recipe))];
            let rig = Rig::start_over(log, self.options(directory.path()));
            let result = Self::feed_into(&rig, &batches);
            end(&rig).and(result)?;
            log = rig.batches();
        }
        let ids = (1..=2 * CALLS).map(|number| format!("id-{number}"));
        written::holds(&directory.path().join(place), ids)
    }

    /// A plugin may accept or refuse these. It must not end its process, which is this one unless
    /// there is a command for a child.
    fn strange_configurations(&self) -> Result<(), String> {
        for config in [
            "",
            "null",
            "[]",
            "{\"\u{0}\":1}",
            "{",
            "{\"no such key\":[[[1e400]]]}",
        ] {
            let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
            let rig = Rig::start(self.options(directory.path()).config(config));
            rig.wait(PATIENCE, |status| status.up || status.last_error.is_some())?;
            let crash = rig.status().last_error.filter(LastError::is_end_of_process);
            end(&rig)?;
            if let Some(crash) = crash {
                return Err(format!("with the configuration {config:?}: {}", crash.text));
            }
        }
        Ok(())
    }
}

fn end(rig: &Rig) -> Result<(), String> {
    if rig.stop(Duration::from_secs(20)) {
        Ok(())
    } else {
        Err("it did not end within 20 s of being told to".to_owned())
    }
}

/// The symbols that a library exports, according to `nm`.
fn exported_symbols(library: &Path) -> Result<Vec<String>, String> {
    let output = Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(library)
        .output();
    let output = output.map_err(|error| format!("nm cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .map(str::to_owned)
        .collect())
}
