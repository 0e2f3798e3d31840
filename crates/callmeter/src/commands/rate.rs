//! `callmeter rate`: what a call costs by a deck, with every step.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use callmeter_journal::BatchSeq;
use callmeter_rating::{Built, Explanation, FreeSeconds, Options, Tariff};
use serde::Serialize;
use serde_json::value::RawValue;

use super::named_journal;
use crate::charging::{self, Dialled};
use crate::cli::{RateArgs, RateFormat};
use crate::config::{self, Config, Numbers};
use crate::exit::Failure;
use crate::pipeline::journal_failure;

/// Prints what a call costs.
///
/// # Errors
/// If there is no such deck, or it cannot be read.
pub fn run(args: &RateArgs) -> Result<(), Failure> {
    let used = UsedDeck::find(args)?;
    let text = answer(args, &used)?;
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::stdout)
}

/// What the call costs, in the requested format.
fn answer(args: &RateArgs, used: &UsedDeck) -> Result<String, Failure> {
    let deck = &used.built.deck;
    let number = match &used.numbers {
        None => Dialled::Number(Cow::Borrowed(&*args.number)),
        Some(numbers) => numbers.read(&args.number),
    };
    let explained = match &number {
        Dialled::Number(number) => Ok(deck.explain(&**number, args.seconds)),
        Dialled::Internal => Err(charging::INTERNAL),
    };
    match args.format {
        RateFormat::Table => Ok(table(args, used, explained.as_ref())),
        RateFormat::Json => json(args, used, explained.as_ref()),
    }
}

/// What the deck says of the number, or why it is not looked up.
type Explained<'e, 'd> = Result<&'e Explanation<'d>, &'e &'static str>;

/// A deck, and what was wrong with it.
struct UsedDeck {
    name: String,
    /// How the entry of `charges` reads numbers, if one was named.
    numbers: Option<Numbers>,
    built: Built,
    unreadable: Vec<String>,
}

impl UsedDeck {
    fn find(args: &RateArgs) -> Result<Self, Failure> {
        if Path::new(&args.deck).is_file() {
            if args.journal.journal.is_some() {
                return Err(Failure::usage(
                    "--journal is not read for a deck in a file; remove it",
                ));
            }
            return Self::of_file(Path::new(&args.deck), &Options::default());
        }
        if args.deck.contains('/') {
            return Err(Failure::failed(format!(
                "{} is not a file that can be read",
                args.deck
            )));
        }
        let configured = match &args.journal.journal {
            Some(_) => None,
            None => Some(config::load_for_stored_data(
                &args.journal.config.config_file,
            )?),
        };
        let entry = configured.as_ref().and_then(|config| entry(config, args));
        let options = entry.map_or_else(Options::default, |entry| entry.rating.clone());
        // The deck of an account has numbers with a country code.
        let numbers = entry.filter(|entry| entry.name == args.deck);
        let numbers = numbers.map(|entry| entry.numbers.clone());
        if let Some(config::Deck::File(path)) = entry.map(|entry| &entry.deck) {
            return Ok(Self {
                numbers,
                ..Self::of_file(path, &options)?
            });
        }
        let account = match entry.map(|entry| &entry.deck) {
            Some(config::Deck::Account(account)) => account.clone(),
            _ => args.deck.clone(),
        };
        let mut reader = named_journal::open(&args.journal)?;
        let state = reader
            .deck_state(&account, BatchSeq(u64::MAX))
            .map_err(journal_failure)?;
        if !state.has_rates() {
            return Err(Failure::failed(format!(
                "there is no file {account}, and the journal {} has no rates of an account {account}",
                reader.location()
            )));
        }
        let (built, _) = charging::build(&state, &options).map_err(Failure::failed)?;
        Ok(Self {
            name: format!("account {account}"),
            numbers,
            built,
            unreadable: Vec::new(),
        })
    }

    fn of_file(path: &Path, options: &Options) -> Result<Self, Failure> {
        let deck = charging::deck_of_file(path, options).map_err(Failure::failed)?;
        Ok(Self {
            name: path.display().to_string(),
            numbers: None,
            built: deck.built,
            unreadable: deck.unreadable,
        })
    }
}

