//! The ids that a walk has seen.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_128;

/// A set of ids, each stored as a hash of 128 bits: 17 bytes and no allocation for each, however
/// long it is.
#[derive(Debug, Default)]
pub(crate) struct SeenIds(HashTable<u128>);

impl SeenIds {
    /// Adds an id; false when the set contains it already.
    pub(crate) fn insert(&mut self, id: &str) -> bool {
        let wide = xxh3_128(id.as_bytes());
        match self
            .0
            .entry(half(wide), |seen| *seen == wide, |seen| half(*seen))
        {
            Entry::Occupied(_) => false,
            Entry::Vacant(room) => {
                room.insert(wide);
                true
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
fn half(wide: u128) -> u64 {
    wide as u64
}
