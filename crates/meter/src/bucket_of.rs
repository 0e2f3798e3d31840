//! The buckets that a duration falls into.
//!
//! A table answers for durations below [`TABLED_MS`]: 26 instructions, a third of what the
//! comparisons with all bounds take. It is made by these comparisons.

/// Upper bounds of the classic buckets in milliseconds; one more bucket is +Inf.
///
/// The low bounds are for ring and hold times (usual service targets are 20 and 30 s), the high
/// ones for talk times.
pub const BOUNDS_MS: [i32; 14] = [
    1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 180_000, 300_000,
    600_000, 1_800_000, 3_600_000,
];

/// The native bucket of zeros.
pub(crate) const ZERO_INDEX: i16 = i16::MIN;

/// The factors of schema 3 within one doubling: 2 to the power of −1, −7/8, … −1/8.
/// Comparisons with constants, unlike logarithms, give the same bucket on every machine.
const FACTORS: [f64; 8] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    0.707_106_781_186_547_5,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_5,
    0.917_004_043_204_671_2,
];

/// A duration and its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    pub(crate) milliseconds: i64,
    /// The place of the classic bucket.
    pub(crate) classic: u8,
    /// The index of the native bucket.
    pub(crate) native: i16,
}

impl Observation {
    /// Finds the buckets of a duration, which must not be negative.
    #[inline]
    pub(crate) fn of(milliseconds: i64) -> Self {
        let step = usize::try_from(milliseconds)
            .ok()
            .and_then(|milliseconds| TABLE.get(step_of(milliseconds)));
        match step {
            Some(step) => Self {
                milliseconds,
                classic: step.classic + u8::from(milliseconds > step.classic_last),
                native: step.native + i16::from(milliseconds > step.native_last),
            },
            None => Self::of_any(milliseconds),
        }
    }

    fn of_any(milliseconds: i64) -> Self {
        Self {
            milliseconds,
            classic: classic_bucket(milliseconds),
            native: native_index(milliseconds),
        }
    }
}

/// The classic bucket of a duration.
const fn classic_bucket(milliseconds: i64) -> u8 {
    let mut bucket = 0;
    while (bucket as usize) < BOUNDS_MS.len() && (BOUNDS_MS[bucket as usize] as i64) < milliseconds
    {
        bucket += 1;
    }
    bucket
}

/// The native bucket of a duration, which must not be negative.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "doubles are exact up to 285,000 years; exponents have 11 bits"
)]
const fn native_index(milliseconds: i64) -> i16 {
    if milliseconds <= 0 {
        return ZERO_INDEX;
    }
    let seconds = milliseconds as f64 / 1000.0;
    // seconds = fraction × 2^exponent with fraction in [0.5, 1).
    let bits = seconds.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i16 - 1022;
    let fraction = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    let mut factor = 0;
    while factor < FACTORS.len() && FACTORS[factor] < fraction {
        factor += 1;
    }
    (exponent - 1) * 8 + factor as i16
}

/// Steps of each doubling. Their ends are at most 6 % apart, and bounds of buckets at least 9 %: no
/// step has more than one bound of each kind.
const STEPS: usize = 16;
const STEP_BITS: u32 = STEPS.ilog2();

/// The table is for durations below this one: more than nine hours.
const TABLED_MS: usize = 1 << 25;

/// The buckets of durations between two steps.
#[derive(Clone, Copy)]
struct Step {
    /// The longest duration in the bucket `native`; longer ones are in the next one.
    native_last: i64,
    /// The same of `classic`.
    classic_last: i64,
    native: i16,
    classic: u8,
}

static TABLE: [Step; step_of(TABLED_MS)] = table();

/// The step that a duration belongs to. Short durations each have one.
#[inline]
const fn step_of(milliseconds: usize) -> usize {
    let doubling = (milliseconds | STEPS).ilog2() - STEP_BITS;
    doubling as usize * STEPS + (milliseconds >> doubling)
}

const fn table() -> [Step; step_of(TABLED_MS)] {
    let none = Step {
        native_last: 0,
        classic_last: 0,
        native: 0,
        classic: 0,
    };
    let mut table = [none; step_of(TABLED_MS)];
    let mut step = 0;
    while step < table.len() {
        let (first, end) = (start_of(step), start_of(step + 1));
        table[step] = Step {
            native_last: last(first, end, true),
            classic_last: last(first, end, false),
            native: native_index(first),
            classic: classic_bucket(first),
        };
        step += 1;
    }
    table
}

/// The shortest duration of a step.
#[expect(
    clippy::cast_possible_wrap,
    reason = "the table ends far below the highest duration"
)]
const fn start_of(step: usize) -> i64 {
    let doubling = (step / STEPS).saturating_sub(1);
    ((step - doubling * STEPS) << doubling) as i64
}

/// The last of the durations from `first` to before `end` that is in the bucket of `first`.
const fn last(first: i64, end: i64, native: bool) -> i64 {
    let (mut low, mut high) = (first, end);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let is_same = if native {
            native_index(middle) == native_index(first)
        } else {
            classic_bucket(middle) == classic_bucket(first)
        };
        if is_same {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::{Amount, Scale};
    use proptest::prelude::*;

    fn upper_bound(index: i16) -> f64 {
        2_f64.powf(f64::from(index) / 8.0)
    }

    #[test]
    fn factors_rise() {
        assert!(FACTORS.is_sorted());
    }

    #[test]
    fn the_table_says_what_the_comparisons_say() {
        let durations = (0..5_000_000)
            .chain((5_000_000..40_000_000).step_by(7))
            .chain((0..63).flat_map(|bit| [-1, 0, 1].map(|near| (1_i64 << bit) + near)))
            .chain([i64::MAX]);
        for milliseconds in durations {
            let (found, compared) = (
                Observation::of(milliseconds),
                Observation::of_any(milliseconds),
            );
            assert!(found == compared, "{found:?} is not {compared:?}");
        }
    }

    proptest! {
        #[test]
        fn native_buckets_hold_what_they_say(milliseconds in 1_i64..10_000_000_000) {
            let index = Observation::of(milliseconds).native;
            let seconds = (Amount { units: milliseconds.into(), scale: Scale::Milli }).to_f64();
            prop_assert!(seconds <= upper_bound(index) * (1.0 + 1e-12));
            prop_assert!(seconds > upper_bound(index - 1) * (1.0 - 1e-12));
        }
    }
}
