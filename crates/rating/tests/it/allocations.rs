//! Rating allocates nothing.

use std::hint::black_box;
use std::time::Duration;

use callmeter_rating::{Deck, NumberOptions, Options};

use crate::numbering_plans;

#[test]
fn rating_allocates_nothing() {
    let rates = numbering_plans::deck(50_000, 1);
    let options = Options {
        number: NumberOptions {
            strip_prefixes: vec!["00".to_owned()],
            keep_plus: false,
        },
        ..Options::default()
    };
    let deck = Deck::build(rates.iter().map(|rate| rate.row()), &options)
        .unwrap()
        .deck;
    let mut numbers = numbering_plans::numbers(&rates, 1_000, 2);
    numbers.extend([
        "anonymous".to_owned(),
        String::new(),
        "7".repeat(200),
        "0041".to_owned(),
    ]);
    let counted = allocation_counter::measure(|| {
        for (number, seconds) in numbers.iter().zip((0..).step_by(7)) {
            let charge = deck.rate(black_box(&**number), Duration::from_secs(seconds));
            let _ = black_box(charge);
        }
    });
    assert_eq!(counted.count_total, 0);
    // The counter does count.
    let counted = allocation_counter::measure(|| drop(black_box(Box::new(7))));
    assert_eq!(counted.count_total, 1);
}
