//! Histograms of durations, with classic buckets and with the exponential buckets of native
//! histograms.
//!
//! The exponential buckets are those of schema 3: eight per power of two, so that a quantile is
//! within 9 %. They cannot be computed from the classic ones.

/// Upper bounds of the classic buckets in milliseconds; one more bucket is +Inf.
///
/// The low bounds are for ring and hold times (usual service targets are 20 and 30 s), the high
/// ones for talk times.
pub const BOUNDS_MS: [i32; 14] = [
    1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 180_000, 300_000,
    600_000, 1_800_000, 3_600_000,
];

/// The same bounds in seconds, the values of `le`.
pub const BOUNDS_SECONDS: [f64; 14] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 3600.0,
];

/// Number of classic buckets, including +Inf.
pub const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// Schema of the native histograms: 2³ buckets per power of two.
pub const NATIVE_SCHEMA: i32 = 3;

/// Native histograms: durations up to this many seconds go to the zero bucket. Since durations are
/// whole milliseconds, these are zeros only.
pub const NATIVE_ZERO_THRESHOLD: f64 = 0.000_5;

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

/// A bucket in use of a native histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeBucket {
    /// The bucket holds durations up to 2^(index/8) seconds; `None` is the zero bucket.
    pub index: Option<i16>,
    /// Observations in this bucket, not cumulative.
    pub count: u64,
}

/// The classic bucket of a duration.
fn classic_bucket(milliseconds: i64) -> usize {
    // 32 bits exceed the last bound, and vectorize better than 64.
    let milliseconds = i32::try_from(milliseconds).unwrap_or(i32::MAX);
    let below = BOUNDS_MS.iter().filter(|bound| **bound < milliseconds);
    below.count()
}

const ZERO_INDEX: i16 = i16::MIN;

/// The native bucket of a duration, which must not be negative.
fn native_index(milliseconds: i64) -> i16 {
    if milliseconds <= 0 {
        return ZERO_INDEX;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "doubles are exact up to 285,000 years"
    )]
    let seconds = milliseconds as f64 / 1000.0;
    // seconds = fraction × 2^exponent with fraction in [0.5, 1).
    let bits = seconds.to_bits();
    let exponent = i16::try_from((bits >> 52) & 0x7ff).unwrap_or(0) - 1022;
    let fraction = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    // Counting needs no branches, which makes it faster than a search.
    let factor = FACTORS.iter().filter(|factor| **factor < fraction).count();
    (exponent - 1) * 8 + i16::try_from(factor).unwrap_or(0)
}

/// The histograms of one field over the rows of a chunk.
#[derive(Clone, Debug, Default)]
pub struct HistogramColumn {
    /// `BUCKETS` counts per row, not cumulative.
    classic: Vec<u64>,
    /// Sums in milliseconds, in a type that they cannot overflow.
    sums: Vec<i128>,
    /// The buckets in use, row by row in the order of their index: `index << 48 | count`.
    native: Vec<u64>,
    native_ends: Vec<u32>,
}

/// The histogram of one series.
#[derive(Clone, Copy, Debug)]
pub struct HistogramRow<'a> {
    /// Observations per classic bucket, not cumulative, +Inf last.
    pub buckets: &'a [u64],
    /// Sum of all observations in milliseconds.
    pub sum_ms: i128,
    native: &'a [u64],
}

impl HistogramRow<'_> {
    /// The number of all observations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The native buckets in use, in the order of their upper bounds, the zero bucket first.
    pub fn native(&self) -> impl Iterator<Item = NativeBucket> {
        self.native.iter().map(|packed| {
            let (index, count) = unpack(*packed);
            NativeBucket {
                index: (index != ZERO_INDEX).then_some(index),
                count,
            }
        })
    }
}

const COUNT_BITS: u32 = 48;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// Packs the index (shifted so that it sorts) above the count, for which 48 bits are enough.
fn pack(index: i16, count: u64) -> u64 {
    (u64::from(index.cast_unsigned() ^ 0x8000) << COUNT_BITS) | (count & COUNT_MASK)
}

