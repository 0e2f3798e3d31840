//! Validation of the entries of `charges`.

use callmeter_rating::{
    CostRounding, DuplicatePrefix, DurationRounding, FreeSeconds, NumberOptions, Options,
    ZeroDuration,
};
use callmeter_records::{CallField, Direction};

use super::accounts::sections;
use super::charge_model::{Charging, Deck, NumberColumn, Numbers, Rule};
use super::model::{Account, Api};
use super::output_from::OutputFrom;
use yaml_sections::{Section, Text};

const DIRECTIONS: [(&str, Direction); 5] = [
    ("incoming", Direction::Incoming),
    ("outgoing", Direction::Outgoing),
    ("transfer", Direction::Transfer),
    ("other", Direction::Other),
    ("unknown", Direction::Unknown),
];

const TIMES: [(&str, CallField); 6] = [
    ("duration", CallField::Duration),
    ("ring", CallField::Ring),
    ("hold", CallField::Hold),
    ("talk", CallField::Talk),
    ("transfer", CallField::Transfer),
    ("work", CallField::Work),
];

const NUMBERS: [(&str, NumberColumn); 2] = [
    ("caller_number", NumberColumn::Caller),
    ("transfer_to_number", NumberColumn::TransferTo),
];

/// The number of entries is limited: each has a thread and a cursor.
const MAX_ENTRIES: usize = 64;

pub(super) fn charges(file: &mut Section<'_>, accounts: &[Account]) -> Vec<Charging> {
    let nodes = file.list("charges").unwrap_or_default();
    if let Some(first_too_many) = nodes.get(MAX_ENTRIES) {
        let message = format!("more than {MAX_ENTRIES} entries");
        let at = Some(first_too_many.referenced);
        file.problems().mistake(at, "charges", message, None);
    }
    let why = "its charges are stored under it";
    let mut charged: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for (name, mut section) in sections(file, "charges", nodes, why) {
        if let Some(name) = &name
            && accounts.iter().any(|account| account.name == *name)
        {
            let hint = "choose another name: rates of a file are stored under it".to_owned();
            let message = format!("{name:?} is the name of an account");
            section.mistake("name", message, Some(hint));
        }
        let Some(entry) = entry(&mut section, name, accounts) else {
            continue;
        };
        if charged.contains(&entry.account) {
            let hint = "its totals would be those of both; put all rules into one entry";
            let message = format!("account {} has another entry of charges", entry.account);
            section.mistake("account", message, Some(hint.to_owned()));
        }
        charged.push(entry.account.clone());
        found.push(entry);
    }
    found
}

fn entry(
    section: &mut Section<'_>,
    name: Option<String>,
    accounts: &[Account],
) -> Option<Charging> {
    let account = calls_account(section, accounts);
    let deck = deck(section, accounts);
    let currency = currency(section, deck.as_ref(), accounts);
    let from = section.word(
        "from",
        OutputFrom::Oldest,
        &[("oldest", OutputFrom::Oldest), ("now", OutputFrom::Now)],
    );
    let rules = rules(section);
    let numbers = numbers(section);
    let rating = rating(section);
    Some(Charging {
        name: name?,
        account: account?,
        deck: deck?,
        currency,
        from,
        rules,
        numbers: numbers?,
        rating: rating?,
    })
}

fn calls_account(section: &mut Section<'_>, accounts: &[Account]) -> Option<String> {
    let text = section.required("account", "the HostedSuite account whose calls are charged")?;
    let account = accounts.iter().find(|account| account.name == text.value);
    let hint = Some("name an account with hostedsuite and calls".to_owned());
    match account.map(|account| &account.api) {
        Some(Api::HostedSuite(api)) if api.calls.is_some() => {}
        Some(_) => section.mistake("account", format!("{:?} has no calls", text.value), hint),
        // Mistakes in the account itself hide it.
        None if accounts.is_empty() => {}
        None => section.mistake(
            "account",
            format!("there is no account {:?}", text.value),
            hint,
        ),
    }
    Some(text.value)
}

