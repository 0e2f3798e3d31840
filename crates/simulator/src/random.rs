//! Random numbers that depend only on their inputs, so that a record has the same faults in
//! whatever order records are read.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The purpose of a random number, which makes numbers for the same record differ.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Purpose {
    People = 1,
    Slot,
    Text,
    Id,
    Rates,
    Late,
    Edit,
    Missing,
    Misspelt,
    NotANumber,
    Shift,
    Repeat,
    Request,
    Token,
    DeckChange,
    Running,
    MovedStart,
    NoStart,
    LongCall,
    Flapping,
    UnknownTalk,
    Latin1,
    Fraction,
}

/// A number from all of 64 bits for the `index`-th thing of a kind.
pub(crate) fn draw(seed: u64, purpose: Purpose, index: u64) -> u64 {
    mix(mix(seed ^ mix(purpose as u64)).wrapping_add(index))
}

/// Whether the `index`-th thing is in the selected share of all things; `rate` is from 0 to 1.
pub(crate) fn selects(rate: f64, seed: u64, purpose: Purpose, index: u64) -> bool {
    rate >= 1.0 || unit(draw(seed, purpose, index)) < rate
}

/// A generator for a longer series of draws.
pub(crate) fn generator(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(draw(seed, purpose, index))
}

/// The upper 53 bits as a fraction in `0.0..1.0`.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit into an f64")]
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number below `bound`, which must not be 0.
pub(crate) fn below(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// SplitMix64's finaliser.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