fn unpack(packed: u64) -> (i16, u64) {
    let index = u16::try_from(packed >> COUNT_BITS).unwrap_or(0) ^ 0x8000;
    (index.cast_signed(), packed & COUNT_MASK)
}

/// The place of the bucket of `index` among the buckets in use, or where to insert it.
///
/// The indices are sorted, distinct and mostly without gaps, so the first and the last one leave
/// little to search.
fn place_of(used: &[u64], index: i16) -> usize {
    let zero = usize::from(
        used.first()
            .is_some_and(|packed| unpack(*packed).0 == ZERO_INDEX),
    );
    if index == ZERO_INDEX {
        return 0;
    }
    let Some(used) = used.get(zero..) else {
        return 0;
    };
    let (Some(first), Some(last)) = (used.first(), used.last()) else {
        return zero;
    };
    let above = |low: i16, high: i16| usize::try_from(i32::from(high) - i32::from(low));
    let most = above(unpack(*first).0, index).unwrap_or(0).min(used.len());
    let behind = above(index, unpack(*last).0).map_or(0, |gap| gap + 1);
    let least = used.len().saturating_sub(behind).min(most);
    let wanted = pack(index, 0);
    let open = used.get(least..most).unwrap_or_default();
    zero + least + open.partition_point(|packed| *packed < wanted)
}

