//! What the calls since the last snapshot add to the figures of centers.
//!
//! A center of several clients has many calls. Here a call is added to flat arrays, where each
//! bucket has its place; in a [`HistogramColumn`] it is searched for. A snapshot moves all that is
//! here to the figures first.
//!
//! [`HistogramColumn`]: crate::histogram::HistogramColumn

use crate::bucket_of::{Observation, ZERO_INDEX};
use crate::counted_call::{CallTime, Count};
use crate::histogram::{BUCKETS, HistogramColumn};
use crate::table::{CenterFigures, Table};

/// The most centers that are kept here, in each direction. Each takes 8 KiB.
const MOST: usize = 64;

/// The native buckets that have a place: zero, and those of 1 ms to ten hours.
const NATIVE: usize = 256;
const NATIVE_WORDS: usize = NATIVE / 64;
/// The index of place 1.
const LOWEST: i16 = -80;

/// The counters and times of recent calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentCenters {
    /// By rows of the table of centers.
    places: Vec<Option<Box<Figures>>>,
    used: usize,
    calls: u32,
}

/// What is added to one center.
#[derive(Clone, Debug)]
struct Figures {
    counters: [u64; Count::COUNTERS],
    times: [Times; CallTime::ALL.len()],
}

/// What is added to one histogram.
#[derive(Clone, Copy, Debug)]
struct Times {
    sum_ms: i128,
    classic: [u32; BUCKETS],
    native: [u32; NATIVE],
    /// A bit for each native bucket that is not 0.
    touched: [u64; NATIVE_WORDS],
}

const NO_TIMES: Times = Times {
    sum_ms: 0,
    classic: [0; BUCKETS],
    native: [0; NATIVE],
    touched: [0; NATIVE_WORDS],
};

impl RecentCenters {
    /// Counts a call in a row of the table of centers. False, and nothing is counted, if it has to
    /// be counted there: too many centers, or a time that has no place here.
    pub(crate) fn count(
        &mut self,
        row: u32,
        counters: [u64; Count::COUNTERS],
        observed: &[Option<Observation>; CallTime::ALL.len()],
    ) -> bool {
        let has_place = |one: &Observation| place_of(one.native) < NATIVE;
        if self.calls == u32::MAX || !observed.iter().flatten().all(has_place) {
            return false;
        }
        let Some(figures) = self.figures(row) else {
            return false;
        };
        for (sum, calls) in figures.counters.iter_mut().zip(counters) {
            *sum += calls;
        }
        for (times, observation) in figures.times.iter_mut().zip(observed) {
            if let Some(observation) = observation {
                times.add(observation);
            }
        }
        self.calls += 1;
        true
    }

    /// The figures of a row; `None` if there are too many.
    fn figures(&mut self, row: u32) -> Option<&mut Figures> {
        let row = row as usize;
        if row >= self.places.len() {
            self.places.resize_with(row + 1, || None);
        }
        let place = self.places.get_mut(row)?;
        if place.is_none() {
            if self.used == MOST {
                return None;
            }
            self.used += 1;
        }
        Some(place.get_or_insert_with(|| {
            Box::new(Figures {
                counters: [0; Count::COUNTERS],
                times: [NO_TIMES; CallTime::ALL.len()],
            })
        }))
    }

    /// Moves everything to the table.
    pub(crate) fn move_to(&mut self, centers: &mut Table<CenterFigures>) {
        for (row, figures) in (0..).zip(std::mem::take(self).places) {
            let Some(figures) = figures else { continue };
            centers.change(row, |chunk, place| {
                let (counts, times) = (&mut chunk.columns.counts, &mut chunk.columns.times);
                for (column, calls) in counts.columns.iter_mut().zip(figures.counters) {
                    if let Some(slot) = column.get_mut(place) {
                        *slot += calls;
                    }
                }
                for (column, times) in times.columns.iter_mut().zip(&figures.times) {
                    times.move_to(column, place);
                }
            });
        }
    }

