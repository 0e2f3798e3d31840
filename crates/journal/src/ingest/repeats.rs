//! Duplicates within a poll: the calls that the poll has already returned.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::ingest::account_memory::{AccountMemory, KnownIndex};

/// The calls that a poll has seen: a bit for each known call, a hash for each other call.
#[derive(Default)]
pub(crate) struct Repeats {
    /// Known calls of committed pages.
    known: KnownBits,
    /// Calls of committed pages that are not known because they had not settled.
    unsettled: IdSet,
    /// All calls of the open page.
    page: IdSet,
    page_known: Vec<KnownIndex>,
    /// The same as bits.
    page_known_bits: KnownBits,
    page_unsettled: Vec<u128>,
}

impl Repeats {
    /// Starts a page, and drops what the last one left if it was not committed.
    pub(crate) fn begin_page(&mut self, memory: &AccountMemory) {
        self.known.follow(memory);
        self.page_known_bits.follow(memory);
        self.page.clear();
        for index in self.page_known.drain(..) {
            self.page_known_bits.remove(index);
        }
        self.page_unsettled.clear();
    }

    /// Whether the poll has seen the call before; notes it for the rest of the page.
    pub(crate) fn is_repeated(&mut self, wide_hash: u128, known: Option<KnownIndex>) -> bool {
        self.unsettled.contains(wide_hash)
            || !self.page.insert(wide_hash)
            || known.is_some_and(|index| self.is_known_repeated(index))
    }

    /// Whether the poll has seen a known call before.
    pub(crate) fn is_known_repeated(&self, index: KnownIndex) -> bool {
        self.known.contains(index) || self.page_known_bits.contains(index)
    }

    /// Notes a known call of the open page.
    pub(crate) fn add_known(&mut self, index: KnownIndex) {
        self.page_known.push(index);
        self.page_known_bits.insert(index);
    }

    /// Notes an unsettled call of the open page.
    pub(crate) fn add_unsettled(&mut self, wide_hash: u128) {
        self.page_unsettled.push(wide_hash);
    }

    /// Notes a call that was appended.
    pub(crate) fn add_appended(&mut self, index: KnownIndex) {
        self.known.insert(index);
    }

    /// Keeps the calls of the open page for the rest of the poll.
    pub(crate) fn commit_page(&mut self) {
        for index in self.page_known.drain(..) {
            self.known.insert(index);
            self.page_known_bits.remove(index);
        }
        for wide_hash in self.page_unsettled.drain(..) {
            self.unsettled.insert(wide_hash);
        }
    }
}

/// A set of known calls, one bit for each.
#[derive(Default)]
struct KnownBits {
    numbering: u64,
    recent: Vec<u64>,
    older: Vec<u64>,
    found: Vec<u64>,
}

impl KnownBits {
    /// Clears the set if the known calls were renumbered. This happens when polls of one account
    /// overlap, and is harmless: a call that comes twice is then known instead of repeated.
    fn follow(&mut self, memory: &AccountMemory) {
        if self.numbering != memory.numbering() {
            *self = Self {
                numbering: memory.numbering(),
                ..Self::default()
            };
        }
    }

    fn contains(&self, index: KnownIndex) -> bool {
        let (bits, number) = match index {
            KnownIndex::Recent(number) => (&self.recent, number),
            KnownIndex::Older(number) => (&self.older, number),
            KnownIndex::Found(number) => (&self.found, number),
        };
        let word = bits.get(number as usize / 64).copied().unwrap_or(0);
        word >> (number % 64) & 1 == 1
    }

    fn insert(&mut self, index: KnownIndex) {
        let (bits, number) = self.bits(index);
        let word = number as usize / 64;
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        if let Some(word) = bits.get_mut(word) {
            *word |= 1 << (number % 64);
        }
    }

    fn remove(&mut self, index: KnownIndex) {
        let (bits, number) = self.bits(index);
        if let Some(word) = bits.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    fn bits(&mut self, index: KnownIndex) -> (&mut Vec<u64>, u32) {
        match index {
            KnownIndex::Recent(number) => (&mut self.recent, number),
            KnownIndex::Older(number) => (&mut self.older, number),
            KnownIndex::Found(number) => (&mut self.found, number),
        }
    }
}

/// A set of ids, by their 128-bit hashes.
#[derive(Default)]
struct IdSet(HashTable<u128>);

impl IdSet {
    /// Empties the set, and keeps its memory.
    fn clear(&mut self) {
        self.0.clear();
    }

    fn contains(&self, wide: u128) -> bool {
        self.0.find(low(wide), |known| *known == wide).is_some()
    }

    /// Adds an id; false if the set already has it.
    fn insert(&mut self, wide: u128) -> bool {
        let entry = self
            .0
            .entry(low(wide), |known| *known == wide, |known| low(*known));
        match entry {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(wide);
                true
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
fn low(wide: u128) -> u64 {
    wide as u64
}
