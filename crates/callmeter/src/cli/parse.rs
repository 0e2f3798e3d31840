//! Reads the command line, and refuses flags that would be ignored.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::Cli;

impl Cli {
    /// Reads the command line. A mistake ends the program with exit code 2.
    pub fn read() -> Self {
        Self::try_read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn try_read<T: Into<std::ffi::OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(arguments)?;
        if let Some((name, flags)) = innermost(&matches)
            && let Some(problem) = ignored(name, flags)
        {
            return Err(Self::command().error(ErrorKind::ArgumentConflict, problem));
        }
        Self::from_arg_matches(&matches)
    }
}

/// The command that runs, and its flags.
fn innermost(matches: &ArgMatches) -> Option<(&str, &ArgMatches)> {
    let (name, flags) = matches.subcommand()?;
    innermost(flags).or(Some((name, flags)))
}

/// A flag of the command line that another one makes useless. The environment may name a
/// configuration file for all commands, so that one is no mistake.
fn ignored(command: &str, flags: &ArgMatches) -> Option<&'static str> {
    let is_given = |flag: &str| {
        let source = flags.try_contains_id(flag).ok();
        source.and_then(|_| flags.value_source(flag)) == Some(ValueSource::CommandLine)
    };
    if !is_given("config_file") {
        return None;
    }
    if is_given("file") && command == "check-config" {
        return Some("name the configuration once: as FILE, or with --config.file");
    }
    // `charges` needs both.
    (is_given("journal") && command != "charges")
        .then_some("--config.file is not read with --journal; remove one of them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_would_be_ignored_is_refused() {
        let period = ["--from=2026-01-01", "--to=2026-01-02"];
        let both = ["--config.file=a.yml", "--journal=j.db"];
        for (command, flags, is_valid) in [
            (vec!["check-config"], vec!["a.yml"], true),
            (vec!["check-config"], vec!["--config.file=a.yml"], true),
            (
                vec!["check-config"],
                vec!["--config.file=a.yml", "b.yml"],
                false,
            ),
            (vec!["export"], period.to_vec(), true),
            (vec!["export"], [period, both].concat(), false),
            (vec!["charges"], [period, both].concat(), true),
            (vec!["journal", "verify"], both.to_vec(), false),
            (vec!["journal", "stats"], vec![both[1]], true),
            (
                vec!["journal", "backup"],
                [&both[..1], &["copy.db"]].concat(),
                true,
            ),
            (vec!["rate", "1", "1", "--deck=a"], both.to_vec(), false),
        ] {
            let arguments: Vec<_> = [vec!["callmeter"], command, flags].concat();
            let read = Cli::try_read(&arguments);
            assert_eq!(read.is_ok(), is_valid, "{arguments:?}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_refused() {
        for command in ["export", "charges"] {
            let error = Cli::try_read(["callmeter", command, "--from=monday", "--to=2026-01-02"]);
            let error = error.unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let said = error.to_string();
            assert!(said.contains("write a day, such as 2026-01-31"), "{said}");
        }
    }
}
