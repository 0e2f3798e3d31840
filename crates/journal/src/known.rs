//! Known ids: which calls are in the journal, in 24 bytes each and an index of 5 to 11 more.
//!
//! Entries lie densely in a vector that grows by an eighth; the hash table holds only their numbers. So the slack is
//! bounded: at worst 24 · 9/8 + 5 / (7/16) = 38.4 bytes a call.

use hashbrown::HashTable;

use crate::keys::{Key, Keys};

/// Where a record lies. A batch's number fits 32 bits: the writer stops before it would not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) batch: u32,
    pub(crate) row: u16,
}

/// A known call: what tells it, and where its latest version lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) hash: u64,
    pub(crate) fingerprint: u64,
    batch: u32,
    row: u16,
    pub(crate) day: i16,
}

impl Entry {
    pub(crate) fn new(key: Key, place: Place) -> Self {
        Self {
            hash: key.hash,
            fingerprint: key.fingerprint,
            batch: place.batch,
            row: place.row,
            day: key.day,
        }
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            batch: self.batch,
            row: self.row,
        }
    }
}

/// A table of known calls.
#[derive(Default)]
pub(crate) struct KnownIds {
    entries: Vec<Entry>,
    index: HashTable<u32>,
}

impl KnownIds {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.index.allocation_size()
    }

    /// All entries under a hash, each with its number: one, but for collisions.
    pub(crate) fn under(&self, hash: u64) -> impl Iterator<Item = (u32, &Entry)> {
        self.index
            .iter_hash(hash)
            .filter_map(|&number| Some((number, self.entries.get(number as usize)?)))
            .filter(move |(_, entry)| entry.hash == hash)
    }

    /// Adds a call that is not yet in; gives its number. `None`, and nothing is added, beyond 2³² calls, which do not
    /// fit any memory: 160 GiB.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<u32> {
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact((self.entries.len() / 8).max(16));
        }
        let number = u32::try_from(self.entries.len()).ok()?;
        self.entries.push(entry);
        let entries = &self.entries;
        self.index
            .insert_unique(entry.hash, number, |&number| hash_of(entries, number));
        Some(number)
    }

    /// Puts `entry` in the place of the one that lies at `revises`; adds it if there is none. Gives its number.
    pub(crate) fn replace(&mut self, revises: Place, entry: Entry) -> Option<u32> {
        let entries = &self.entries;
        let found = self
            .index
            .find(entry.hash, |&number| {
                entries
                    .get(number as usize)
                    .is_some_and(|old| old.hash == entry.hash && old.place() == revises)
            })
            .copied();
        match found.and_then(|number| Some((number, self.entries.get_mut(number as usize)?))) {
            Some((number, old)) => {
                *old = entry;
                Some(number)
            }
            None => self.insert(entry),
        }
    }

    /// Whether an entry lies at `place`, under its hash.
    pub(crate) fn holds(&self, hash: u64, place: Place) -> bool {
        self.under(hash).any(|(_, entry)| entry.place() == place)
    }

    /// Takes in the keys of a batch: those whose day `wanted` accepts, and every revision of a call that is in.
    pub(crate) fn load(&mut self, batch: u32, keys: &Keys, wanted: impl Fn(i16) -> bool) {
        let mut revised = keys.revised.iter().peekable();
        for (row, key) in (0u16..=u16::MAX).zip(&keys.rows) {
            let entry = Entry::new(*key, Place { batch, row });
            match revised.next_if(|(number, _)| *number == row) {
                Some((_, revises)) if wanted(key.day) || self.holds(key.hash, *revises) => {
                    self.replace(*revises, entry);
                }
                None if wanted(key.day) => {
                    self.insert(entry);
                }
                Some(_) | None => {}
            }
        }
    }

    /// Forgets the calls before a day, and gives the memory back.
    pub(crate) fn forget_before(&mut self, day: i16) {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.day >= day);
        if self.entries.len() == before {
            return;
        }
        self.entries
            .shrink_to(self.entries.len() + self.entries.len() / 16);
        self.index = HashTable::with_capacity(self.entries.len());
        for (number, entry) in (0u32..).zip(&self.entries) {
            let entries = &self.entries;
            self.index
                .insert_unique(entry.hash, number, |&number| hash_of(entries, number));
        }
    }
}

fn hash_of(entries: &[Entry], number: u32) -> u64 {
    entries.get(number as usize).map_or(0, |entry| entry.hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(hash: u64, batch: u32) -> Entry {
        let key = Key {
            hash,
            fingerprint: hash ^ 1,
            day: 20_000 + i16::try_from(batch % 4).unwrap(),
        };
        Entry::new(key, Place { batch, row: 0 })
    }

    /// The bound that the module promises, at every size on the way.
    #[test]
    fn a_known_call_takes_40_bytes_at_most() {
        let mut known = KnownIds::default();
        let mut worst = 0.0f64;
        for number in 0..300_000u32 {
            known.insert(entry(
                u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                number,
            ));
            if known.len() > 1_000 {
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let each = known.bytes() as f64 / known.len() as f64;
                worst = worst.max(each);
            }
        }
        assert!(worst <= 40.0, "{worst} bytes a call");
    }

    #[test]
    fn calls_that_share_a_hash_are_kept_apart() {
        let mut known = KnownIds::default();
        known.insert(entry(7, 1));
        known.insert(entry(7, 2));
        known.insert(entry(8, 3));
        known.replace(Place { batch: 2, row: 0 }, entry(7, 9));
        let mut batches: Vec<u32> = known
            .under(7)
            .map(|(_, entry)| entry.place().batch)
            .collect();
        batches.sort_unstable();
        assert_eq!(batches, [1, 9]);
        assert!(
            known.holds(7, Place { batch: 1, row: 0 })
                && !known.holds(7, Place { batch: 2, row: 0 })
        );
    }

    #[test]
    fn days_before_are_forgotten() {
        let mut known = KnownIds::default();
        for number in 0..1_000u32 {
            known.insert(entry(number.into(), number));
        }
        known.forget_before(20_002);
        assert_eq!(known.len(), 500);
        assert_eq!(known.under(2).count(), 1);
        assert_eq!(known.under(1).count(), 0);
    }
}
