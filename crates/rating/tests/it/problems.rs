//! Rows that cannot be used, and prefixes that occur twice.

use std::time::Duration;

use callmeter_rating::{Amount, DuplicatePrefix, NotCharged, Options, Row, ValueError};

use crate::decks::{build, flat};

#[test]
fn a_bad_row_is_a_problem_and_its_prefix_is_not_charged() {
    let good = flat("41", "1");
    let long = "7".repeat(65);
    let rows = [
        good,
        Row {
            prefix: Some("411"),
            price_1: Err(ValueError::Unreadable),
            ..good
        },
        Row {
            prefix: Some("412"),
            price_n: Err(ValueError::TooPrecise),
            ..good
        },
        Row {
            prefix: Some("413"),
            connect_fee: Err(ValueError::Missing),
            ..good
        },
        Row {
            prefix: Some("414"),
            interval_1: Ok(0),
            ..good
        },
        Row {
            prefix: Some("415"),
            grace_period: Ok(-1),
            ..good
        },
        Row {
            prefix: Some("416"),
            interval_n: Ok(1 << 32),
            ..good
        },
        Row {
            prefix: Some("417"),
            price_1: Ok(Amount::from_units(-1)),
            ..good
        },
        Row {
            prefix: None,
            ..good
        },
        Row {
            prefix: Some(" + "),
            ..good
        },
        Row {
            prefix: Some("41x"),
            ..good
        },
        Row {
            prefix: Some(&long),
            ..good
        },
    ];
    let built = build(&rows, &Options::default());
    let listed: Vec<_> = built.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(listed.join("\n").replace(&long, "7…7"), @r"
    row 2 (prefix `411`): price_1 cannot be read; calls to this prefix are not charged
    row 3 (prefix `412`): price_n has more than five decimal places; calls to this prefix are not charged
    row 4 (prefix `413`): connect_fee is missing; calls to this prefix are not charged
    row 5 (prefix `414`): interval_1 is out of range (1 to 2147483647); calls to this prefix are not charged
    row 6 (prefix `415`): grace_period is out of range (0 to 2147483647); calls to this prefix are not charged
    row 7 (prefix `416`): interval_n is out of range (1 to 2147483647); calls to this prefix are not charged
    row 8 (prefix `417`): price_1 is out of range (0 to 92233720368547.75807); calls to this prefix are not charged
    row 9: it has no prefix; calls to it may be charged by a shorter prefix
    row 10 (prefix ` + `): it has no prefix; calls to it may be charged by a shorter prefix
    row 11 (prefix `41x`): the prefix has other characters than numbers have; no call matches it
    row 12 (prefix `7…7`): the prefix has more than 64 symbols; no call matches it
    ");
    assert_eq!((built.bad_rows, built.deck.len()), (11, 8));
    let minute = Duration::from_mins(1);
    for last in '1'..='7' {
        let number = format!("41{last}000");
        assert_eq!(
            built.deck.rate(&*number, minute),
            Err(NotCharged::UnusableRate)
        );
    }
    assert!(built.deck.rate("418000", minute).is_ok());
}

#[test]
fn a_prefix_that_occurs_twice() {
    // The same prefix in two spellings, and once more.
    let rows = [
        flat("41", "1"),
        flat("+41", "2"),
        flat("4 1", "3"),
        flat("4", "9"),
    ];
    for (duplicate_prefix, amount, text) in [
        (DuplicatePrefix::Last, Ok("3"), "the last one counts"),
        (DuplicatePrefix::First, Ok("1"), "the first one counts"),
        (
            DuplicatePrefix::Reject,
            Err(NotCharged::DuplicatePrefix),
            "calls to this prefix are not charged",
        ),
    ] {
        let options = Options {
            duplicate_prefix,
            ..Options::default()
        };
        let built = build(&rows, &options);
        let charge = built.deck.rate("4144", Duration::from_mins(1));
        let found = charge.map(|charge| charge.amount.to_string());
        assert_eq!(found.as_deref(), amount.as_deref());
        assert_eq!(
            (built.duplicates, built.bad_rows, built.deck.len()),
            (2, 0, 2)
        );
        let listed: Vec<_> = built.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            listed,
            [
                format!("row 2 (prefix `41`): row 1 has the same prefix; {text}"),
                format!("row 3 (prefix `41`): row 1 has the same prefix; {text}"),
            ]
        );
    }
}

#[test]
fn an_empty_deck_charges_nothing() {
    let built = build(&[], &Options::default());
    assert!(built.deck.is_empty());
    let charge = built.deck.rate("41", Duration::from_mins(1));
    assert_eq!(charge, Err(NotCharged::NoMatch));
}

#[test]
fn problems_are_listed_up_to_a_thousand() {
    let row = Row::default();
    let built = build(&vec![row; 5_000], &Options::default());
    assert_eq!((built.problems.len(), built.bad_rows), (1_000, 5_000));
}
