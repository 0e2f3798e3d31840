//! Ids older than the look-back: a Bloom filter of at most two bytes a call, or four while it grows.
//!
//! It tells which ids the journal does not have. Whatever it may have is looked up in the stored
//! keys.

/// Bits per call when the filter is full; one in 800 other ids is then taken for a known one.
const BITS: usize = 14;
const PROBES: u64 = 9;
/// The smallest filter, in calls.
const SMALLEST: usize = 1024;

/// A set of id hashes that may contain more than was added.
#[derive(Default)]
pub(crate) struct OldIds {
    words: Vec<u64>,
    calls: usize,
    capacity: usize,
}

impl OldIds {
    /// An empty set for so many calls, and `more`.
    pub(crate) fn with_capacity(calls: usize, more: usize) -> Self {
        let capacity = (calls + more).max(SMALLEST);
        Self {
            words: vec![0; (capacity * BITS).div_ceil(64)],
            calls: 0,
            capacity,
        }
    }

    /// Adds an id. Beyond the capacity the set gets less exact, but loses nothing.
    pub(crate) fn insert(&mut self, hash: u64) {
        for (word, bit) in probes(self.words.len(), hash) {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
        self.calls += 1;
    }

    /// False only if the id was not added.
    pub(crate) fn may_contain(&self, hash: u64) -> bool {
        probes(self.words.len(), hash)
            .all(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.calls > self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.calls
    }

    /// Bytes of memory that the set takes.
    pub(crate) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

/// The bits of an id: each as the index of a word and a mask.
fn probes(words: usize, hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let bits = words as u128 * 64;
    // The hash is good enough for both halves to be hashes.
    let step = hash.rotate_left(32) | 1;
    (0..PROBES).map(move |probe| {
        let mixed = hash.wrapping_add(probe.wrapping_mul(step));
        let bit = ((u128::from(mixed) * bits) >> 64) as u64;
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use callmeter_records::id_hash;

    use super::*;

    #[test]
    fn a_full_set_is_small_and_exact() {
        const CALLS: usize = 200_000;
        let hash = |number: usize| id_hash(&format!("call-{number}"));
        let mut ids = OldIds::with_capacity(CALLS, CALLS / 8);
        let mut number = 0;
        while ids.len() < ids.capacity {
            ids.insert(hash(number));
            number += 1;
        }
        assert!(ids.bytes() <= 2 * CALLS, "{} bytes", ids.bytes());
        assert!((0..number).all(|number| ids.may_contain(hash(number))));
        let others = number..number + CALLS;
        let wrong = others.filter(|number| ids.may_contain(hash(*number)));
        let wrong = wrong.count();
        assert!(wrong < CALLS / 400, "{wrong} of {CALLS}");
    }

    #[test]
    fn an_empty_set_contains_nothing() {
        assert!(!OldIds::default().may_contain(id_hash("a")));
        assert!(!OldIds::with_capacity(0, 0).may_contain(id_hash("a")));
    }
}
