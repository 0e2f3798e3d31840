//! What is kept in memory of each account: all its ids, exactly or in a filter.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::error::Result;
use crate::ingest::known_ids::{KnownCall, KnownIds};
use crate::ingest::old_ids::OldIds;
use crate::leases::fence::Fence;
use crate::log::accounts::{self, AccountRow};
use crate::log::keys::{CallKey, RowAddress, StoredKeys};
use crate::log::reader::Reader;
use crate::log::shared::SharedLog;

/// The memory of all accounts, by name.
#[derive(Default)]
pub(crate) struct AccountMemories(Mutex<HashMap<String, Arc<SharedMemory>>>);

/// The memory of an account, shared by all polls of it.
pub(crate) struct SharedMemory {
    fence: Arc<Fence>,
    memory: Mutex<AccountMemory>,
}

/// The memory of an account.
///
/// The calls of recent days are in `recent`. Those of all earlier days are in `old`, a filter, and
/// some of them also in `older` and `found`.
pub(crate) struct AccountMemory {
    /// The lease under which all this was loaded. What is appended is checked against it, so that
    /// nothing is classified by what another instance has changed since.
    fence: Arc<Fence>,
    /// The account as it is stored.
    pub(crate) row: AccountRow,
    /// Calls from `covered_from` on.
    recent: KnownIds,
    /// The first day that `recent` covers; `None` if it is not loaded.
    covered_from: Option<i16>,
    /// Calls of some earlier days, for a backfill.
    older: Option<(RangeInclusive<i16>, KnownIds)>,
    /// The ids of all calls before `covered_from`; `None` if it is not loaded.
    old: Option<OldIds>,
    /// Calls before `covered_from` that were looked up in the stored keys.
    found: KnownIds,
    /// The hashes that were looked up, found or not.
    looked_up: HashSet<u64>,
    /// Calls that retention has deleted since `old` was loaded.
    deleted: usize,
    /// The first batch that retention has not deleted.
    first_kept: u32,
    /// Retention has changed the stored row of the account since it was read.
    row_is_stale: bool,
    /// Increases whenever known calls get other numbers.
    numbering: u64,
}

/// The most hashes that are remembered as looked up.
const MAX_LOOKED_UP: usize = 1 << 16;

/// The number of a known call; valid as long as the numbering does not change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KnownIndex {
    Recent(u32),
    Older(u32),
    Found(u32),
}

impl KnownIndex {
    /// The call that was added after this one.
    fn next(self) -> Option<Self> {
        let next = |number: u32| number.checked_add(1);
        match self {
            Self::Recent(number) => next(number).map(Self::Recent),
            Self::Older(number) => next(number).map(Self::Older),
            Self::Found(number) => next(number).map(Self::Found),
        }
    }
}

impl AccountMemories {
    /// The memory of an account, which is added to the journal if it is new.
    pub(crate) fn get(&self, log: &SharedLog, account: &str) -> Result<Arc<SharedMemory>> {
        // A panic cannot leave the map half changed.
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fence = log.fence(|| log.leases().lease_of(account));
        if let Some(memory) = memories.get(account)
            && memory.is_under(&fence)
        {
            return Ok(Arc::clone(memory));
        }
        let memory = Arc::new(SharedMemory::new(log.writer().account(account)?, fence));
        memories.insert(account.to_owned(), Arc::clone(&memory));
        Ok(memory)
    }

    /// Like [`AccountMemories::get`], but never waits: `None` if the account's row has to be read,
    /// or another thread reads one.
    pub(crate) fn get_in_memory(
        &self,
        log: &SharedLog,
        account: &str,
    ) -> Option<Arc<SharedMemory>> {
        let memories = match self.0.try_lock() {
            Ok(memories) => memories,
            Err(TryLockError::Poisoned(memories)) => memories.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let fence = log.fence(|| log.leases().lease_of(account));
        let memory = memories.get(account)?;
        memory.is_under(&fence).then(|| Arc::clone(memory))
    }

    /// Frees the memory of an account, whose lease has changed hands.
    pub(crate) fn forget(&self, account: &str) {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memories.remove(account);
    }

    /// See [`AccountMemory::forget_deleted`].
    pub(crate) fn forget_deleted(&self, first_kept: u64, calls: u64) {
        let first_kept = u32::try_from(first_kept).unwrap_or(u32::MAX);
        let calls = usize::try_from(calls).unwrap_or(usize::MAX);
        let memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let memories: Vec<_> = memories.values().cloned().collect();
        for memory in memories {
            memory.lock().forget_deleted(first_kept, calls);
        }
    }
}

impl SharedMemory {
    /// Whether it is what this process may work with now.
    fn is_under(&self, fence: &Fence) -> bool {
        *fence == Fence::Open || *self.fence == *fence
    }

