//! Ids older than the look-back: a Bloom filter of at most two bytes a call, or five while it
//! grows.
//!
//! It tells which ids the journal does not have. Whatever it may have is looked up in the stored
//! keys.

/// Bits per call when the filter is full; one in 500 other ids is then taken for a known one.
const BITS: usize = 14;
/// The same of a filter that grows: one in 10,000. While a long history is read, there are many
/// other ids, and each that is taken for a known one has the keys of the whole journal read.
const GROWING_BITS: usize = 24;
/// The smallest filter, in calls.
const SMALLEST: usize = 1024;

/// All bits of an id are in one block, so that it takes one access to memory, not nine.
type Block = [u64; 16];

/// A set of id hashes that may contain more than was added.
#[derive(Default)]
pub(crate) struct OldIds {
    blocks: Vec<Block>,
    calls: usize,
    capacity: usize,
}

impl OldIds {
    /// An empty set for so many calls, and an eighth more.
    pub(crate) fn with_capacity(calls: usize) -> Self {
        Self::with_bits(calls + calls / 8, BITS)
    }

    /// An empty set for so many calls, and two thirds more: so each call is added no more than
    /// three times, on average, while the set grows from nothing.
    pub(crate) fn growing(calls: usize) -> Self {
        Self::with_bits(calls + calls / 3 * 2, GROWING_BITS)
    }

    fn with_bits(calls: usize, bits: usize) -> Self {
        let capacity = calls.max(SMALLEST);
        let bits_of_block = size_of::<Block>() * 8;
        Self {
            blocks: vec![Block::default(); (capacity * bits).div_ceil(bits_of_block)],
            calls: 0,
            capacity,
        }
    }

    /// Adds an id. Beyond the capacity the set gets less exact, but loses nothing.
    pub(crate) fn insert(&mut self, hash: u64) {
        let block = place(self.blocks.len(), hash);
        if let Some(block) = self.blocks.get_mut(block) {
            for (word, bit) in bits(hash) {
                if let Some(word) = block.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        self.calls += 1;
    }

    /// False only if the id was not added.
    pub(crate) fn may_contain(&self, hash: u64) -> bool {
        let block = self.blocks.get(place(self.blocks.len(), hash));
        block.is_some_and(|block| {
            bits(hash)
                .iter()
                .all(|(word, bit)| block.get(*word).is_some_and(|word| word & bit != 0))
        })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.calls > self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.calls
    }

    /// Bytes of memory that the set takes.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>()
    }
}

/// The block of an id.
fn place(blocks: usize, hash: u64) -> usize {
    usize::try_from((u128::from(hash) * blocks as u128) >> 64).unwrap_or(0)
}

/// The bits of an id in its block: each as the index of a word and a mask.
fn bits(hash: u64) -> [(usize, u64); 8] {
    // The upper half of the hash has chosen the block. These are ten bits each of two products.
    let mixed = hash ^ (hash >> 32);
    let first = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let second = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
    [
        first >> 54,
        first >> 44,
        first >> 34,
        first >> 24,
        second >> 54,
        second >> 44,
        second >> 34,
        second >> 24,
    ]
    .map(|bits| {
        let bit = bits & 1023;
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use callmeter_records::id_hash;

    use super::*;

    const CALLS: usize = 200_000;

    /// Fills a set. Returns its bytes, and how many of [`CALLS`] other ids it is wrong about.
    fn fill(mut ids: OldIds) -> (usize, usize) {
        let hash = |number: usize| id_hash(&format!("call-{number}"));
        let mut number = 0;
        while ids.len() < ids.capacity {
            ids.insert(hash(number));
            number += 1;
        }
        assert!((0..number).all(|number| ids.may_contain(hash(number))));
        let others = number..number + CALLS;
        let wrong = others.filter(|number| ids.may_contain(hash(*number)));
        (ids.bytes(), wrong.count())
    }

    #[test]
    fn a_full_set_is_small_and_exact() {
        let (bytes, wrong) = fill(OldIds::with_capacity(CALLS));
        assert!(bytes <= 2 * CALLS, "{bytes} bytes");
        assert!(wrong < CALLS / 400, "{wrong} of {CALLS}");
    }

    #[test]
    fn a_set_that_grows_is_more_exact() {
        let (bytes, wrong) = fill(OldIds::growing(CALLS));
        assert!(bytes <= 5 * CALLS + size_of::<Block>(), "{bytes} bytes");
        assert!(wrong < CALLS / 8_000, "{wrong} of {CALLS}");
    }

    #[test]
    fn an_empty_set_contains_nothing() {
        assert!(!OldIds::default().may_contain(id_hash("a")));
        assert!(!OldIds::with_capacity(0).may_contain(id_hash("a")));
    }
}
