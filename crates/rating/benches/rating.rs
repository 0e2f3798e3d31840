//! Building decks of the world's numbering plans, and rating calls by them.
//!
//! `cargo bench -p callmeter-rating`; the memory of the decks is printed first.

#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run has nothing to say"
)]

use std::hint::black_box;
use std::time::Duration;

use callmeter_rating::{Deck, Options};
use divan::Bencher;
use divan::counter::ItemsCount;

#[path = "../tests/it/numbering_plans.rs"]
mod numbering_plans;

const SIZES: [usize; 2] = [50_000, 318_004];

fn deck(rates: &[numbering_plans::PlanRate]) -> Deck {
    let rows = rates.iter().map(numbering_plans::PlanRate::row);
    Deck::build(rows, &Options::default()).unwrap().deck
}

#[divan::bench(args = SIZES)]
fn build(bencher: Bencher<'_, '_>, size: usize) {
    let rates = numbering_plans::deck(size, 1);
    bencher
        .counter(ItemsCount::new(size))
        .bench_local(|| deck(&rates));
}

/// Numbers as an office calls them: nine in ten go to five hundred prefixes.
#[divan::bench(args = SIZES)]
fn rate_usual_numbers(bencher: Bencher<'_, '_>, size: usize) {
    rate(bencher, size, numbering_plans::usual_numbers);
}

/// Every prefix is as likely: little of the deck is in the processor's caches.
#[divan::bench(args = SIZES)]
fn rate_any_number(bencher: Bencher<'_, '_>, size: usize) {
    rate(bencher, size, numbering_plans::numbers);
}

fn rate(
    bencher: Bencher<'_, '_>,
    size: usize,
    numbers: fn(&[numbering_plans::PlanRate], usize, u64) -> Vec<String>,
) {
    let rates = numbering_plans::deck(size, 1);
    let deck = deck(&rates);
    let calls: Vec<(String, Duration)> = numbers(&rates, 100_000, 2)
        .into_iter()
        .zip((0..).step_by(17))
        .map(|(number, seconds)| (number, Duration::from_secs(seconds % 3_600)))
        .collect();
    bencher
        .counter(ItemsCount::new(calls.len()))
        .bench_local(|| {
            for (number, duration) in &calls {
                let _ = black_box(deck.rate(&**number, *duration));
            }
        });
}

fn main() {
    for size in SIZES {
        let deck = deck(&numbering_plans::deck(size, 1));
        println!(
            "{size} prefixes: {} KiB, {} bytes a prefix",
            deck.bytes() / 1024,
            deck.bytes() / size
        );
    }
    divan::main();
}