    fn new(row: AccountRow, fence: Fence) -> Self {
        let fence = Arc::new(fence);
        Self {
            fence: Arc::clone(&fence),
            memory: Mutex::new(AccountMemory::new(row, fence, 0)),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, AccountMemory> {
        self.memory.lock().unwrap_or_else(|poisoned| {
            // The panic may have left the ids half updated: load them again.
            self.memory.clear_poison();
            let mut memory = poisoned.into_inner();
            *memory = AccountMemory::new(
                memory.row.clone(),
                Arc::clone(&memory.fence),
                memory.numbering + 1,
            );
            memory
        })
    }

    /// The memory, unless it is locked, or a panic has left it half updated.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, AccountMemory>> {
        self.memory.try_lock().ok()
    }
}

impl AccountMemory {
    fn new(row: AccountRow, fence: Arc<Fence>, numbering: u64) -> Self {
        Self {
            fence,
            row,
            recent: KnownIds::default(),
            covered_from: None,
            older: None,
            old: None,
            found: KnownIds::default(),
            looked_up: HashSet::new(),
            deleted: 0,
            first_kept: 0,
            row_is_stale: false,
            numbering,
        }
    }

    /// Whether [`AccountMemory::cover_from`] has nothing to do.
    pub(crate) fn is_covered_from(&self, day: i16) -> bool {
        !self.row_is_stale && self.covered_from == Some(day) && self.has_usable_old()
    }

    /// Whether [`AccountMemory::cover`] has nothing to do.
    pub(crate) fn is_covered(&self, days: &RangeInclusive<i16>) -> bool {
        !self.row_is_stale && self.has_days(days) && self.has_usable_old()
    }

    /// Loads the calls from `day` on, and removes all others.
    pub(crate) fn cover_from(&mut self, reader: &mut Reader, day: i16) -> Result<()> {
        self.refresh_if_stale(reader)?;
        match self.covered_from {
            Some(covered) if covered == day => return self.load_old(reader),
            Some(covered) if covered < day => {
                let old = &mut self.old;
                self.recent.forget_before(day, |hash| {
                    if let Some(old) = old {
                        old.insert(hash);
                    }
                });
                self.older = None;
            }
            _ => {
                self.recent = load(reader, self.row.id, day..=i16::MAX)?;
                self.older = None;
                self.old = None;
                self.refresh(reader)?;
            }
        }
        self.covered_from = Some(day);
        self.forget_look_ups();
        self.load_old(reader)
    }

    /// Loads the calls of `days`, and keeps the recent ones.
    pub(crate) fn cover(&mut self, reader: &mut Reader, days: &RangeInclusive<i16>) -> Result<()> {
        self.refresh_if_stale(reader)?;
        if !self.has_days(days) {
            self.older = Some((days.clone(), load(reader, self.row.id, days.clone())?));
            self.numbering += 1;
            self.refresh(reader)?;
        }
        self.load_old(reader)
    }

    /// Whether the calls of these days are in memory.
    fn has_days(&self, days: &RangeInclusive<i16>) -> bool {
        let older = self.older.as_ref();
        older.is_some_and(|(covered, _)| covered == days) || self.covers(*days.start())
    }

    /// Whether the filter of old ids is loaded, not full, and has few deleted calls.
    fn has_usable_old(&self) -> bool {
        let is_usable =
            |old: &OldIds| !old.is_full() && self.deleted.saturating_mul(4) <= old.len().max(4);
        self.looked_up.len() <= MAX_LOOKED_UP && self.old.as_ref().is_some_and(is_usable)
    }

    /// Loads the filter of old ids if it is not usable.
    fn load_old(&mut self, reader: &mut Reader) -> Result<()> {
        if self.looked_up.len() > MAX_LOOKED_UP {
            self.forget_look_ups();
        }
        if self.has_usable_old() {
            return Ok(());
        }
        // A filter that was full may fill again soon.
        let is_growing = self.old.as_ref().is_some_and(OldIds::is_full);
        // Frees its memory first.
        self.old = None;
        self.deleted = 0;
        let before = self.covered_from;
        let calls = reader.count_calls_before(self.row.id, before)?;
        let mut old = if is_growing {
            OldIds::growing(calls)
        } else {
            OldIds::with_capacity(calls)
        };
        reader.for_each_keys(self.row.id, i16::MIN, before, |_, keys| {
            keys.hashes_before(before).for_each(|hash| old.insert(hash));
        })?;
        self.old = Some(old);
        Ok(())
    }

