//! Histograms of durations, with classic buckets and with the exponential buckets of native
//! histograms.
//!
//! The exponential buckets are those of schema 3: eight per power of two, so that a quantile is
//! within 9 %. They cannot be computed from the classic ones.

use crate::bucket_of::{BOUNDS_MS, Observation, ZERO_INDEX};
use crate::native_buckets::{NativeBuckets, used};

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

/// A bucket in use of a native histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeBucket {
    /// The bucket holds durations up to 2^(index/8) seconds; `None` is the zero bucket.
    pub index: Option<i16>,
    /// Observations in this bucket, not cumulative.
    pub count: u64,
}

/// The histograms of one field over the rows of a chunk.
#[derive(Clone, Debug, Default)]
pub struct HistogramColumn {
    /// `BUCKETS` counts per row, not cumulative.
    classic: Vec<u64>,
    /// Sums in milliseconds, in a type that they cannot overflow.
    sums: Vec<i128>,
    native: NativeBuckets,
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

impl<'a> HistogramRow<'a> {
    /// The number of all observations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The native buckets in use, in the order of their upper bounds, the zero bucket first.
    pub fn native(&self) -> impl Iterator<Item = NativeBucket> + use<'a> {
        used(self.native).map(|(index, count)| NativeBucket {
            index: (index != ZERO_INDEX).then_some(index),
            count,
        })
    }
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
        Some(HistogramRow {
            buckets: self.classic.get(row * BUCKETS..(row + 1) * BUCKETS)?,
            sum_ms: *self.sums.get(row)?,
            native: self.native.row(row)?,
        })
    }

    /// Adds a row without observations.
    pub(crate) fn push(&mut self) {
        self.classic.resize(self.classic.len() + BUCKETS, 0);
        self.sums.push(0);
        self.native.push();
    }

    /// Adds an observation.
    #[inline]
    pub(crate) fn observe(&mut self, row: usize, observation: &Observation) {
        self.add_classic(row, observation.classic.into(), 1);
        self.add_sum(row, observation.milliseconds.into());
        self.add_native(row, observation.native, 1);
    }

    /// Adds the observations of a row of another column.
    pub(crate) fn merge(&mut self, row: usize, from: &HistogramRow<'_>) {
        for (bucket, count) in from.buckets.iter().enumerate() {
            self.add_classic(row, bucket, *count);
        }
        self.add_sum(row, from.sum_ms);
        for (index, count) in used(from.native) {
            self.add_native(row, index, count);
        }
    }

    #[inline]
    pub(crate) fn add_classic(&mut self, row: usize, bucket: usize, count: u64) {
        if let Some(slot) = self.classic.get_mut(row * BUCKETS + bucket) {
            *slot += count;
        }
    }

    #[inline]
    pub(crate) fn add_sum(&mut self, row: usize, milliseconds: i128) {
        if let Some(sum) = self.sums.get_mut(row) {
            *sum += milliseconds;
        }
    }

    #[inline]
    pub(crate) fn add_native(&mut self, row: usize, index: i16, count: u64) {
        self.native.add(row, index, count);
    }

    /// The native buckets of a row as they are stored, for the encoding of the totals.
    pub(crate) fn native_raw(&self, row: usize) -> impl Iterator<Item = (i16, u64)> {
        used(self.native.row(row).unwrap_or_default())
    }

    /// Memory in bytes.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.classic.capacity() * size_of::<u64>()
            + self.sums.capacity() * size_of::<i128>()
            + self.native.resident_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_agree_and_rise() {
        for (ms, seconds) in BOUNDS_MS.iter().zip(BOUNDS_SECONDS) {
            assert!((f64::from(*ms) / 1000.0 - seconds).abs() < 1e-12);
        }
        assert!(BOUNDS_MS.is_sorted());
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let mut column = HistogramColumn::default();
        column.push();
        for milliseconds in [0, 1_000, 1_001, 3_600_000, 3_600_001, i64::MAX] {
            column.observe(0, &Observation::of(milliseconds));
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
        fn rows_do_not_disturb_each_other(observations in proptest::collection::vec((0_usize..4, 0_i64..5_000_000), 0..200)) {
            let mut together = HistogramColumn::default();
            (0..4).for_each(|_| together.push());
            for (row, milliseconds) in &observations {
                together.observe(*row, &Observation::of(*milliseconds));
            }
            for row in 0..4 {
                let mut alone = HistogramColumn::default();
                alone.push();
                for (_, milliseconds) in observations.iter().filter(|(of, _)| *of == row) {
                    alone.observe(0, &Observation::of(*milliseconds));
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