/// The entry of `charges` with this name, or the one that uses the deck of this account.
fn entry<'c>(config: &'c Config, args: &RateArgs) -> Option<&'c config::Charging> {
    let by_name = config.charges.iter().find(|entry| entry.name == args.deck);
    by_name.or_else(|| {
        let deck = config::Deck::Account(args.deck.clone());
        config.charges.iter().find(|entry| entry.deck == deck)
    })
}

/// A line of the table.
struct Lines(String);

impl Lines {
    fn add(&mut self, title: &str, text: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{title:<18}{text}");
    }
}

fn table(args: &RateArgs, used: &UsedDeck, explained: Explained<'_, '_>) -> String {
    let mut lines = Lines(String::new());
    lines.add("number", format_args!("{}", args.number));
    if let Ok(Explanation {
        number: Some(number),
        ..
    }) = explained
    {
        lines.add("in digits", format_args!("{number}"));
    }
    let prefixes = used.built.deck.len();
    lines.add("deck", format_args!("{}, {prefixes} prefixes", used.name));
    for problem in &used.unreadable {
        lines.add("  not used", format_args!("{problem}"));
    }
    for problem in used.built.problems.iter().take(10) {
        lines.add("  problem", format_args!("{problem}"));
    }
    let unlisted = used.built.problems.len().saturating_sub(10);
    if unlisted > 0 {
        lines.add("  problem", format_args!("and {unlisted} more"));
    }
    match explained {
        Ok(explained) => steps_and_amount(&mut lines, args, used, explained),
        Err(_) => lines.add("amount", format_args!("0: the number is internal")),
    }
    lines.0
}

fn steps_and_amount(
    lines: &mut Lines,
    args: &RateArgs,
    used: &UsedDeck,
    explained: &Explanation<'_>,
) {
    let seconds = args.seconds.as_secs_f64();
    if let Some((rate, prefix)) = explained.rate {
        let tariff = rate.tariff();
        lines.add("longest prefix", format_args!("{prefix}"));
        let names = [rate.id(), rate.rate_type().unwrap_or_default()].join(" ");
        lines.add("rate", format_args!("{}", names.trim()));
        lines.add(
            "duration",
            format_args!("{seconds} s; below {} s it is free", tariff.grace_period),
        );
        if let Some(steps) = explained.steps {
            steps_of(lines, &tariff, steps, used.built.deck.options());
        }
    }
    match &explained.outcome {
        Ok(charge) => {
            lines.add("billed", format_args!("{} s", charge.billed_seconds));
            lines.add("amount", format_args!("{}", charge.amount));
        }
        Err(reason) if reason.is_free() => {
            lines.add("amount", format_args!("0: {reason}"));
        }
        Err(reason) => lines.add("amount", format_args!("unknown: {reason}")),
    }
}

