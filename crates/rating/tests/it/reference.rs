//! A naive reference: it searches a list for the longest prefix, and adds fractions.

use std::collections::HashMap;
use std::time::Duration;

use callmeter_rating::{
    Amount, Charge, CostRounding, Deck, DurationRounding, FreeSeconds, NotCharged, Options, Row,
    ZeroDuration,
};
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Prefix, billed seconds and units of the amount.
pub(crate) type Outcome = Result<(String, u64, i64), NotCharged>;

pub(crate) fn outcome(charge: Result<Charge<'_>, NotCharged>) -> Outcome {
    charge.map(|charge| {
        let prefix = charge.matched_prefix.to_string();
        (prefix, charge.billed_seconds, charge.amount.units())
    })
}

/// A fraction in lowest terms.
#[derive(Clone, Copy, Debug)]
struct Fraction(i128, i128);

impl Fraction {
    fn new(numerator: i128, denominator: i128) -> Self {
        let (mut a, mut b) = (numerator.abs(), denominator);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = a.max(1);
        Self(numerator / divisor, denominator / divisor)
    }

    /// An amount of a row.
    fn of(amount: Amount) -> Self {
        Self::new(amount.units().into(), 100_000)
    }

    fn plus(self, other: Self) -> Self {
        Self::new(self.0 * other.1 + other.0 * self.1, self.1 * other.1)
    }

    fn times(self, other: Self) -> Self {
        Self::new(self.0 * other.0, self.1 * other.1)
    }

    /// Rounded to this many decimal places, as units of 10⁻⁵.
    fn round(self, places: u32, rounding: CostRounding) -> i128 {
        let scaled = self.times(Self::new(10i128.pow(places), 1));
        let whole = scaled.0 / scaled.1;
        let rest = Self::new(scaled.0 % scaled.1, scaled.1);
        let half = (rest.0 * 2).cmp(&rest.1);
        let up = match rounding {
            CostRounding::Up => rest.0 > 0,
            CostRounding::Down => false,
            CostRounding::HalfUp => half.is_ge(),
            CostRounding::HalfEven => half.is_gt() || (half.is_eq() && whole % 2 == 1),
        };
        (whole + i128::from(up)) * 10i128.pow(5 - places)
    }
}

/// The cost of a row by the words of the formula, for whole and half seconds.
fn cost(row: &Row<'_>, half_seconds: u64, options: &Options) -> Result<(u64, i64), NotCharged> {
    let seconds = |value: Result<i64, _>| i128::from(value.unwrap());
    let mut duration = Fraction::new(half_seconds.into(), 2);
    let is_whole = half_seconds.is_multiple_of(2);
    // Half a second is rounded up by both.
    if options.duration_rounding != DurationRounding::AsGiven && !is_whole {
        duration = Fraction::new(half_seconds.div_ceil(2).into(), 1);
    }
    if duration.0 < seconds(row.grace_period) * duration.1 {
        return Err(NotCharged::BelowGrace);
    }
    let (first, further) = (seconds(row.interval_1), seconds(row.interval_n));
    let mut free = seconds(row.free_seconds);
    let mut only_the_fee = false;
    if duration.0 == 0 {
        match options.zero_duration {
            ZeroDuration::ConnectFee => only_the_fee = true,
            ZeroDuration::FirstInterval => {}
            ZeroDuration::Free => return Err(NotCharged::ZeroDuration),
        }
    } else if options.free_seconds == FreeSeconds::Start {
        duration = duration.plus(Fraction::new(-free, 1));
        free = 0;
        only_the_fee = duration.0 <= 0;
    }
    let mut covered = 0;
    let mut price = Fraction::of(row.connect_fee.unwrap());
    if !only_the_fee {
        let per_second = |price: Amount| Fraction::of(price).times(Fraction::new(1, 60));
        let interval = |length: i128| Fraction::new(length, 1);
        covered = first;
        price = price.plus(interval(first).times(per_second(row.price_1.unwrap())));
        // One interval after the other, until the call is covered.
        let (mut reached, mut further_seconds) = (first + free, 0);
        while reached * duration.1 < duration.0 {
            reached += further;
            further_seconds += further;
        }
        covered += further_seconds;
        price = price.plus(interval(further_seconds).times(per_second(row.price_n.unwrap())));
    }
    let surcharge = Fraction::of(row.postcall_surcharge.unwrap());
    let total = price.times(surcharge.plus(Fraction::new(1, 1)));
    let units = total.round(options.cost_decimals, options.cost_rounding);
    let units = i64::try_from(units).map_err(|_| NotCharged::TooLarge)?;
    Ok((u64::try_from(covered).unwrap(), units))
}

