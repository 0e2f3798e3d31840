//! An entry of `charges` in words.

use callmeter_rating::{
    CostRounding, DuplicatePrefix, DurationRounding, FreeSeconds, Options, ZeroDuration,
};

use crate::config::{Charging, Deck, NumberColumn, Numbers, OutputFrom, Rule};

/// How an entry was read, one sentence a line.
pub(crate) fn describe(entry: &Charging) -> String {
    let deck = match &entry.deck {
        Deck::Account(account) => format!("the rates of account {account}"),
        Deck::File(path) => format!("the rates in {}", path.display()),
    };
    let currency = match &entry.currency {
        Some(currency) => format!("in {currency}"),
        None => "in the currency of its billing settings".to_owned(),
    };
    let from = match entry.from {
        OutputFrom::Oldest => {
            "all calls that the journal holds when the entry is new, and later ones"
        }
        OutputFrom::Now => "only calls that are journaled after the entry is new",
    };
    let mut lines = vec![format!(
        "charges {}: calls of account {} cost what {deck} say, {currency}; {from}",
        entry.name, entry.account
    )];
    lines.extend(entry.rules.iter().map(rule));
    lines.extend(numbers(&entry.numbers));
    lines.push(rating(&entry.rating));
    lines.join("\n  ")
}

fn rule(rule: &Rule) -> String {
    let mut which = Vec::new();
    if !rule.directions.is_empty() {
        let names: Vec<_> = rule.directions.iter().map(|one| one.as_str()).collect();
        which.push(format!("are {}", names.join(" or ")));
    }
    if !rule.centers.is_empty() {
        which.push(format!("belong to center {}", rule.centers.join(" or ")));
    }
    if rule.number == NumberColumn::TransferTo {
        which.push("were transferred to a number".to_owned());
    }
    let calls = match which.as_slice() {
        [] => "all calls".to_owned(),
        some => format!("calls that {}", some.join(" and ")),
    };
    let times: Vec<_> = rule.times.iter().map(|field| field.name()).collect();
    format!(
        "rule {}: {calls} are charged by {} for their {} time",
        rule.name,
        rule.number.name(),
        times.join(" + ")
    )
}

fn numbers(numbers: &Numbers) -> Vec<String> {
    let mut lines = Vec::new();
    let quoted = |texts: &[String]| texts.join(" or ");
    if !numbers.international_prefixes.is_empty() {
        lines.push(format!(
            "numbers that begin with {} are international: the deck is searched for what follows",
            quoted(&numbers.international_prefixes)
        ));
    }
    match (&numbers.country_code, &numbers.trunk_prefix) {
        (Some(code), Some(trunk)) => lines.push(format!(
            "other numbers without + lose a leading {trunk} and get {code} in front"
        )),
        (Some(code), None) => {
            lines.push(format!("other numbers without + get {code} in front"));
        }
        (None, _) => lines.push("numbers without + are taken as they are".to_owned()),
    }
    if numbers.internal_digits > 0 {
        lines.push(format!(
            "numbers of up to {} digits are internal and free",
            numbers.internal_digits
        ));
    }
    if !numbers.internal_prefixes.is_empty() {
        lines.push(format!(
            "numbers that begin with {} are internal and free",
            quoted(&numbers.internal_prefixes)
        ));
    }
    lines
}

fn rating(options: &Options) -> String {
    let rounding = match options.cost_rounding {
        CostRounding::HalfUp => "to the nearest, halves up",
        CostRounding::HalfEven => "to the nearest, halves to even",
        CostRounding::Up => "up",
        CostRounding::Down => "down",
    };
    let zero = match options.zero_duration {
        ZeroDuration::ConnectFee => "cost the connect fee",
        ZeroDuration::FirstInterval => "cost the first interval",
        ZeroDuration::Free => "are free",
    };
    let fraction = match options.duration_rounding {
        DurationRounding::AsGiven => "count as they are",
        DurationRounding::Up => "are rounded up",
        DurationRounding::Nearest => "are rounded to the nearest",
    };
    let free = match options.free_seconds {
        FreeSeconds::AfterFirstInterval => "after the first interval",
        FreeSeconds::Start => "at the start",
    };
    let duplicate = match options.duplicate_prefix {
        DuplicatePrefix::Last => "the last of two rates for a prefix counts",
        DuplicatePrefix::First => "the first of two rates for a prefix counts",
        DuplicatePrefix::Reject => "a prefix with two rates is not charged",
    };
    format!(
        "amounts are rounded {rounding}, to {} decimal places; answered calls of no length {zero}; \
         fractions of a second {fraction}; free seconds come {free}; {duplicate}",
        options.cost_decimals
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    #[test]
    fn an_entry_is_explained() {
        let loaded = config::load(Path::new("testdata/config/valid.yml")).unwrap();
        insta::assert_snapshot!("by_default", describe(&loaded.config.charges[0]));
        let directory = tempfile::tempdir().unwrap();
        for file in ["p", "deck.csv"] {
            std::fs::write(directory.path().join(file), "x\n").unwrap();
        }
        let file = directory.path().join("callmeter.yml");
        std::fs::write(&file, include_str!("testdata/every-key.yml")).unwrap();
        let loaded = config::load(&file).unwrap();
        let text = describe(&loaded.config.charges[0]);
        let text = text.replace(&directory.path().display().to_string(), "DIRECTORY");
        insta::assert_snapshot!("every_key", text);
    }
}
