//! Worked examples, and each option that changes them.

use std::time::Duration;

use callmeter_rating::{
    CostRounding, DurationRounding, FreeSeconds, NotCharged, NumberOptions, Options, OptionsError,
    Row, ZeroDuration,
};

use crate::decks::{build, deck, flat, row};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Amount and billed seconds, or the reason, in one text.
fn rated(rows: &[Row<'_>], options: &Options, number: &str, duration: Duration) -> String {
    match build(rows, options).deck.rate(number, duration) {
        Ok(charge) => format!("{} for {} s", charge.amount, charge.billed_seconds),
        Err(reason) => reason.name().to_owned(),
    }
}

fn by_default(row: Row<'_>, duration: u64) -> String {
    rated(&[row], &Options::default(), "41", seconds(duration))
}

#[test]
fn worked_examples() {
    for (money, intervals, duration, expected) in [
        // A surcharge of 1 % on a call of 1.
        (["0", "1", "1", "0.01"], [60, 60, 0, 0], 60, "1.01 for 60 s"),
        (
            ["0.1", "0.6", "0.3", "0.05"],
            [60, 30, 15, 0],
            185,
            "1.365 for 180 s",
        ),
        (
            ["0.1", "0.6", "0.6", "0.05"],
            [60, 30, 15, 1],
            0,
            "below_grace",
        ),
        (
            ["0", "0.1", "0.3", "0"],
            [120, 60, 0, 0],
            125,
            "0.5 for 180 s",
        ),
        // A price is per minute, not per interval.
        (["0", "0.6", "0.6", "0"], [1, 1, 0, 0], 60, "0.6 for 60 s"),
        // Calls up to interval_1 + free_seconds cost the first interval.
        (["0", "1", "1", "0"], [60, 60, 15, 0], 1, "1 for 60 s"),
        (["0", "1", "1", "0"], [60, 60, 15, 0], 75, "1 for 60 s"),
        (["0", "1", "1", "0"], [60, 60, 15, 0], 76, "2 for 120 s"),
        // A multiple of the interval has no extra round.
        (["0", "1", "1", "0"], [60, 60, 0, 0], 120, "2 for 120 s"),
        (["0", "1", "1", "0"], [5, 5, 0, 0], 10, "0.16667 for 10 s"),
        // Grace: strictly below is free; then the whole call is charged.
        (["0.1", "1", "1", "0"], [60, 60, 0, 10], 9, "below_grace"),
        (["0.1", "1", "1", "0"], [60, 60, 0, 10], 10, "1.1 for 60 s"),
        // The surcharge is on the fee, too.
        (["0.1", "0", "0", "1"], [60, 60, 0, 0], 1, "0.2 for 60 s"),
        // A call of no length.
        (["0.1", "1", "1", "0.5"], [60, 60, 0, 0], 0, "0.15 for 0 s"),
    ] {
        let row = row("41", money, intervals);
        assert_eq!(
            by_default(row, duration),
            expected,
            "{money:?} {intervals:?}"
        );
    }
}

#[test]
fn a_call_of_no_length() {
    let row = row("41", ["0.1", "1", "1", "0"], [60, 60, 0, 0]);
    for (zero_duration, expected) in [
        (ZeroDuration::ConnectFee, "0.1 for 0 s"),
        (ZeroDuration::FirstInterval, "1.1 for 60 s"),
        (ZeroDuration::Free, "zero_duration"),
    ] {
        let options = Options {
            zero_duration,
            ..Options::default()
        };
        assert_eq!(rated(&[row], &options, "41", seconds(0)), expected);
    }
}

#[test]
fn fractions_of_a_second() {
    let row = row("41", ["0", "60", "60", "0"], [1, 1, 0, 1]);
    for (duration_rounding, millis, expected) in [
        (DurationRounding::AsGiven, 2_000, "2 for 2 s"),
        (DurationRounding::AsGiven, 2_001, "3 for 3 s"),
        (DurationRounding::AsGiven, 999, "below_grace"),
        (DurationRounding::Up, 999, "1 for 1 s"),
        (DurationRounding::Nearest, 2_499, "2 for 2 s"),
        (DurationRounding::Nearest, 2_500, "3 for 3 s"),
        (DurationRounding::Nearest, 499, "below_grace"),
        (DurationRounding::Nearest, 500, "1 for 1 s"),
    ] {
        let options = Options {
            duration_rounding,
            ..Options::default()
        };
        let duration = Duration::from_millis(millis);
        assert_eq!(
            rated(&[row], &options, "41", duration),
            expected,
            "{millis}"
        );
    }
}

#[test]
fn free_seconds_at_the_start() {
    let row = row("41", ["0.1", "1", "1", "0"], [60, 60, 15, 0]);
    let options = Options {
        free_seconds: FreeSeconds::Start,
        ..Options::default()
    };
    for (duration, expected) in [
        (15, "0.1 for 0 s"),
        (16, "1.1 for 60 s"),
        (75, "1.1 for 60 s"),
        (76, "2.1 for 120 s"),
    ] {
        assert_eq!(rated(&[row], &options, "41", seconds(duration)), expected);
    }
}

#[test]
fn rounding_of_the_amount() {
    // 0.000005, 0.000015 and 0.00001666… before they are rounded.
    for (price, intervals, rounding, expected) in [
        ("0.0003", 1, CostRounding::HalfUp, "0.00001 for 1 s"),
        ("0.0003", 1, CostRounding::HalfEven, "0 for 1 s"),
        ("0.0003", 1, CostRounding::Down, "0 for 1 s"),
        ("0.0003", 1, CostRounding::Up, "0.00001 for 1 s"),
        ("0.0009", 1, CostRounding::HalfUp, "0.00002 for 1 s"),
        ("0.0009", 1, CostRounding::HalfEven, "0.00002 for 1 s"),
        ("0.001", 1, CostRounding::HalfUp, "0.00002 for 1 s"),
        ("0.001", 1, CostRounding::Down, "0.00001 for 1 s"),
        ("0.0006", 1, CostRounding::Up, "0.00001 for 1 s"),
    ] {
        let options = Options {
            cost_rounding: rounding,
            ..Options::default()
        };
        let row = row("41", ["0", price, price, "0"], [intervals, 1, 0, 0]);
        assert_eq!(
            rated(&[row], &options, "41", seconds(1)),
            expected,
            "{price} {rounding:?}"
        );
    }
    for (decimals, expected) in [(5, "1.23456"), (4, "1.2346"), (2, "1.23"), (0, "1")] {
        let options = Options {
            cost_decimals: decimals,
            ..Options::default()
        };
        let row = row("41", ["1.23456", "0", "0", "0"], [1, 1, 0, 0]);
        let expected = format!("{expected} for 1 s");
        assert_eq!(rated(&[row], &options, "41", seconds(1)), expected);
    }
    let options = Options {
        cost_decimals: 6,
        ..Options::default()
    };
    assert_eq!(
        callmeter_rating::Deck::build([], &options).unwrap_err(),
        OptionsError::CostDecimals { found: 6 }
    );
}

#[test]
fn the_longest_prefix_counts() {
    let deck = deck(&[
        flat("4", "4"),
        flat("41", "41"),
        flat("4144", "4144"),
        flat("41445551234567890", "17"),
        flat("42", "42"),
        flat("1", "1"),
    ]);
    assert_eq!(deck.len(), 6);
    for (number, prefix) in [
        ("41", "41"),
        ("414", "41"),
        ("+41 44", "4144"),
        ("41445551234567890", "41445551234567890"),
        ("414455512345678901", "41445551234567890"),
        ("4144555123456789", "4144"),
        ("4144555123456788888", "4144"),
        ("43", "4"),
        ("4", "4"),
        ("429999999999999999999", "42"),
        ("1", "1"),
    ] {
        let charge = deck.rate(number, seconds(60)).unwrap();
        assert_eq!(charge.matched_prefix.to_string(), prefix, "{number}");
        assert_eq!(charge.rate.id(), prefix);
        assert_eq!(charge.rate.rate_type(), Some("MOBILE"));
    }
    for (number, reason) in [
        (Some("2"), NotCharged::NoMatch),
        (Some("0041"), NotCharged::NoMatch),
        (Some("*41"), NotCharged::NoMatch),
        (Some(""), NotCharged::NoNumber),
        (Some("+"), NotCharged::NoNumber),
        (None, NotCharged::NoNumber),
        (Some("anonymous"), NotCharged::UnreadableNumber),
    ] {
        assert_eq!(deck.rate(number, seconds(60)), Err(reason), "{number:?}");
    }
    assert_eq!(deck.rate("41", None), Err(NotCharged::NoDuration));
}

#[test]
fn starts_are_stripped_from_numbers_and_prefixes() {
    let options = Options {
        number: NumberOptions {
            strip_prefixes: vec!["00".to_owned()],
            keep_plus: false,
        },
        ..Options::default()
    };
    let rows = [flat("+41", "1"), flat("0043", "1")];
    for number in ["41", "+41", "0041", "43", "0043"] {
        assert_eq!(
            rated(&rows, &options, number, seconds(60)),
            "1 for 60 s",
            "{number}"
        );
    }
}

#[test]
fn amounts_that_do_not_fit() {
    let most = "92233720368547.75807";
    let large = row("41", ["0", most, most, "0"], [60, 60, 0, 0]);
    assert_eq!(by_default(large, 60), format!("{most} for 60 s"));
    assert_eq!(by_default(large, 61), "too_large");
    let larger = row(
        "41",
        [most, most, most, most],
        [i64::from(i32::MAX), 1, 0, 0],
    );
    assert_eq!(by_default(larger, u64::MAX), "too_large");
    let long = row("41", ["0", "0", "0", "0"], [1, i64::from(i32::MAX), 0, 0]);
    assert_eq!(by_default(long, u64::MAX), "too_large");
}

#[test]
fn every_step_is_explained() {
    let deck = deck(&[row("41", ["0.1", "0.6", "0.7", "0.05"], [60, 30, 15, 5])]);
    let explained = deck.explain("+41 44", seconds(185));
    assert_eq!(explained.outcome, deck.rate("4144", seconds(185)));
    let steps = explained.steps.unwrap();
    assert_eq!(
        (steps.seconds, steps.first_seconds, steps.rounds),
        (185, 60, 4)
    );
    assert_eq!(steps.exact(), Some(("2.205".to_owned(), true)));
    assert_eq!(explained.number.unwrap().to_string(), "4144");
    assert_eq!(explained.rate.unwrap().1.to_string(), "41");
    // What did not come that far has no steps.
    let explained = deck.explain("+41 44", seconds(4));
    assert_eq!(explained.outcome, Err(NotCharged::BelowGrace));
    assert!(explained.steps.is_none() && explained.rate.is_some());
    let explained = deck.explain("43", seconds(4));
    assert!(explained.rate.is_none() && explained.number.is_some());
    assert!(deck.explain("x", seconds(4)).number.is_none());
}