fn steps_of(lines: &mut Lines, tariff: &Tariff, steps: callmeter_rating::Steps, options: &Options) {
    let (first, rounds) = (steps.first_seconds, steps.rounds);
    let (interval_1, interval_n) = (tariff.interval_1, tariff.interval_n);
    lines.add(
        "first interval",
        format_args!("{first} s at {} a minute", tariff.price_1),
    );
    let free = match options.free_seconds {
        FreeSeconds::AfterFirstInterval => "after the first interval",
        FreeSeconds::Start => "at the start",
    };
    lines.add("free", format_args!("{} s {free}", tariff.free_seconds));
    lines.add(
        "further intervals",
        format_args!(
            "{rounds} of {interval_n} s at {} a minute, for what exceeds {interval_1} + {} s",
            tariff.price_n, tariff.free_seconds
        ),
    );
    lines.add("connect fee", format_args!("{}", tariff.connect_fee));
    lines.add(
        "surcharge",
        format_args!("{} of everything", tariff.postcall_surcharge),
    );
    lines.add(
        "formula",
        format_args!(
            "({fee} + {first} · {p1} / 60 + {rounds} · {interval_n} · {pn} / 60) · (1 + {surcharge})",
            fee = tariff.connect_fee,
            p1 = tariff.price_1,
            pn = tariff.price_n,
            surcharge = tariff.postcall_surcharge,
        ),
    );
    if let Some((exact, is_all)) = steps.exact() {
        let more = if is_all { "" } else { "…" };
        lines.add("before rounding", format_args!("{exact}{more}"));
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    number: &'a str,
    normalised_number: Option<String>,
    seconds: Box<RawValue>,
    deck: &'a str,
    prefixes: usize,
    matched_prefix: Option<String>,
    rate: Option<RateAnswer<'a>>,
    first_seconds: Option<u32>,
    further_intervals: Option<u64>,
    exact_amount: Option<String>,
    billed_seconds: Option<u64>,
    amount: Option<Box<RawValue>>,
    reason: Option<&'static str>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct RateAnswer<'a> {
    id: Option<&'a str>,
    #[serde(rename = "type")]
    rate_type: Option<&'a str>,
    connect_fee: Box<RawValue>,
    interval_1: u32,
    price_1: Box<RawValue>,
    free_seconds: u32,
    interval_n: u32,
    price_n: Box<RawValue>,
    grace_period: u32,
    postcall_surcharge: Box<RawValue>,
}

/// A number with exactly these digits.
fn exact(number: impl std::fmt::Display) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(number.to_string()).map_err(Failure::failed)
}

fn json(args: &RateArgs, used: &UsedDeck, explained: Explained<'_, '_>) -> Result<String, Failure> {
    let (explained, internal) = match explained {
        Ok(explained) => (Some(explained), None),
        Err(reason) => (None, Some(*reason)),
    };
    let rate = match explained.and_then(|explained| explained.rate) {
        None => None,
        Some((rate, _)) => {
            let tariff = rate.tariff();
            Some(RateAnswer {
                id: Some(rate.id()).filter(|id| !id.is_empty()),
                rate_type: rate.rate_type(),
                connect_fee: exact(tariff.connect_fee)?,
                interval_1: tariff.interval_1,
                price_1: exact(tariff.price_1)?,
                free_seconds: tariff.free_seconds,
                interval_n: tariff.interval_n,
                price_n: exact(tariff.price_n)?,
                grace_period: tariff.grace_period,
                postcall_surcharge: exact(tariff.postcall_surcharge)?,
            })
        }
    };
    let (billed_seconds, amount, reason) = match explained.map(|explained| &explained.outcome) {
        Some(Ok(charge)) => (
            Some(charge.billed_seconds),
            Some(exact(charge.amount)?),
            None,
        ),
        Some(Err(reason)) if !reason.is_free() => (None, None, Some(reason.name())),
        Some(Err(reason)) => (Some(0), Some(exact(0)?), Some(reason.name())),
        None => (Some(0), Some(exact(0)?), internal),
    };
    let steps = explained.and_then(|explained| explained.steps);
    let listed = used.built.problems.iter().map(ToString::to_string);
    let answer = Answer {
        number: &args.number,
        normalised_number: explained
            .and_then(|explained| explained.number)
            .map(|number| number.to_string()),
        seconds: exact(args.seconds.as_secs_f64())?,
        deck: &used.name,
        prefixes: used.built.deck.len(),
        matched_prefix: explained
            .and_then(|explained| explained.rate)
            .map(|(_, prefix)| prefix.to_string()),
        rate,
        first_seconds: steps.map(|steps| steps.first_seconds),
        further_intervals: steps.map(|steps| steps.rounds),
        exact_amount: steps.and_then(|steps| steps.exact()).map(|(text, _)| text),
        billed_seconds,
        amount,
        reason,
        problems: used.unreadable.iter().cloned().chain(listed).collect(),
    };
    let mut text = serde_json::to_string_pretty(&answer).map_err(Failure::failed)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    const DECK: &str = "id,prefix,type,free_seconds,grace_period,interval_1,interval_n,connect_fee,postcall_surcharge,price_1,price_n\n\
        r1,+41 79,MOBILE,15,0,60,30,0.1,0.05,0.6,0.3\n\
        r2,41,LOCAL,0,6,1,1,0,0,0.00001,0.1\n\
        r3,42,LOCAL,0,0,0,1,0,0,1,1\n\
        r4,4179,MOBILE,15,0,60,30,0.1,0.05,0.6,0.3\n\
        r5,43\n";

    fn rated(number: &str, seconds: &str, format: &str) -> String {
        rated_by(DECK, number, seconds, format)
    }

    fn rated_by(deck: &str, number: &str, seconds: &str, format: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deck.csv");
        std::fs::write(&path, deck).unwrap();
        let deck = format!("--deck={}", path.display());
        let format = format!("--format={format}");
        let text = said(&["callmeter", "rate", number, seconds, &deck, &format]);
        text.replace(&path.display().to_string(), "deck.csv")
    }

    fn said(arguments: &[&str]) -> String {
        let cli = Cli::try_parse_from(arguments).unwrap();
        let Some(Command::Rate(args)) = cli.command else {
            panic!("another command");
        };
        let used = UsedDeck::find(&args).unwrap();
        answer(&args, &used).unwrap()
    }

    /// With an entry of `charges`, a number is read as the entry reads it.
    #[test]
    fn an_entry_says_how_numbers_are_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("deck.csv"), DECK).unwrap();
        let config = dir.path().join("callmeter.yml");
        let text = "journal: { path: j.db }\naccounts:\n  - name: acme\n    hostedsuite: { url: 'http://a', customer: a, username: u, \
            password_file: p, time_zone: UTC }\ncharges:\n  - { name: spend, account: acme, deck: ./deck.csv, \
            currency: CHF, numbers: { country_code: '41', trunk_prefix: '0' } }\n";
        std::fs::write(&config, text).unwrap();
        let config = format!("--config.file={}", config.display());
        let rated = |number: &str, format: &str| {
            let format = format!("--format={format}");
            let arguments = [
                "callmeter",
                "rate",
                number,
                "185",
                "--deck=spend",
                &config,
                &format,
            ];
            said(&arguments).replace(&dir.path().display().to_string(), ".")
        };
        insta::assert_snapshot!("national", rated("079 555 12 34", "table"));
        insta::assert_snapshot!("internal", rated("123", "table"));
        insta::assert_snapshot!("internal_json", rated("123", "json"));
    }

    /// The deck and the answer in docs/CHARGES.md.
    #[test]
    fn the_documented_example_is_true() {
        let page = std::fs::read_to_string("../../docs/CHARGES.md").unwrap();
        let block = |start: &str| {
            let (_, rest) = page.split_once(start).unwrap();
            rest.split_once("```").unwrap().0.to_owned()
        };
        let answer = block("$ callmeter rate \"+41 79 555 12 34\" 185 --deck ./deck.csv\n");
        let shown = rated_by(&block("```csv\n"), "+41 79 555 12 34", "185", "table");
        assert_eq!(shown.replace("deck.csv", "./deck.csv"), answer);
    }

    #[test]
    fn every_step_is_shown() {
        insta::assert_snapshot!("charged", rated("+41 79 555 12 34", "185", "table"));
        insta::assert_snapshot!("charged_json", rated("+41 79 555 12 34", "185", "json"));
        insta::assert_snapshot!("rounded", rated("41 44 555", "7", "table"));
        insta::assert_snapshot!("below_grace", rated("41 44 555", "5.9", "table"));
        insta::assert_snapshot!("below_grace_json", rated("41 44 555", "5.9", "json"));
        insta::assert_snapshot!("unusable", rated("42", "60", "table"));
        insta::assert_snapshot!("unusable_json", rated("42", "60", "json"));
        insta::assert_snapshot!("no_match", rated("+1 555", "60", "table"));
        insta::assert_snapshot!("no_number", rated("anonymous", "60", "table"));
    }
}
