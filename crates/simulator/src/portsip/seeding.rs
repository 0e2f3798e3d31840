//! The initial rate deck: country codes, area codes below them, and random prices.

use rand::RngExt as _;
use rand_distr::LogNormal;

use super::deck::Deck;
use super::rate::{Money, Rate, RateType};
use crate::random::{Purpose, below, draw, generator};

/// Country code, name, and the intervals its carriers bill in.
const COUNTRIES: [(&str, &str, (i32, i32)); 48] = [
    ("1", "United States", (6, 6)),
    ("20", "Egypt", (60, 60)),
    ("27", "South Africa", (60, 1)),
    ("30", "Greece", (1, 1)),
    ("31", "Netherlands", (1, 1)),
    ("32", "Belgium", (1, 1)),
    ("33", "France", (1, 1)),
    ("34", "Spain", (1, 1)),
    ("351", "Portugal", (1, 1)),
    ("353", "Ireland", (1, 1)),
    ("354", "Iceland", (1, 1)),
    ("358", "Finland", (1, 1)),
    ("36", "Hungary", (1, 1)),
    ("380", "Ukraine", (60, 1)),
    ("39", "Italy", (1, 1)),
    ("40", "Romania", (1, 1)),
    ("41", "Switzerland", (1, 1)),
    ("420", "Czechia", (1, 1)),
    ("43", "Austria", (1, 1)),
    ("44", "United Kingdom", (1, 1)),
    ("45", "Denmark", (1, 1)),
    ("46", "Sweden", (1, 1)),
    ("47", "Norway", (1, 1)),
    ("48", "Poland", (1, 1)),
    ("49", "Germany", (1, 1)),
    ("51", "Peru", (60, 6)),
    ("52", "Mexico", (60, 60)),
    ("54", "Argentina", (60, 6)),
    ("55", "Brazil", (30, 6)),
    ("56", "Chile", (30, 6)),
    ("57", "Colombia", (60, 6)),
    ("60", "Malaysia", (30, 6)),
    ("61", "Australia", (1, 1)),
    ("62", "Indonesia", (60, 1)),
    ("63", "Philippines", (60, 1)),
    ("64", "New Zealand", (1, 1)),
    ("65", "Singapore", (1, 1)),
    ("66", "Thailand", (60, 6)),
    ("679", "Fiji", (60, 60)),
    ("81", "Japan", (1, 1)),
    ("82", "South Korea", (6, 6)),
    ("84", "Vietnam", (60, 1)),
    ("86", "China", (60, 60)),
    ("90", "Türkiye", (60, 1)),
    ("91", "India", (60, 60)),
    ("966", "Saudi Arabia", (60, 1)),
    ("971", "United Arab Emirates", (60, 1)),
    ("972", "Israel", (1, 1)),
];
/// The country code of the PBX.
const HOME: &str = "49";

/// `count` rates with distinct prefixes: countries first, then areas with one more digit at a time.
pub(super) fn rates(seed: u64, count: u32) -> impl Iterator<Item = Rate> {
    let prefixes = (0..7_u32).flat_map(|digits| {
        (0..10_u32.pow(digits)).flat_map(move |area| {
            COUNTRIES
                .iter()
                .map(move |country| (country, digits as usize, area))
        })
    });
    (0_u64..).zip(prefixes).take(count as usize).map(
        move |(number, ((code, name, intervals), digits, area))| {
            let area = if digits == 0 {
                String::new()
            } else {
                format!("{area:0digits$}")
            };
            rate(seed, number, (code, name, *intervals), &area)
        },
    )
}

fn rate(seed: u64, number: u64, country: (&str, &str, (i32, i32)), area: &str) -> Rate {
    let (code, name, (interval_1, interval_n)) = country;
    let mut rng = generator(seed, Purpose::Rates, number);
    let mobile = area.starts_with(['7', '9']) || (code == HOME && area.starts_with("15"));
    let kind = match (code == HOME, mobile) {
        (_, true) => RateType::Mobile,
        (true, _) if area.starts_with("30") => RateType::Local,
        (true, _) => RateType::National,
        (false, _) => RateType::International,
    };
    let median: f64 = match kind {
        RateType::Local => 0.006,
        RateType::National => 0.01,
        RateType::International => 0.04,
        RateType::Mobile => 0.12,
    };
    let price = LogNormal::new(median.ln(), 0.8)
        .map_or(median, |shape| rng.sample(shape))
        .clamp(0.002, 3.0);
    let place = match (area, mobile) {
        ("", _) => name.to_owned(),
        (area, true) => format!("{name} - Mobile {area}"),
        (area, false) => format!("{name} - {area}"),
    };
    Rate {
        id: 0,
        prefix: format!("{code}{area}"),
        kind,
        free_seconds: if rng.random_range(0..50_u32) == 0 {
            10
        } else {
            0
        },
        grace_period: if rng.random_range(0..20_u32) == 0 {
            3
        } else {
            0
        },
        interval_1,
        interval_n,
        connect_fee: Money::new(if rng.random_range(0..8_u32) == 0 {
            0.05
        } else {
            0.0
        }),
        postcall_surcharge: Money::new(if rng.random_range(0..25_u32) == 0 {
            0.01
        } else {
            0.0
        }),
        price_1: Money::new(price),
        price_n: Money::new(if rng.random() { price } else { price * 0.9 }),
        description: Some(place).filter(|_| rng.random_range(0..30_u32) != 0),
    }
}

/// Changes a deck as an administrator would: changes a price, adds a prefix or removes one.
pub(super) fn change(deck: &mut Deck, seed: u64, number: u64) {
    let bits = draw(seed, Purpose::DeckChange, number);
    let place = below(bits.rotate_left(20), deck.by_id().len() as u64);
    let chosen = usize::try_from(place)
        .ok()
        .and_then(|place| deck.by_id().get(place))
        .map(|rate| rate.id);
    let changed = match (chosen, bits % 3) {
        (Some(id), 0) => Ok(deck.remove(id)),
        (Some(id), 1) => deck.update(id, |rate| {
            rate.price_1 = Money::new(rate.price_1.as_f64() + 0.001);
            rate.price_n = rate.price_1;
            Ok(())
        }),
        _ => deck
            .add(|id| {
                let country = ("999", "Test network", (1, 1));
                let area = format!("{number:09}");
                Ok(Rate {
                    id,
                    ..rate(seed, number, country, &area)
                })
            })
            .map(|_| true),
    };
    if let Err(error) = changed {
        tracing::warn!(?error, "the deck could not be changed");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn prefixes_are_unique_and_as_many_as_asked_for() {
        let prefixes: Vec<_> = rates(1, 60_000).map(|rate| rate.prefix).collect();
        assert_eq!(prefixes.len(), 60_000);
        assert_eq!(prefixes.iter().collect::<HashSet<_>>().len(), 60_000);
    }

    #[test]
    fn the_same_seed_gives_the_same_deck() {
        let deck = |seed| rates(seed, 300).collect::<Vec<_>>();
        assert_eq!(deck(4), deck(4));
        assert_ne!(deck(4), deck(5));
    }
}