fn deck(section: &mut Section<'_>, accounts: &[Account]) -> Option<Deck> {
    let teach = "a PortSIP account whose rates are read, or a file with a / in its path";
    let text = section.required("deck", teach)?;
    let account = accounts.iter().find(|account| account.name == text.value);
    match account.map(|account| &account.api) {
        Some(Api::PortSip(api)) => {
            if api.rates.is_none() {
                let message = format!("the rates of account {:?} are not read", text.value);
                let hint = "set rates.enabled of that account".to_owned();
                section.mistake("deck", message, Some(hint));
            }
            Some(Deck::Account(text.value))
        }
        Some(Api::HostedSuite(_)) => {
            let message = format!("account {:?} has no rates", text.value);
            section.mistake("deck", message, Some(teach.to_owned()));
            None
        }
        None if text.value.contains('/') => {
            let path = section.path(&text);
            if section.problems().connects
                && let Err(error) = std::fs::File::open(&path)
            {
                // It may come later. A start must not fail because of it.
                let message = format!(
                    "cannot read {}: {error}; calls wait, or are charged by the rates that were \
                     read of it last",
                    path.display()
                );
                section
                    .problems()
                    .warning(Some(text.at), &text.key, message);
            }
            Some(Deck::File(path))
        }
        None if accounts.is_empty() => None,
        None => {
            let message = format!("there is no account {:?}", text.value);
            section.mistake("deck", message, Some(teach.to_owned()));
            None
        }
    }
}

fn currency(
    section: &mut Section<'_>,
    deck: Option<&Deck>,
    accounts: &[Account],
) -> Option<String> {
    let text = section.text("currency");
    if let Some(text) = &text
        && !crate::currency::is_code(&text.value)
    {
        let message = format!("{:?} is not a currency", text.value);
        section.mistake(
            "currency",
            message,
            Some("write three capital letters, such as USD".to_owned()),
        );
    }
    if text.is_none() {
        let why = match deck {
            Some(Deck::File(_)) => Some("a file does not say it"),
            Some(Deck::Account(name)) => {
                let account = accounts.iter().find(|account| account.name == *name);
                let is_read = account.is_some_and(
                    |account| matches!(&account.api, Api::PortSip(api) if api.billing.is_some()),
                );
                (!is_read)
                    .then_some("the billing settings of the account, which say it, are not read")
            }
            None => None,
        };
        if let Some(why) = why {
            let hint = format!("write three letters, such as USD: {why}");
            section.mistake("currency", "is missing", Some(hint));
        }
    }
    text.map(|text| text.value)
}

/// Outgoing calls for their talk time, and transfers for the time of the transfer.
fn default_rules() -> Vec<Rule> {
    vec![
        Rule {
            name: "outgoing".to_owned(),
            directions: vec![Direction::Outgoing],
            centers: Vec::new(),
            number: NumberColumn::Caller,
            times: vec![CallField::Talk],
        },
        Rule {
            name: "transfers".to_owned(),
            directions: Vec::new(),
            centers: Vec::new(),
            number: NumberColumn::TransferTo,
            times: vec![CallField::Transfer],
        },
    ]
}

fn rules(section: &mut Section<'_>) -> Vec<Rule> {
    if section.node("rules").is_none() {
        return default_rules();
    }
    let list = section.key_of("rules");
    let nodes = section.list("rules").unwrap_or_default();
    if nodes.is_empty() {
        let hint = "leave the key out for the default rules".to_owned();
        section.mistake("rules", "has no rule", Some(hint));
    }
    let why = "charges are stored under it";
    let rules = sections(section, &list, nodes, why);
    rules
        .into_iter()
        .filter_map(|(name, mut rule)| {
            let directions = words(&mut rule, "directions", &DIRECTIONS);
            let centers = rule.texts("centers").unwrap_or_default();
            let number = rule.word("number", NumberColumn::Caller, &NUMBERS);
            let mut times = words(&mut rule, "time", &TIMES);
            if times.is_empty() {
                times = match number {
                    NumberColumn::Caller => vec![CallField::Talk],
                    NumberColumn::TransferTo => vec![CallField::Transfer],
                };
            }
            Some(Rule {
                name: name?,
                directions,
                centers: centers.into_iter().map(|text| text.value).collect(),
                number,
                times,
            })
        })
        .collect()
}