    fn forget_look_ups(&mut self) {
        self.found = KnownIds::default();
        self.looked_up.clear();
        self.numbering += 1;
    }

    /// Reads the account's row again, after its ids: calls that retention deletes in between are
    /// forgotten.
    fn refresh(&mut self, reader: &Reader) -> Result<()> {
        if let Some(row) = accounts::read_by_id(&reader.conn, self.row.id)? {
            self.row = row;
        }
        self.row_is_stale = false;
        Ok(())
    }

    /// Retention notes in the row which calls it has deleted: they must not count again.
    fn refresh_if_stale(&mut self, reader: &Reader) -> Result<()> {
        if self.row_is_stale {
            self.refresh(reader)?;
        }
        Ok(())
    }

    /// Notes that retention has deleted the batches before `first_kept`, with `calls` calls of all
    /// accounts.
    pub(crate) fn forget_deleted(&mut self, first_kept: u32, calls: usize) {
        if first_kept <= self.first_kept {
            return;
        }
        self.first_kept = first_kept;
        self.row_is_stale = true;
        self.deleted = self.deleted.saturating_add(calls);
    }

    /// What an append of this account checks.
    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Notes that the stored row of the account may be another one.
    pub(crate) fn note_stale_row(&mut self) {
        self.row_is_stale = true;
    }

    pub(crate) fn numbering(&self) -> u64 {
        self.numbering
    }

    /// All known calls in memory with a hash, recent calls first.
    pub(crate) fn with_hash(&self, hash: u64) -> impl Iterator<Item = (KnownIndex, KnownCall)> {
        let recent = self.recent.with_hash(hash);
        let older = self
            .older
            .iter()
            .flat_map(move |(_, ids)| ids.with_hash(hash));
        let found = self.found.with_hash(hash);
        recent
            .map(|(number, entry)| (KnownIndex::Recent(number), entry))
            .chain(older.map(|(number, entry)| (KnownIndex::Older(number), entry)))
            .chain(found.map(|(number, entry)| (KnownIndex::Found(number), entry)))
            .filter(|(_, entry)| self.is_kept(entry))
    }

    /// The call that was added after `last`, if it has this hash: calls are listed again in the
    /// order in which they were added. It takes no look-up, which waits for memory several times.
    pub(crate) fn after_with_hash(
        &self,
        last: Option<KnownIndex>,
        hash: u64,
    ) -> Option<(KnownIndex, KnownCall)> {
        let index = last?.next()?;
        let entry = self.get(index)?;
        (entry.hash == hash && self.is_kept(&entry)).then_some((index, entry))
    }

    /// The one known call with a hash, preferably the one that was added after `last`.
    ///
    /// `None` if there is none, or if there are several.
    pub(crate) fn one_with_hash(&self, hash: u64, last: Option<KnownIndex>) -> Option<KnownIndex> {
        if let Some((index, _)) = self.after_with_hash(last, hash) {
            return Some(index);
        }
        let mut known = self.with_hash(hash);
        let (index, _) = known.next()?;
        known.next().is_none().then_some(index)
    }

    fn get(&self, index: KnownIndex) -> Option<KnownCall> {
        match index {
            KnownIndex::Recent(number) => self.recent.get(number),
            KnownIndex::Older(number) => self.older.as_ref()?.1.get(number),
            KnownIndex::Found(number) => self.found.get(number),
        }
    }

    /// Whether retention has not deleted a call.
    fn is_kept(&self, entry: &KnownCall) -> bool {
        entry.address().batch >= self.first_kept
    }

    /// Whether [`with_hash`](Self::with_hash) may return anything: for nearly all new calls it does
    /// not, and this takes a fifth of the instructions.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        let mut older = self.older.iter();
        self.recent.has_hash(hash)
            || self.found.has_hash(hash)
            || older.any(|(_, ids)| ids.has_hash(hash))
    }

