//! Runs every step, even after a failure, and prints a table of the results.

use std::time::{Duration, Instant};

use crate::shell::Error;

/// How a step ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// A part of it could not run, for this reason. It does not fail the report.
    Skipped(String),
    Failed(String),
}

impl From<Result<(), Error>> for Outcome {
    fn from(result: Result<(), Error>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

impl Outcome {
    /// The worse of two.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Failed(one), Self::Failed(two)) => Self::Failed(format!("{one}; {two}")),
            (Self::Failed(why), _) | (_, Self::Failed(why)) => Self::Failed(why),
            (Self::Skipped(why), _) | (_, Self::Skipped(why)) => Self::Skipped(why),
            (Self::Passed, Self::Passed) => Self::Passed,
        }
    }
}

/// The steps that have run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    only: Vec<String>,
    steps: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// A report that runs only the steps with these names, or all if there are none.
    pub(crate) fn only(names: &[String]) -> Self {
        Self {
            only: names.to_owned(),
            ..Self::default()
        }
    }

    /// Runs a step under a heading.
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce() -> Outcome) {
        if !self.only.is_empty() && !self.only.iter().any(|wanted| wanted == name) {
            return;
        }
        eprintln!("\n==== {name}");
        let began = Instant::now();
        let outcome = work();
        if let Outcome::Failed(why) | Outcome::Skipped(why) = &outcome {
            eprintln!("{why}");
        }
        self.steps.push((name, outcome, began.elapsed()));
    }

    /// Prints the table; fails if a step failed.
    pub(crate) fn finish(self) -> Result<(), Error> {
        println!("\n==== steps");
        let mut failed = Vec::new();
        for (name, outcome, took) in &self.steps {
            let seconds = took.as_secs_f64();
            let (word, why) = match outcome {
                Outcome::Passed => ("passed", ""),
                Outcome::Skipped(why) => ("skipped", why.as_str()),
                Outcome::Failed(why) => ("FAILED", why.as_str()),
            };
            let why = why.lines().next().unwrap_or_default();
            println!("{word:<8}{seconds:>8.1} s  {name:<14}{why}");
            if matches!(outcome, Outcome::Failed(_)) {
                failed.push(*name);
            }
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(Error::Found(format!("failed: {}", failed.join(", "))))
        }
    }
}
