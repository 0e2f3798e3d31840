//! Ids by their wide hashes, where the ids themselves need not be kept.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// A set of ids, by their wide hashes.
#[derive(Default)]
pub(crate) struct Ids(HashTable<u128>);

impl Ids {
    /// Forgets all, and keeps the room.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn contains(&self, wide: u128) -> bool {
        self.0.find(low(wide), |known| *known == wide).is_some()
    }

    /// Whether it was not yet in.
    pub(crate) fn insert(&mut self, wide: u128) -> bool {
        let entry = self
            .0
            .entry(low(wide), |known| *known == wide, |known| low(*known));
        match entry {
            Entry::Occupied(_) => false,
            Entry::Vacant(room) => {
                room.insert(wide);
                true
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
fn low(wide: u128) -> u64 {
    wide as u64
}
