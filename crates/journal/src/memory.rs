//! What is kept in memory of an account: its known ids, and which days they cover.

use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard};

use crate::account::{self, AccountRow};
use crate::error::{JournalError, Result};
use crate::keys::Key;
use crate::known::{Entry, KnownIds, Place};
use crate::reader::Reader;

/// The memory of an account, shared by all who work for it.
pub(crate) struct SharedMemory(Mutex<AccountMemory>);

/// The memory of an account.
pub(crate) struct AccountMemory {
    /// The account as it is stored.
    pub(crate) row: AccountRow,
    /// Calls from `covered_from` on.
    recent: KnownIds,
    /// The first day that `recent` covers; `None` before it was loaded.
    covered_from: Option<i16>,
    /// Calls of a few days further back, for a backfill.
    older: Option<(RangeInclusive<i16>, KnownIds)>,
    /// One more whenever known calls get other numbers.
    numbering: u64,
}

/// A known call, by the number that it has as long as the numbering is the same.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot {
    Recent(u32),
    Older(u32),
}

/// A bit for each known call: which of them a poll has seen.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    numbering: u64,
    recent: Vec<u64>,
    older: Vec<u64>,
}

impl Marks {
    /// Forgets all marks if the numbers in `memory` are others than those that were marked. That happens when polls of
    /// an account cross, and does no harm: a call that comes twice is then known instead of repeated.
    pub(crate) fn follow(&mut self, memory: &AccountMemory) {
        if self.numbering != memory.numbering {
            *self = Self {
                numbering: memory.numbering,
                ..Self::default()
            };
        }
    }

    pub(crate) fn has(&self, slot: Slot) -> bool {
        let (bits, number) = match slot {
            Slot::Recent(number) => (&self.recent, number),
            Slot::Older(number) => (&self.older, number),
        };
        let word = bits.get(number as usize / 64).copied().unwrap_or(0);
        word >> (number % 64) & 1 == 1
    }

    pub(crate) fn set(&mut self, slot: Slot) {
        let (bits, number) = match slot {
            Slot::Recent(number) => (&mut self.recent, number),
            Slot::Older(number) => (&mut self.older, number),
        };
        let index = number as usize / 64;
        if bits.len() <= index {
            bits.resize(index + 1, 0);
        }
        if let Some(word) = bits.get_mut(index) {
            *word |= 1 << (number % 64);
        }
    }
}

impl SharedMemory {
    pub(crate) fn new(row: AccountRow) -> Self {
        Self(Mutex::new(AccountMemory {
            row,
            recent: KnownIds::default(),
            covered_from: None,
            older: None,
            numbering: 0,
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, AccountMemory> {
        self.0.lock().unwrap_or_else(|poisoned| {
            // Whoever panicked may have left the ids half updated: they are loaded again.
            self.0.clear_poison();
            let mut memory = poisoned.into_inner();
            memory.recent = KnownIds::default();
            memory.covered_from = None;
            memory.older = None;
            memory.numbering += 1;
            memory
        })
    }
}

impl AccountMemory {
    /// Has the calls from `day` on in memory, and no others.
    pub(crate) fn cover_from(&mut self, reader: &mut Reader, day: i16) -> Result<()> {
        match self.covered_from {
            Some(covered) if covered == day => return Ok(()),
            Some(covered) if covered < day => {
                self.recent.forget_before(day);
                // It may hold versions that only `recent` had newer ones of.
                self.older = None;
            }
            _ => {
                self.recent = load(reader, self.row.id, day..=i16::MAX)?;
                self.older = None;
                self.refresh(reader)?;
            }
        }
        self.covered_from = Some(day);
        self.numbering += 1;
        Ok(())
    }

    /// Has the calls of `days` in memory, beside the recent ones.
    pub(crate) fn cover(&mut self, reader: &mut Reader, days: &RangeInclusive<i16>) -> Result<()> {
        let loaded = self
            .older
            .as_ref()
            .is_some_and(|(covered, _)| covered == days);
        if !loaded
            && self
                .covered_from
                .is_none_or(|covered| covered > *days.start())
        {
            self.older = Some((days.clone(), load(reader, self.row.id, days.clone())?));
            self.numbering += 1;
            self.refresh(reader)?;
        }
        Ok(())
    }

    /// Reads the account's row again, after its ids: what retention drops in between counts as forgotten.
    fn refresh(&mut self, reader: &Reader) -> Result<()> {
        if let Some(row) = account::read_by_id(&reader.conn, &reader.path, self.row.id)? {
            self.row = row;
        }
        Ok(())
    }

    /// Everything known under a hash, recent calls first.
    pub(crate) fn under(&self, hash: u64) -> impl Iterator<Item = (Slot, &Entry)> {
        let recent = self.recent.under(hash);
        let older = self.older.iter().flat_map(move |(_, ids)| ids.under(hash));
        recent
            .map(|(number, entry)| (Slot::Recent(number), entry))
            .chain(older.map(|(number, entry)| (Slot::Older(number), entry)))
    }

    /// Notes a call that was appended; `None` if its day is not in memory.
    pub(crate) fn insert(&mut self, key: Key, place: Place) -> Option<Slot> {
        let entry = Entry::new(key, place);
        if self.covered_from.is_some_and(|covered| covered <= key.day) {
            return self.recent.insert(entry).map(Slot::Recent);
        }
        let (_, older) = self.older.as_mut()?;
        older.insert(entry).map(Slot::Older)
    }

    /// Notes a revision that was appended; `None` if it is not in memory.
    pub(crate) fn replace(&mut self, revises: Place, key: Key, place: Place) -> Option<Slot> {
        let entry = Entry::new(key, place);
        if self.recent.holds(key.hash, revises) {
            return self.recent.replace(revises, entry).map(Slot::Recent);
        }
        let older = self
            .older
            .as_mut()
            .and_then(|(_, older)| older.replace(revises, entry).map(Slot::Older));
        if self.covered_from.is_some_and(|covered| covered <= key.day) {
            return self.recent.insert(entry).map(Slot::Recent);
        }
        older
    }

    /// Known calls, and the bytes that they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        let older = self
            .older
            .as_ref()
            .map(|(_, ids)| (ids.len(), ids.bytes()))
            .unwrap_or_default();
        (self.recent.len() + older.0, self.recent.bytes() + older.1)
    }
}

fn load(reader: &mut Reader, account: i64, days: RangeInclusive<i16>) -> Result<KnownIds> {
    let mut known = KnownIds::default();
    let path = reader.path.clone();
    let mut beyond = None;
    reader.for_each_keys(account, *days.start(), |seq, keys| {
        match u32::try_from(seq.0) {
            Ok(batch) => known.load(batch, keys, |day| days.contains(&day)),
            Err(_) => beyond = Some(seq),
        }
    })?;
    match beyond {
        Some(seq) => Err(JournalError::corrupt(
            &path,
            format!("batch {seq} has an impossible number"),
        )),
        None => Ok(known),
    }
}