    /// Memory in bytes.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.places.capacity() * size_of::<Option<Box<Figures>>>()
            + self.used * size_of::<Figures>()
    }
}

/// The place of a native bucket: beyond [`NATIVE`] if it has none.
#[inline]
fn place_of(index: i16) -> usize {
    match index {
        ZERO_INDEX => 0,
        // A negative number becomes a large one.
        _ => usize::from(index.wrapping_sub(LOWEST - 1).cast_unsigned()),
    }
}

impl Times {
    #[inline]
    fn add(&mut self, observation: &Observation) {
        self.sum_ms += i128::from(observation.milliseconds);
        if let Some(count) = self.classic.get_mut(usize::from(observation.classic)) {
            *count += 1;
        }
        let place = place_of(observation.native);
        if let Some(count) = self.native.get_mut(place) {
            *count += 1;
        }
        if let Some(word) = self.touched.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn move_to(&self, column: &mut HistogramColumn, row: usize) {
        let mut any = false;
        for (word, mut bits) in self.touched.into_iter().enumerate() {
            while bits != 0 {
                let place = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let index = match i16::try_from(place) {
                    Ok(place @ 1..) => place - 1 + LOWEST,
                    _ => ZERO_INDEX,
                };
                let count = self.native.get(place).copied().unwrap_or(0);
                column.add_native(row, index, count.into());
                any = true;
            }
        }
        if any {
            column.add_sum(row, self.sum_ms);
            for (bucket, count) in self.classic.into_iter().enumerate() {
                column.add_classic(row, bucket, count.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::Columns as _;

    fn milliseconds() -> impl Strategy<Value = Option<i64>> {
        let any = prop_oneof![
            Just(0),
            0_i64..100,
            0_i64..4_000_000,
            30_000_000_i64..40_000_000,
            0..=i64::MAX
        ];
        prop::option::weighted(0.8, any)
    }

    fn table(rows: usize) -> Table<CenterFigures> {
        let mut table = Table::default();
        (0..rows).for_each(|_| {
            table.push(&[], &[], 0);
        });
        table
    }

    proptest! {
        #[test]
        fn what_is_moved_is_what_would_have_been_counted(
            calls in prop::collection::vec((0_u32..80, prop::array::uniform8(milliseconds()), prop::array::uniform5(0_u64..2), prop::bool::weighted(0.1)), 1..200),
        ) {
            let (mut moved, mut expected) = (table(80), table(80));
            let mut recent = RecentCenters::default();
            for (row, times, counters, snapshot) in calls {
                let observed = times.map(|time| time.map(Observation::of));
                let mut one = CenterFigures::default();
                one.push();
                for (column, counter) in one.counts.columns.iter_mut().zip(counters) {
                    column[0] += counter;
                }
                for (column, observation) in one.times.columns.iter_mut().zip(&observed) {
                    if let Some(observation) = observation {
                        column.observe(0, observation);
                    }
                }
                expected.change(row, |chunk, place| chunk.columns.merge(place, &one, 0));
                if !recent.count(row, counters, &observed) {
                    moved.change(row, |chunk, place| chunk.columns.merge(place, &one, 0));
                }
                if snapshot {
                    recent.move_to(&mut moved);
                }
            }
            recent.move_to(&mut moved);
            for row in 0..80 {
                let (moved, place) = moved.row(row).unwrap();
                let (expected, _) = expected.row(row).unwrap();
                for (a, b) in moved.columns.counts.columns.iter().zip(&expected.columns.counts.columns) {
                    prop_assert_eq!(a[place], b[place]);
                }
                for (a, b) in moved.columns.times.columns.iter().zip(&expected.columns.times.columns) {
                    let (a, b) = (a.row(place).unwrap(), b.row(place).unwrap());
                    prop_assert_eq!((a.buckets, a.sum_ms), (b.buckets, b.sum_ms));
                    prop_assert_eq!(a.native().collect::<Vec<_>>(), b.native().collect::<Vec<_>>());
                }
            }
        }
    }
}
