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
}

impl SharedMemory {
    pub(crate) fn new(row: AccountRow) -> Self {
        Self(Mutex::new(AccountMemory {
            row,
            recent: KnownIds::default(),
            covered_from: None,
            older: None,
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
    pub(crate) fn under(&self, hash: u64) -> impl Iterator<Item = &Entry> {
        let older = self.older.iter().flat_map(move |(_, ids)| ids.under(hash));
        self.recent.under(hash).chain(older)
    }

    /// Notes a call that was appended.
    pub(crate) fn insert(&mut self, key: Key, place: Place) {
        let entry = Entry::new(key, place);
        if self.covered_from.is_some_and(|covered| covered <= key.day) {
            self.recent.insert(entry);
        } else if let Some((_, older)) = &mut self.older {
            older.insert(entry);
        }
    }

    /// Notes a revision that was appended.
    pub(crate) fn replace(&mut self, revises: Place, key: Key, place: Place) {
        let entry = Entry::new(key, place);
        if self.recent.holds(key.hash, revises) {
            self.recent.replace(revises, entry);
            return;
        }
        if let Some((_, older)) = &mut self.older {
            older.replace(revises, entry);
        }
        if self.covered_from.is_some_and(|covered| covered <= key.day) {
            self.recent.insert(entry);
        }
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