/// Digits only; this reference knows no other options of numbers.
fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// The longest prefix by a search of the whole list; the last one of equals.
fn linear(rows: &[Row<'_>], number: &str, half_seconds: u64, options: &Options) -> Outcome {
    let number = digits(number);
    if number.is_empty() {
        return Err(NotCharged::NoNumber);
    }
    let mut best: Option<(&Row<'_>, &str)> = None;
    for row in rows {
        let prefix = row.prefix.unwrap();
        if number.starts_with(prefix) && best.is_none_or(|(_, best)| prefix.len() >= best.len()) {
            best = Some((row, prefix));
        }
    }
    let (row, prefix) = best.ok_or(NotCharged::NoMatch)?;
    let (billed, units) = cost(row, half_seconds, options)?;
    Ok((prefix.to_owned(), billed, units))
}

/// The same for decks that are too large for a search of the list: it cuts the number shorter and
/// shorter.
pub(crate) struct Reference<'a> {
    rows: HashMap<String, Row<'a>>,
}

impl<'a> Reference<'a> {
    pub(crate) fn by_prefix(rows: impl Iterator<Item = Row<'a>>) -> Self {
        let rows = rows.map(|row| (row.prefix.unwrap().to_owned(), row));
        Self {
            rows: rows.collect(),
        }
    }

    pub(crate) fn rate(&self, number: &str, seconds: u64) -> Outcome {
        let number = digits(number);
        let prefix = (1..=number.len())
            .rev()
            .map(|length| &number[..length])
            .find(|prefix| self.rows.contains_key(*prefix))
            .ok_or(NotCharged::NoMatch)?;
        let (billed, units) = cost(&self.rows[prefix], seconds * 2, &Options::default())?;
        Ok((prefix.to_owned(), billed, units))
    }
}

fn random_options(random: &mut ChaCha8Rng) -> Options {
    let mut options = Options::default();
    if random.random_bool(0.5) {
        return options;
    }
    options.zero_duration = *[
        ZeroDuration::ConnectFee,
        ZeroDuration::FirstInterval,
        ZeroDuration::Free,
    ]
    .choose(random)
    .unwrap();
    options.duration_rounding = *[
        DurationRounding::AsGiven,
        DurationRounding::Up,
        DurationRounding::Nearest,
    ]
    .choose(random)
    .unwrap();
    options.free_seconds = *[FreeSeconds::AfterFirstInterval, FreeSeconds::Start]
        .choose(random)
        .unwrap();
    options.cost_rounding = *[
        CostRounding::HalfUp,
        CostRounding::HalfEven,
        CostRounding::Up,
        CostRounding::Down,
    ]
    .choose(random)
    .unwrap();
    options.cost_decimals = random.random_range(0..=5);
    options
}

/// Prices of a deck: small ones, which often end in exact halves, usual ones, and some that need
/// 128 bits.
fn random_money(random: &mut ChaCha8Rng) -> Amount {
    Amount::from_units(match random.random_range(0..10) {
        0 => 0,
        1..=4 => random.random_range(0..100) * 30,
        5..=8 => random.random_range(0..300_000),
        _ => random.random_range(0..1 << 44),
    })
}

fn random_row<'a>(random: &mut ChaCha8Rng, prefix: &'a str) -> Row<'a> {
    let interval = |random: &mut ChaCha8Rng| {
        Ok(*[1, 6, 10, 30, 60, 60, 61, 180, 3_600]
            .choose(random)
            .unwrap())
    };
    let some = |random: &mut ChaCha8Rng, below| {
        Ok(if random.random_bool(0.5) {
            0
        } else {
            random.random_range(0..below)
        })
    };
    Row {
        id: Some(prefix),
        prefix: Some(prefix),
        rate_type: None,
        connect_fee: Ok(random_money(random)),
        price_1: Ok(random_money(random)),
        price_n: Ok(random_money(random)),
        postcall_surcharge: Ok(Amount::from_units(
            *[0, 0, 1_000, 5_000, 12_345, 100_000, 1]
                .choose(random)
                .unwrap(),
        )),
        interval_1: interval(random),
        interval_n: interval(random),
        free_seconds: some(random, 100),
        grace_period: some(random, 20),
    }
}

/// A text of digits, of few different ones so that prefixes meet.
fn random_digits(random: &mut ChaCha8Rng, lengths: std::ops::Range<usize>) -> String {
    let length = random.random_range(lengths);
    let digits = if random.random_bool(0.5) {
        "012"
    } else {
        "0123456789"
    };
    let digit = |_| char::from(*digits.as_bytes().choose(random).unwrap());
    (0..length).map(digit).collect()
}

/// A million calls by a thousand decks. The deck and the reference have nothing in common but the
/// rows. Set `SEED` to the number in a failure to see it again.
#[test]
fn a_million_calls_cost_what_the_reference_says() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().unwrap();
            seed..seed + 1
        }
        Err(_) => 0..1_000,
    };
    let mut charged = 0;
    for seed in seeds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let options = random_options(&mut random);
        let count = random.random_range(1..60);
        let prefixes: Vec<String> = (0..count)
            .map(|_| match random.random_range(0..20) {
                0 => random_digits(&mut random, 14..40),
                // Around the lengths that a deck stores apart: 4, 12 and 16.
                1..=5 => random_digits(&mut random, 3..18),
                _ => random_digits(&mut random, 1..7),
            })
            .collect();
        let rows: Vec<Row<'_>> = prefixes
            .iter()
            .map(|prefix| random_row(&mut random, prefix))
            .collect();
        let built = Deck::build(rows.iter().copied(), &options).unwrap();
        assert_eq!(built.bad_rows, 0, "SEED={seed}");
        for _ in 0..1_000 {
            let mut number = match random.random_range(0..4) {
                0 => random_digits(&mut random, 0..20),
                _ => prefixes.choose(&mut random).unwrap().clone(),
            };
            number.push_str(&random_digits(&mut random, 0..6));
            let half_seconds = match random.random_range(0..4) {
                0 => random.random_range(0..8),
                1 => random.random_range(0..60) * 120,
                _ => random.random_range(0..4_000),
            };
            let found = built
                .deck
                .rate(&*number, Duration::from_millis(half_seconds * 500));
            charged += u64::from(found.is_ok());
            let expected = linear(&rows, &number, half_seconds, &options);
            assert_eq!(
                outcome(found),
                expected,
                "SEED={seed} {number} {half_seconds}"
            );
        }
    }
    assert!(charged > 0, "nothing was charged");
}
