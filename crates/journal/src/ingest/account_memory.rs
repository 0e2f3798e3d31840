//! What is kept in memory of each account: its known ids, and which days they cover.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{JournalError, Result};
use crate::ingest::known_ids::{KnownCall, KnownIds};
use crate::log::accounts::{self, AccountRow};
use crate::log::keys::{CallKey, RowAddress};
use crate::log::reader::Reader;
use crate::log::shared::SharedLog;

/// The memory of all accounts, by name.
#[derive(Default)]
pub(crate) struct AccountMemories(Mutex<HashMap<String, Arc<SharedMemory>>>);

/// The memory of an account, shared by all polls of it.
pub(crate) struct SharedMemory(Mutex<AccountMemory>);

/// The memory of an account.
pub(crate) struct AccountMemory {
    /// The account as it is stored.
    pub(crate) row: AccountRow,
    /// Calls from `covered_from` on.
    recent: KnownIds,
    /// The first day that `recent` covers; `None` if it is not loaded.
    covered_from: Option<i16>,
    /// Calls of some earlier days, for a backfill.
    older: Option<(RangeInclusive<i16>, KnownIds)>,
    /// Increases whenever known calls get other numbers.
    numbering: u64,
}

/// The number of a known call; valid as long as the numbering does not change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KnownIndex {
    Recent(u32),
    Older(u32),
}

impl AccountMemories {
    /// The memory of an account, which is added to the journal if it is new.
    pub(crate) fn get(&self, log: &SharedLog, account: &str) -> Result<Arc<SharedMemory>> {
        // A panic cannot leave the map half changed.
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memory) = memories.get(account) {
            return Ok(Arc::clone(memory));
        }
        let memory = Arc::new(SharedMemory::new(log.writer().account(account)?));
        memories.insert(account.to_owned(), Arc::clone(&memory));
        Ok(memory)
    }
}

impl SharedMemory {
    fn new(row: AccountRow) -> Self {
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
            // The panic may have left the ids half updated: load them again.
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
    /// Loads the calls from `day` on, and removes all others.
    pub(crate) fn cover_from(&mut self, reader: &mut Reader, day: i16) -> Result<()> {
        match self.covered_from {
            Some(covered) if covered == day => return Ok(()),
            Some(covered) if covered < day => {
                self.recent.forget_before(day);
                // It may have old versions of calls that only `recent` had newer versions of.
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

    /// Loads the calls of `days`, and keeps the recent ones.
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

    /// Reads the account's row again, after its ids: calls that retention deletes in between are
    /// forgotten.
    fn refresh(&mut self, reader: &Reader) -> Result<()> {
        if let Some(row) = accounts::read_by_id(&reader.conn, &reader.path, self.row.id)? {
            self.row = row;
        }
        Ok(())
    }

    pub(crate) fn numbering(&self) -> u64 {
        self.numbering
    }

    /// All known calls with a hash, recent calls first.
    pub(crate) fn with_hash(&self, hash: u64) -> impl Iterator<Item = (KnownIndex, KnownCall)> {
        let recent = self.recent.with_hash(hash);
        let older = self
            .older
            .iter()
            .flat_map(move |(_, ids)| ids.with_hash(hash));
        recent
            .map(|(number, entry)| (KnownIndex::Recent(number), entry))
            .chain(older.map(|(number, entry)| (KnownIndex::Older(number), entry)))
    }

    /// Adds a call that was appended; `None` if its day is not in memory.
    pub(crate) fn insert(&mut self, key: CallKey, address: RowAddress) -> Option<KnownIndex> {
        let entry = KnownCall::new(key, address);
        if self.covered_from.is_some_and(|covered| covered <= key.day) {
            return self.recent.insert(entry).map(KnownIndex::Recent);
        }
        let (_, older) = self.older.as_mut()?;
        older.insert(entry).map(KnownIndex::Older)
    }

    /// Replaces a call by its appended revision; `None` if neither is in memory.
    pub(crate) fn replace(
        &mut self,
        revises: RowAddress,
        key: CallKey,
        address: RowAddress,
    ) -> Option<KnownIndex> {
        let entry = KnownCall::new(key, address);
        if self.recent.contains(key.hash, revises) {
            return self.recent.replace(revises, entry).map(KnownIndex::Recent);
        }
        let older = self
            .older
            .as_mut()
            .and_then(|(_, older)| older.replace(revises, entry).map(KnownIndex::Older));
        if self.covered_from.is_some_and(|covered| covered <= key.day) {
            return self.recent.insert(entry).map(KnownIndex::Recent);
        }
        older
    }

    /// The number of known calls, and their bytes.
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
            format!("batch {seq} has a number beyond 32 bits"),
        )),
        None => Ok(known),
    }
}
