//! A deck of every numbering plan: its size in memory, and its charges beside the reference.

use std::time::Duration;

use callmeter_rating::{Deck, Options};

use crate::numbering_plans;
use crate::reference::{self, Reference};

/// As many prefixes as the world's geographic, carrier and time zone tables have together.
const PREFIXES: usize = 318_004;

#[test]
fn the_whole_world_fits_in_24_mib_and_rates_like_the_reference() {
    let rates = numbering_plans::deck(PREFIXES, 1);
    let built = Deck::build(rates.iter().map(|rate| rate.row()), &Options::default()).unwrap();
    assert_eq!(
        (built.deck.len(), built.bad_rows, built.duplicates),
        (PREFIXES, 0, 0)
    );
    let bytes = built.deck.bytes();
    println!("{} bytes, {} a prefix", bytes, bytes / PREFIXES);
    assert!(bytes <= 24 << 20, "{bytes} bytes");
    let by_prefix = Reference::by_prefix(rates.iter().map(|rate| rate.row()));
    let mut matched = 0;
    let numbers = numbering_plans::numbers(&rates, 20_000, 3);
    for (number, seconds) in numbers.iter().zip((0..).step_by(13)) {
        let seconds = seconds % 4_000;
        let expected = by_prefix.rate(number, seconds);
        let found = built.deck.rate(&**number, Duration::from_secs(seconds));
        matched += usize::from(found.is_ok());
        assert_eq!(reference::outcome(found), expected, "{number} {seconds}");
    }
    assert!(matched > 15_000, "{matched}");
}
