//! The flags of `charges` and `rate`.

use clap::{Args, ValueEnum};

use super::files::JournalArg;
use super::period::PeriodArgs;

/// Flags of `charges`.
#[derive(Debug, Clone, Args)]
pub struct ChargesArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub period: PeriodArgs,
    /// Rate by this deck: a file, or a PortSIP account whose rates are in the journal. By default
    /// by the decks as they were for each call
    #[arg(long, value_name = "FILE|ACCOUNT")]
    pub deck: Option<String>,
    /// The entry of `charges`, if there are several
    #[arg(long, value_name = "NAME")]
    pub charge: Option<String>,
    /// What is added up
    #[arg(long, value_enum, value_name = "GROUP", default_value_t = ChargeGroup::Client)]
    pub group: ChargeGroup,
    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ChargesFormat::Table)]
    pub format: ChargesFormat,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub journal: JournalArg,
}

/// What `charges` adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChargeGroup {
    /// The charges of a client
    Client,
    /// The charges of a center
    Center,
    /// The charges of calls that began on a day (UTC)
    Day,
}

/// How the report of `charges` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChargesFormat {
    /// Lines for the terminal, with the calls that differ
    Table,
    /// A header line, then a line per group
    Csv,
    /// A JSON object, with the calls that differ
    Json,
}

/// Flags of `rate`.
#[derive(Debug, Clone, Args)]
pub struct RateArgs {
    /// The number that is called, such as +41791234567
    #[arg(value_name = "NUMBER")]
    pub number: String,
    /// How long the call lasts, in seconds
    #[arg(value_name = "SECONDS", value_parser = parse_seconds)]
    pub seconds: std::time::Duration,
    /// A file with rates, a PortSIP account whose rates are in the journal, or an entry of
    /// `charges`
    #[arg(long, value_name = "FILE|ACCOUNT")]
    pub deck: String,
    /// Format of the answer
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = RateFormat::Table)]
    pub format: RateFormat,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub journal: JournalArg,
}

/// How the answer of `rate` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RateFormat {
    /// Lines for the terminal
    Table,
    /// A JSON object
    Json,
}

/// Reads seconds with up to three decimal places.
fn parse_seconds(text: &str) -> Result<std::time::Duration, String> {
    let teach = || "write seconds, such as 185 or 0.5".to_owned();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 3 {
        return Err(teach());
    }
    let millis: u64 = format!("{fraction:0<3}").parse().map_err(|_| teach())?;
    let seconds: u64 = whole.parse().map_err(|_| teach())?;
    Ok(std::time::Duration::from_secs(seconds) + std::time::Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction() {
        for (text, millis) in [("185", 185_000), ("0.5", 500), ("1.25", 1_250), ("0", 0)] {
            assert_eq!(
                parse_seconds(text),
                Ok(std::time::Duration::from_millis(millis))
            );
        }
        for text in [
            "",
            "-1",
            "1e3",
            "1.2345",
            ".5",
            "1.",
            "a",
            "99999999999999999999",
        ] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }
}