impl HistogramColumn {
    /// How many rows it holds.
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whether it holds no rows.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// The histogram of a row.
    pub fn row(&self, row: usize) -> Option<HistogramRow<'_>> {
        let native = self.native_start(row)..*self.native_ends.get(row)? as usize;
        Some(HistogramRow {
            buckets: self.classic.get(row * BUCKETS..(row + 1) * BUCKETS)?,
            sum_ms: *self.sums.get(row)?,
            native: self.native.get(native)?,
        })
    }

    fn native_start(&self, row: usize) -> usize {
        let before = row.checked_sub(1).and_then(|row| self.native_ends.get(row));
        before.map_or(0, |end| *end as usize)
    }

    /// Adds a row without observations.
    pub(crate) fn push(&mut self) {
        self.classic.resize(self.classic.len() + BUCKETS, 0);
        self.sums.push(0);
        self.native_ends
            .push(self.native_ends.last().copied().unwrap_or(0));
    }

    /// Adds an observation, which must not be negative.
    pub(crate) fn observe(&mut self, row: usize, milliseconds: i64) {
        self.add_classic(row, classic_bucket(milliseconds), 1);
        self.add_sum(row, i128::from(milliseconds));
        self.add_native(row, native_index(milliseconds), 1);
    }

    /// Adds the observations of a row of another column.
    pub(crate) fn merge(&mut self, row: usize, from: &HistogramRow<'_>) {
        for (bucket, count) in from.buckets.iter().enumerate() {
            self.add_classic(row, bucket, *count);
        }
        self.add_sum(row, from.sum_ms);
        for packed in from.native {
            let (index, count) = unpack(*packed);
            self.add_native(row, index, count);
        }
    }

    pub(crate) fn add_classic(&mut self, row: usize, bucket: usize, count: u64) {
        if let Some(slot) = self.classic.get_mut(row * BUCKETS + bucket) {
            *slot += count;
        }
    }

    pub(crate) fn add_sum(&mut self, row: usize, milliseconds: i128) {
        if let Some(sum) = self.sums.get_mut(row) {
            *sum += milliseconds;
        }
    }

    pub(crate) fn add_native(&mut self, row: usize, index: i16, count: u64) {
        let start = self.native_start(row);
        let Some(end) = self.native_ends.get(row).map(|end| *end as usize) else {
            return;
        };
        let Some(used) = self.native.get_mut(start..end) else {
            return;
        };
        let place = place_of(used, index);
        match used.get_mut(place) {
            Some(packed) if unpack(*packed).0 == index => *packed += count,
            _ => {
                self.native.insert(start + place, pack(index, count));
                for end in self.native_ends.iter_mut().skip(row) {
                    *end += 1;
                }
            }
        }
    }

    /// The native buckets of a row as they are stored, for the encoding of the totals.
    pub(crate) fn native_raw(&self, row: usize) -> impl Iterator<Item = (i16, u64)> {
        let used = self.row(row).map_or(&[][..], |row| row.native);
        used.iter().map(|packed| unpack(*packed))
    }

    /// Memory in bytes.
    pub(crate) fn resident_bytes(&self) -> usize {
        (self.classic.capacity() + self.native.capacity()) * size_of::<u64>()
            + self.sums.capacity() * size_of::<i128>()
            + self.native_ends.capacity() * size_of::<u32>()
    }
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
    fn bounds_agree_and_rise() {
        for (ms, seconds) in BOUNDS_MS.iter().zip(BOUNDS_SECONDS) {
            assert!((f64::from(*ms) / 1000.0 - seconds).abs() < 1e-12);
        }
        assert!(BOUNDS_MS.is_sorted());
        assert!(FACTORS.is_sorted());
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let mut column = HistogramColumn::default();
        column.push();
        for milliseconds in [0, 1_000, 1_001, 3_600_000, 3_600_001, i64::MAX] {
            column.observe(0, milliseconds);
        }
        let row = column.row(0).unwrap();
        assert_eq!(row.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(row.count(), 6);
        assert_eq!(
            row.sum_ms,
            1_000 + 1_001 + 3_600_000 + 3_600_001 + i128::from(i64::MAX)
        );
        let native: Vec<_> = row.native().collect();
        assert_eq!(native.first().unwrap().index, None);
        assert_eq!(native.get(1).unwrap().index, Some(0)); // 1 s = 2^0
        assert_eq!(native.get(2).unwrap().index, Some(1)); // just above
    }

    proptest! {
        #[test]
        fn native_buckets_hold_what_they_say(milliseconds in 1_i64..10_000_000_000) {
            let index = native_index(milliseconds);
            let seconds = (Amount { units: milliseconds.into(), scale: Scale::Milli }).to_f64();
            prop_assert!(seconds <= upper_bound(index) * (1.0 + 1e-12));
            prop_assert!(seconds > upper_bound(index - 1) * (1.0 - 1e-12));
        }

        #[test]
        fn a_bucket_is_found_where_a_search_would(indices in proptest::collection::btree_set(prop_oneof![Just(ZERO_INDEX), -80_i16..200, any::<i16>()], 0..60), extra in any::<i16>()) {
            let used: Vec<u64> = indices.iter().map(|index| pack(*index, 7)).collect();
            for index in indices.iter().copied().chain([extra, ZERO_INDEX]) {
                let searched = used.partition_point(|packed| *packed < pack(index, 0));
                prop_assert_eq!(place_of(&used, index), searched);
            }
        }

        #[test]
        fn rows_do_not_disturb_each_other(observations in proptest::collection::vec((0_usize..4, 0_i64..5_000_000), 0..200)) {
            let mut together = HistogramColumn::default();
            (0..4).for_each(|_| together.push());
            for (row, milliseconds) in &observations {
                together.observe(*row, *milliseconds);
            }
            for row in 0..4 {
                let mut alone = HistogramColumn::default();
                alone.push();
                for (_, milliseconds) in observations.iter().filter(|(of, _)| *of == row) {
                    alone.observe(0, *milliseconds);
                }
                let (a, b) = (together.row(row).unwrap(), alone.row(0).unwrap());
                prop_assert_eq!(a.buckets, b.buckets);
                prop_assert_eq!(a.sum_ms, b.sum_ms);
                prop_assert_eq!(a.native().collect::<Vec<_>>(), b.native().collect::<Vec<_>>());
                prop_assert_eq!(a.native().map(|bucket| bucket.count).sum::<u64>(), a.count());
            }
        }
    }
}
