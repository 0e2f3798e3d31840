//! Steps that all run, whatever becomes of the others, and the table of how they ended.

use std::time::{Duration, Instant};

use crate::shell::Error;

/// How a step ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Well.
    Passed,
    /// It was not run, for this reason.
    Skipped(String),
    /// Badly, for this reason.
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
            (Self::Skipped(one), Self::Skipped(two)) => Self::Skipped(format!("{one}; {two}")),
            (Self::Skipped(why), Self::Passed) | (Self::Passed, Self::Skipped(why)) => {
                Self::Skipped(why)
            }
            (Self::Passed, Self::Passed) => Self::Passed,
        }
    }
}

/// What has been run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    only: Vec<String>,
    steps: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// A report that runs only steps of these names; all when there are none.
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

    /// Prints the table; fails if a step failed, and, when `strict`, if one was skipped.
    pub(crate) fn finish(self, strict: bool) -> Result<(), Error> {
        println!("\n==== steps");
        let mut bad = Vec::new();
        for (name, outcome, took) in &self.steps {
            let seconds = took.as_secs_f64();
            let (word, why) = match outcome {
                Outcome::Passed => ("passed", ""),
                Outcome::Skipped(why) => ("skipped", why.as_str()),
                Outcome::Failed(why) => ("FAILED", why.as_str()),
            };
            let why = why.lines().next().unwrap_or_default();
            println!("{word:<8}{seconds:>8.1} s  {name:<14}{why}");
            if matches!(outcome, Outcome::Failed(_))
                || (strict && matches!(outcome, Outcome::Skipped(_)))
            {
                bad.push(*name);
            }
        }
        if bad.is_empty() {
            Ok(())
        } else {
            Err(Error::Found(format!("not passed: {}", bad.join(", "))))
        }
    }
}
