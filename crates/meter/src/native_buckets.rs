//! The native buckets of the histograms of a chunk, in one list.
//!
//! The buckets in use of a row are in the order of their index, and free places follow. So a new
//! bucket moves only buckets of its own row, mostly.

/// The buckets of some rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct NativeBuckets {
    /// Each is `index << 48 | count`, or [`FREE`].
    places: Vec<u64>,
    /// Where each row begins, and where the last one ends.
    starts: Vec<u32>,
}

/// A place without a bucket. It sorts behind all buckets.
const FREE: u64 = u64::MAX;

/// The highest index that a bucket may have. Those of durations are far below it.
pub(crate) const LAST_INDEX: i16 = i16::MAX - 1;

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

/// Buckets in a line of the processor's cache.
const LINE: usize = 8;

/// How many of a row's buckets are below `wanted`.
///
/// The rows of all clients do not fit in the cache, so this waits for memory. A binary search waits
/// for one line after the other. Here one bucket of each line is compared first: these loads do not
/// depend on each other, so the processor waits for all of them at once.
#[inline]
fn below(places: &[u64], wanted: u64) -> usize {
    let count = |line: &[u64]| line.iter().filter(|packed| **packed < wanted).count();
    let (lines, rest) = places.as_chunks::<LINE>();
    let full = lines.iter().filter(|line| line[LINE - 1] < wanted).count();
    full * LINE
        + lines
            .get(full)
            .map_or_else(|| count(rest), |line| count(line))
}

/// How many places a row gets when it has none left.
fn growth(places: usize) -> usize {
    4 + places / 4
}

/// Index and count of each bucket in use among the places of a row.
pub(crate) fn used(places: &[u64]) -> impl Iterator<Item = (i16, u64)> + use<'_> {
    let used = places.iter().take_while(|packed| **packed != FREE);
    used.map(|packed| unpack(*packed))
}

impl NativeBuckets {
    /// Adds a row without buckets.
    pub(crate) fn push(&mut self) {
        let end = self.starts.last().copied().unwrap_or(0);
        if self.starts.is_empty() {
            self.starts.push(end);
        }
        self.starts.push(end);
    }

    /// The places of a row.
    pub(crate) fn row(&self, row: usize) -> Option<&[u64]> {
        self.places.get(self.range(row)?)
    }

    fn range(&self, row: usize) -> Option<std::ops::Range<usize>> {
        match self.starts.get(row..)? {
            [start, end, ..] => Some(*start as usize..*end as usize),
            _ => None,
        }
    }

    /// Adds to a bucket of a row.
    #[inline]
    pub(crate) fn add(&mut self, row: usize, index: i16, count: u64) {
        let Some(range) = self.range(row) else {
            return;
        };
        let start = range.start;
        let Some(places) = self.places.get_mut(range) else {
            return;
        };
        let wanted = pack(index, 0);
        let place = below(places, wanted);
        match places.get_mut(place) {
            Some(packed) if *packed >> COUNT_BITS == wanted >> COUNT_BITS => *packed += count,
            _ => {
                if places.last() != Some(&FREE) {
                    self.grow(row);
                }
                self.insert(row, start + place, pack(index, count));
            }
        }
    }

    /// Adds free places to a row.
    #[cold]
    fn grow(&mut self, row: usize) {
        let Some(range) = self.range(row) else {
            return;
        };
        let more = growth(range.len());
        let behind = self.places.len() - range.end;
        self.places.resize(self.places.len() + more, FREE);
        if let Some(places) = self.places.get_mut(range.end..) {
            places.copy_within(..behind, more);
        }
        if let Some(free) = self.places.get_mut(range.end..range.end + more) {
            free.fill(FREE);
        }
        for start in self.starts.iter_mut().skip(row + 1) {
            // A chunk has a few rows of at most 65,536 buckets.
            *start += u32::try_from(more).unwrap_or(0);
        }
    }

    /// Puts a bucket at a place of a row, whose last place is free.
    fn insert(&mut self, row: usize, place: usize, bucket: u64) {
        let end = self.range(row).map_or(0, |range| range.end);
        let Some(places) = self.places.get_mut(place..end) else {
            return;
        };
        if !places.is_empty() {
            places.copy_within(..places.len() - 1, 1);
        }
        if let Some(first) = places.first_mut() {
            *first = bucket;
        }
    }

    /// Memory in bytes.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.places.capacity() * size_of::<u64>() + self.starts.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buckets_are_counted_in_order(added in proptest::collection::vec((0_usize..3, prop_oneof![Just(i16::MIN), -80_i16..200, any::<i16>()], 1_u64..9), 0..200)) {
            let mut buckets = NativeBuckets::default();
            (0..3).for_each(|_| buckets.push());
            let mut expected = vec![BTreeMap::new(); 3];
            for (row, index, count) in added {
                let index = index.min(LAST_INDEX);
                buckets.add(row, index, count);
                *expected[row].entry(index).or_insert(0) += count;
            }
            for (row, expected) in expected.into_iter().enumerate() {
                let found: Vec<_> = used(buckets.row(row).unwrap()).collect();
                prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
            }
            prop_assert!(buckets.row(3).is_none());
        }
    }
}
