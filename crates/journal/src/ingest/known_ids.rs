//! Known ids: which calls are in the journal. A call takes 24 bytes, and 5 to 11 for the index.
//!
//! The calls are in a vector that grows by an eighth; the hash table has only their numbers. This
//! limits the unused memory: a call takes at most 24 · 9/8 + 5 / (7/16) = 38.4 bytes.

use hashbrown::HashTable;

use crate::log::keys::{CallKey, RowAddress, StoredKeys};

/// A known call: the hashes that identify it, and the address of its latest version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownCall {
    pub(crate) hash: u64,
    pub(crate) fingerprint: u64,
    batch: u32,
    row: u16,
    pub(crate) day: i16,
}

impl KnownCall {
    pub(crate) fn new(key: CallKey, address: RowAddress) -> Self {
        Self {
            hash: key.hash,
            fingerprint: key.fingerprint,
            batch: address.batch,
            row: address.row,
            day: key.day,
        }
    }

    pub(crate) fn address(&self) -> RowAddress {
        RowAddress {
            batch: self.batch,
            row: self.row,
        }
    }
}

/// A table of known calls.
#[derive(Default)]
pub(crate) struct KnownIds {
    entries: Vec<KnownCall>,
    index: HashTable<u32>,
}

impl KnownIds {
    /// With room for that many calls: nothing is moved while they are added.
    pub(crate) fn with_capacity(calls: usize) -> Self {
        Self {
            entries: Vec::with_capacity(calls),
            index: HashTable::with_capacity(calls),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of memory that the table takes.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<KnownCall>() + self.index.allocation_size()
    }

    /// The call with a number.
    pub(crate) fn get(&self, number: u32) -> Option<KnownCall> {
        self.entries.get(number as usize).copied()
    }

    /// All calls with a hash, each with its number: one, unless hashes collide.
    pub(crate) fn with_hash(&self, hash: u64) -> impl Iterator<Item = (u32, KnownCall)> {
        self.index
            .iter_hash(hash)
            .filter_map(|&number| Some((number, self.get(number)?)))
            .filter(move |(_, entry)| entry.hash == hash)
    }

    /// Whether a call has this hash.
    pub(crate) fn has_hash(&self, hash: u64) -> bool {
        let is_same = |number: &u32| hash_of(&self.entries, *number) == hash;
        !self.index.is_empty() && self.index.find(hash, is_same).is_some()
    }

    /// Adds a call that is not in the table, and returns its number. `None` if the table has 2³²
    /// calls, which would take 160 GiB.
    pub(crate) fn insert(&mut self, entry: KnownCall) -> Option<u32> {
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

    /// Replaces the call at address `revises`; adds it if there is none. Returns its number.
    pub(crate) fn replace(&mut self, revises: RowAddress, entry: KnownCall) -> Option<u32> {
        let entries = &self.entries;
        let found = self
            .index
            .find(entry.hash, |&number| {
                entries
                    .get(number as usize)
                    .is_some_and(|old| old.hash == entry.hash && old.address() == revises)
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

    /// Whether the table has the call at `address`.
    pub(crate) fn contains(&self, hash: u64, address: RowAddress) -> bool {
        self.with_hash(hash)
            .any(|(_, entry)| entry.address() == address)
    }

    /// Adds the `wanted` keys of a batch, and revisions of calls in the table.
    pub(crate) fn load(
        &mut self,
        batch: u32,
        keys: &StoredKeys<'_>,
        wanted: impl Fn(&CallKey) -> bool,
    ) {
        let mut revised = keys.revised().peekable();
        for (row, key) in (0u16..=u16::MAX).zip(keys.rows()) {
            let entry = KnownCall::new(key, RowAddress { batch, row });
            match revised.next_if(|(number, _)| *number == row) {
                Some((_, revises)) if wanted(&key) || self.contains(key.hash, revises) => {
                    self.replace(revises, entry);
                }
                None if wanted(&key) => {
                    self.insert(entry);
                }
                Some(_) | None => {}
            }
        }
    }

    /// Frees the memory that calls would take that [`KnownIds::with_capacity`] expected, and that
    /// did not come.
    pub(crate) fn shrink(&mut self) {
        self.entries
            .shrink_to(self.entries.len() + self.entries.len() / 16);
        let entries = &self.entries;
        self.index.shrink_to_fit(|&number| hash_of(entries, number));
    }

    /// Removes the calls before a day, and frees their memory. Calls `forgotten` with the hash of
    /// each.
    pub(crate) fn forget_before(&mut self, day: i16, mut forgotten: impl FnMut(u64)) {
        let before = self.entries.len();
        self.entries.retain(|entry| {
            let keep = entry.day >= day;
            if !keep {
                forgotten(entry.hash);
            }
            keep
        });
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

fn hash_of(entries: &[KnownCall], number: u32) -> u64 {
    entries.get(number as usize).map_or(0, |entry| entry.hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(hash: u64, batch: u32) -> KnownCall {
        let key = CallKey {
            hash,
            fingerprint: hash ^ 1,
            day: 20_000 + i16::try_from(batch % 4).unwrap(),
        };
        KnownCall::new(key, RowAddress { batch, row: 0 })
    }

    /// Checks the limit in the module docs at every size.
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
        known.replace(RowAddress { batch: 2, row: 0 }, entry(7, 9));
        let mut batches: Vec<u32> = known
            .with_hash(7)
            .map(|(_, entry)| entry.address().batch)
            .collect();
        batches.sort_unstable();
        assert_eq!(batches, [1, 9]);
        assert!(known.has_hash(7) && known.has_hash(8) && !known.has_hash(9));
        assert!(
            known.contains(7, RowAddress { batch: 1, row: 0 })
                && !known.contains(7, RowAddress { batch: 2, row: 0 })
        );
    }

    #[test]
    fn days_before_are_forgotten() {
        let mut known = KnownIds::default();
        for number in 0..1_000u32 {
            known.insert(entry(number.into(), number));
        }
        let mut forgotten = Vec::new();
        known.forget_before(20_002, |hash| forgotten.push(hash));
        assert_eq!((known.len(), forgotten.len()), (500, 500));
        assert_eq!(forgotten[..3], [0, 1, 4]);
        assert_eq!(known.with_hash(2).count(), 1);
        assert_eq!(known.with_hash(1).count(), 0);
    }
}