fn words<T: Copy + PartialEq>(
    section: &mut Section<'_>,
    name: &'static str,
    known: &[(&str, T)],
) -> Vec<T> {
    let mut found = Vec::new();
    for text in section.texts(name).unwrap_or_default() {
        if let Some(word) = section.word_of(&text, known)
            && !found.contains(&word)
        {
            found.push(word);
        }
    }
    found
}

/// Numbers of up to so many digits are extensions.
const INTERNAL_DIGITS: usize = 5;

fn numbers(section: &mut Section<'_>) -> Option<Numbers> {
    let mut numbers = section.section("numbers")?;
    let country_code = digits(&mut numbers, "country_code");
    let trunk_prefix = digits(&mut numbers, "trunk_prefix");
    let international_prefixes = many_digits(&mut numbers, "international_prefixes");
    let internal_digits = numbers.number("internal_digits", INTERNAL_DIGITS, 0..=15);
    let internal_prefixes = many_digits(&mut numbers, "internal_prefixes");
    if trunk_prefix.is_some() && country_code.is_none() {
        let hint = "national numbers need one to match the deck".to_owned();
        numbers.mistake("trunk_prefix", "is set without country_code", Some(hint));
    }
    Some(Numbers {
        country_code,
        trunk_prefix,
        international_prefixes,
        internal_digits,
        internal_prefixes,
    })
}

fn digits(section: &mut Section<'_>, name: &'static str) -> Option<String> {
    let text = section.text(name)?;
    checked_digits(section, &text)
}

fn many_digits(section: &mut Section<'_>, name: &'static str) -> Vec<String> {
    let texts = section.texts(name).unwrap_or_default();
    let texts = texts.iter();
    texts
        .filter_map(|text| checked_digits(section, text))
        .collect()
}

fn checked_digits(section: &Section<'_>, text: &Text) -> Option<String> {
    let is_valid = (1..=15).contains(&text.value.len())
        && text
            .value
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'*' || byte == b'#');
    if !is_valid {
        let message = format!("{:?} is not the beginning of a number", text.value);
        let hint = "write 1 to 15 digits, without + and blanks, in quotation marks".to_owned();
        section
            .problems()
            .mistake(Some(text.at), &text.key, message, Some(hint));
        return None;
    }
    Some(text.value.clone())
}

fn rating(section: &mut Section<'_>) -> Option<Options> {
    let mut rating = section.section("rating")?;
    let default = Options::default();
    Some(Options {
        number: NumberOptions {
            strip_prefixes: many_digits(&mut rating, "strip_prefixes"),
            keep_plus: rating.boolean("keep_plus", default.number.keep_plus),
        },
        duplicate_prefix: rating.word(
            "duplicate_prefix",
            default.duplicate_prefix,
            &[
                ("last", DuplicatePrefix::Last),
                ("first", DuplicatePrefix::First),
                ("reject", DuplicatePrefix::Reject),
            ],
        ),
        zero_duration: rating.word(
            "zero_duration",
            default.zero_duration,
            &[
                ("connect_fee", ZeroDuration::ConnectFee),
                ("first_interval", ZeroDuration::FirstInterval),
                ("free", ZeroDuration::Free),
            ],
        ),
        duration_rounding: rating.word(
            "duration_rounding",
            default.duration_rounding,
            &[
                ("as_given", DurationRounding::AsGiven),
                ("up", DurationRounding::Up),
                ("nearest", DurationRounding::Nearest),
            ],
        ),
        free_seconds: rating.word(
            "free_seconds_position",
            default.free_seconds,
            &[
                ("after_first_interval", FreeSeconds::AfterFirstInterval),
                ("start", FreeSeconds::Start),
            ],
        ),
        cost_decimals: rating.number("cost_decimals", default.cost_decimals, 0..=5),
        cost_rounding: rating.word(
            "cost_rounding",
            default.cost_rounding,
            &[
                ("half_up", CostRounding::HalfUp),
                ("half_even", CostRounding::HalfEven),
                ("up", CostRounding::Up),
                ("down", CostRounding::Down),
            ],
        ),
    })
}