    /// Whether the stored keys may have a call that is not in memory.
    pub(crate) fn may_be_stored(&self, hash: u64) -> bool {
        self.old.as_ref().is_some_and(|old| old.may_contain(hash))
            && !self.looked_up.contains(&hash)
    }

    /// Looks up the hashes in the stored keys of the account.
    pub(crate) fn look_up(&mut self, reader: &mut Reader, hashes: &HashSet<u64>) -> Result<()> {
        let found = &mut self.found;
        let mut sorted: Vec<u64> = hashes.iter().copied().collect();
        sorted.sort_unstable();
        let is_wanted = |hash: &u64| match sorted.as_slice() {
            [one] => one == hash,
            several => several.binary_search(hash).is_ok(),
        };
        for_each_batch(reader, self.row.id, i16::MIN, |batch, keys| {
            // A revision may be of a call that is found by then.
            if keys.has_revised() || keys.hashes().any(|hash| is_wanted(&hash)) {
                found.load(batch, keys, |key| is_wanted(&key.hash));
            }
        })?;
        self.looked_up.extend(hashes);
        Ok(())
    }

    /// Adds a call that was appended.
    pub(crate) fn insert(&mut self, key: CallKey, address: RowAddress) -> Option<KnownIndex> {
        let entry = KnownCall::new(key, address);
        if self.covers(key.day) {
            return self.recent.insert(entry).map(KnownIndex::Recent);
        }
        self.note_old(key.hash);
        match &mut self.older {
            Some((days, older)) if days.contains(&key.day) => {
                older.insert(entry).map(KnownIndex::Older)
            }
            _ => self.found.insert(entry).map(KnownIndex::Found),
        }
    }

    /// Replaces a call by its appended revision, wherever it is.
    pub(crate) fn replace(
        &mut self,
        revises: RowAddress,
        key: CallKey,
        address: RowAddress,
    ) -> Option<KnownIndex> {
        let entry = KnownCall::new(key, address);
        let mut index = None;
        if self.found.contains(key.hash, revises) {
            index = self.found.replace(revises, entry).map(KnownIndex::Found);
        }
        if let Some((_, older)) = &mut self.older
            && older.contains(key.hash, revises)
        {
            index = older.replace(revises, entry).map(KnownIndex::Older);
        }
        if self.covers(key.day) || self.recent.contains(key.hash, revises) {
            index = self.recent.replace(revises, entry).map(KnownIndex::Recent);
        }
        if !self.covers(key.day) {
            self.note_old(key.hash);
        }
        index
    }

    fn covers(&self, day: i16) -> bool {
        self.covered_from.is_some_and(|covered| covered <= day)
    }

    fn note_old(&mut self, hash: u64) {
        if let Some(old) = &mut self.old {
            old.insert(hash);
        }
    }

    /// The number of known calls with exact ids, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let older = self
            .older
            .as_ref()
            .map(|(_, ids)| (ids.len(), ids.bytes()))
            .unwrap_or_default();
        (
            self.recent.len() + older.0 + self.found.len(),
            self.recent.bytes() + older.1 + self.found.bytes(),
        )
    }

    /// The number of older calls in the filter, and its bytes.
    pub(crate) fn old_size(&self) -> (usize, usize) {
        self.old
            .as_ref()
            .map(|old| (old.len(), old.bytes()))
            .unwrap_or_default()
    }
}

fn load(reader: &mut Reader, account: i64, days: RangeInclusive<i16>) -> Result<KnownIds> {
    // A few more than there are if the range has an end, or calls were revised.
    let calls = reader.count_rows_from(account, *days.start())?;
    let mut known = KnownIds::with_capacity(calls);
    for_each_batch(reader, account, *days.start(), |batch, keys| {
        known.load(batch, keys, |key| days.contains(&key.day));
    })?;
    known.shrink();
    Ok(known)
}

/// Calls `each` with the keys of every batch whose last day is `from_day` or later.
fn for_each_batch(
    reader: &mut Reader,
    account: i64,
    from_day: i16,
    mut each: impl FnMut(u32, &StoredKeys<'_>),
) -> Result<()> {
    let mut beyond = None;
    reader.for_each_keys(account, from_day, None, |seq, keys| {
        match u32::try_from(seq.0) {
            Ok(batch) => each(batch, keys),
            Err(_) => beyond = Some(seq),
        }
    })?;
    match beyond {
        Some(seq) => Err(reader.corrupt(format!("batch {seq} has a number beyond 32 bits"))),
        None => Ok(()),
    }
}
