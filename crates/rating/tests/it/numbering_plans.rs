//! Decks of the size and shape of real ones, from the tables of the package `phonenumber`.
//!
//! The package is never compiled: its text files are read where cargo keeps its sources.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test data")]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "tests and benches include this file"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use callmeter_rating::{Amount, Row};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A rate of a generated deck.
#[derive(Clone, Debug)]
pub struct PlanRate {
    pub id: String,
    pub prefix: String,
    pub rate_type: &'static str,
    pub connect_fee: i64,
    pub price_1: i64,
    pub price_n: i64,
    pub surcharge: i64,
    pub interval_1: i64,
    pub interval_n: i64,
    pub free_seconds: i64,
    pub grace_period: i64,
}

impl PlanRate {
    pub fn row(&self) -> Row<'_> {
        Row {
            id: Some(&self.id),
            prefix: Some(&self.prefix),
            rate_type: Some(self.rate_type),
            connect_fee: Ok(Amount::from_units(self.connect_fee)),
            price_1: Ok(Amount::from_units(self.price_1)),
            price_n: Ok(Amount::from_units(self.price_n)),
            postcall_surcharge: Ok(Amount::from_units(self.surcharge)),
            interval_1: Ok(self.interval_1),
            interval_n: Ok(self.interval_n),
            free_seconds: Ok(self.free_seconds),
            grace_period: Ok(self.grace_period),
        }
    }
}

/// Every prefix of the tables, and whether it is one of a mobile carrier.
pub fn prefixes() -> BTreeMap<String, bool> {
    let assets = package().join("assets");
    let mut prefixes = BTreeMap::new();
    for (table, is_mobile) in [("geocoding", false), ("carrier", true)] {
        for language in entries(&assets.join(table)) {
            if !language.is_dir() {
                continue;
            }
            for file in entries(&language) {
                for line in fs::read_to_string(&file).unwrap().lines() {
                    let prefix = line.split_once('|').map(|(prefix, _)| prefix.trim());
                    if let Some(prefix) = prefix.filter(|prefix| is_digits(prefix)) {
                        *prefixes.entry(prefix.to_owned()).or_default() |= is_mobile;
                    }
                }
            }
        }
    }
    prefixes
}

/// A deck of this many prefixes: those of the tables, longer ones of America and China if they do
/// not suffice, the shortest ones if they are too many.
pub fn deck(size: usize, seed: u64) -> Vec<PlanRate> {
    let tables = prefixes();
    let mut chosen: BTreeSet<String> = tables.keys().cloned().collect();
    let leaves: Vec<_> = chosen
        .iter()
        .filter(|prefix| prefix.starts_with('1') || prefix.starts_with("86"))
        .cloned()
        .collect();
    let mut longer = leaves
        .iter()
        .flat_map(|prefix| (0..10).map(move |digit| format!("{prefix}{digit}")));
    while chosen.len() < size {
        chosen.insert(longer.next().unwrap());
    }
    let mut by_length: Vec<String> = chosen.into_iter().collect();
    by_length.sort_by_key(|prefix| (prefix.len(), prefix.clone()));
    by_length.truncate(size);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rate = |(number, prefix): (usize, String)| {
        let is_mobile = tables.get(&prefix).copied().unwrap_or_default();
        rate(&mut random, number, prefix, is_mobile)
    };
    by_length.into_iter().enumerate().map(rate).collect()
}

/// Intervals as in published price lists; prices from 0.002 to 3 with five places, low ones more
/// often.
fn rate(random: &mut ChaCha8Rng, number: usize, prefix: String, is_mobile: bool) -> PlanRate {
    let (interval_1, interval_n) = match &*prefix {
        prefix if prefix.starts_with("52") || prefix.starts_with("679") => (60, 60),
        prefix if prefix.starts_with("220") => (60, 1),
        prefix if prefix.starts_with('1') => (6, 6),
        prefix if prefix.starts_with("44") => (1, 1),
        _ => [(1, 1), (6, 6), (30, 6), (60, 1), (60, 60)][random.random_range(0..5)],
    };
    let price = 10f64.powf(random.random_range(-2.69..0.477));
    #[expect(clippy::cast_possible_truncation, reason = "below 300,000")]
    let price_1 = (price * 100_000.0) as i64;
    PlanRate {
        id: format!("r{number}"),
        rate_type: match () {
            () if is_mobile => "MOBILE",
            () if prefix.starts_with("4144") => "LOCAL",
            () if prefix.starts_with("41") => "NATIONAL",
            () => "INTERNATIONAL",
        },
        connect_fee: if random.random_bool(0.2) {
            random.random_range(0..20_000)
        } else {
            0
        },
        price_1,
        price_n: price_1 - random.random_range(0..=price_1 / 4),
        surcharge: if random.random_bool(0.1) { 1_000 } else { 0 },
        interval_1,
        interval_n,
        free_seconds: if random.random_bool(0.05) { 15 } else { 0 },
        grace_period: if random.random_bool(0.1) { 2 } else { 0 },
        prefix,
    }
}

/// Numbers to call: most match a prefix of the deck, one in thirty does not. All prefixes are as
/// likely.
pub fn numbers(deck: &[PlanRate], count: usize, seed: u64) -> Vec<String> {
    numbers_to(deck, count, seed)
}

/// Numbers as an office calls them: nine in ten go to five hundred prefixes of the deck.
pub fn usual_numbers(deck: &[PlanRate], count: usize, seed: u64) -> Vec<String> {
    let step = (deck.len() / 500).max(1);
    let usual: Vec<PlanRate> = deck.iter().step_by(step).cloned().collect();
    let mut numbers = numbers_to(&usual, count - count / 10, seed);
    numbers.extend(numbers_to(deck, count / 10, seed + 1));
    numbers.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    numbers
}

fn numbers_to(deck: &[PlanRate], count: usize, seed: u64) -> Vec<String> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let number = |_| {
        let mut number = if random.random_range(0..30) == 0 {
            "999".to_owned()
        } else {
            deck[random.random_range(0..deck.len())].prefix.clone()
        };
        while number.len() < 11 {
            number.push(char::from(b'0' + random.random_range(0..10)));
        }
        format!("+{number}")
    };
    (0..count).map(number).collect()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(directory).unwrap_or_else(|error| {
        panic!("cannot read {}: {error}", directory.display());
    });
    let mut paths: Vec<_> = read.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Where cargo keeps the sources of `phonenumber`. Cargo downloads them if they are missing.
fn package() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version=1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo cannot find or download the package `phonenumber`: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let manifest = text
        .split("\"manifest_path\":\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|path| path.contains("/phonenumber-"))
        .expect("cargo lists `phonenumber`");
    Path::new(manifest)
        .parent()
        .expect("a directory")
        .to_owned()
}
