//! One poll of an account's calls, from its first page to its last.

use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, MutexGuard};

use callmeter_records::FieldHasher;

use crate::error::Result;
use crate::ingest::account_memory::{AccountMemory, SharedMemory};
use crate::ingest::classification::PageCounts;
use crate::ingest::classify::Classifier;
use crate::ingest::options::{PollOptions, Purpose};
use crate::ingest::page::PageIngest;
use crate::ingest::repeats::Repeats;
use crate::ingest::stored_calls::StoredCalls;
use crate::ingest::watermark::{self, Watermark};
use crate::log::accounts::AccountState;
use crate::log::shared::SharedLog;
use crate::utc_day::day_of;

/// A poll of an account's calls.
///
/// [`Journal::ingest_session`](crate::Journal::ingest_session) starts one. It gives a
/// [`PageIngest`] for each page; drop that of a page which could not be read. Between pages nothing
/// is locked.
///
/// **The same id several times.** The first row of an id in a poll counts. All others are
/// [`Classification::Repeated`](crate::Classification::Repeated), whatever their contents. So a
/// call that an API returns twice with different contents does not change with each poll, and a
/// call that moves to the next page during the poll is not counted twice. If it was edited in
/// between, the next poll finds that.
///
/// **No id.** A call without an id is identified by all of its fields: two calls with equal fields
/// are one call.
///
/// Within a poll, ids are compared by a 128-bit hash; with the journal, by the id itself.
pub struct IngestSession {
    memory: Arc<SharedMemory>,
    pages: Pages,
}

/// What the pages of a poll share, except for the known ids.
struct Pages {
    log: SharedLog,
    options: PollOptions,
    /// The days of the range, and one more on each side: an edit may move the start of a call.
    days: RangeInclusive<i16>,
    watermark: Watermark,
    repeats: Repeats,
    last_rows: usize,
    hasher: FieldHasher,
}

impl IngestSession {
    pub(crate) fn begin(
        log: SharedLog,
        memory: Arc<SharedMemory>,
        options: PollOptions,
    ) -> Result<Self> {
        let state = memory.lock().row.state;
        let mut poll = Self::new(log, memory, state, options);
        // Loads the known ids now; otherwise the first page would, while its body waits in memory.
        poll.page(0..0, 0)?;
        Ok(poll)
    }

    /// Like [`IngestSession::begin`], but never waits: `None` if another page is open, or if ids
    /// have to be loaded.
    pub(crate) fn begin_in_memory(
        log: SharedLog,
        memory: Arc<SharedMemory>,
        options: PollOptions,
    ) -> Option<Self> {
        let state = memory.try_lock()?.row.state;
        let mut poll = Self::new(log, memory, state, options);
        poll.page_in_memory(0..0, 0)?;
        Some(poll)
    }

    fn new(
        log: SharedLog,
        memory: Arc<SharedMemory>,
        state: AccountState,
        options: PollOptions,
    ) -> Self {
        let days = day_of(options.range.start).saturating_sub(1)
            ..=day_of(options.range.end).saturating_add(1);
        let watermark = Watermark::new(state, &options);
        Self {
            memory,
            pages: Pages {
                log,
                options,
                days,
                watermark,
                repeats: Repeats::default(),
                last_rows: 0,
                hasher: FieldHasher::new(),
            },
        }
    }

    /// The account's state as it is stored.
    pub fn state(&self) -> AccountState {
        self.memory.lock().row.state
    }

    /// Starts a page of the response for `window`, which was read at `observed_at`.
    ///
    /// `window` is a range of start times. All times are UTC microseconds. Waits while another page
    /// of the same account is open. Blocks on the disk if ids have to be loaded.
    pub fn page(&mut self, window: Range<i64>, observed_at: i64) -> Result<PageIngest<'_>> {
        let mut memory = self.memory.lock();
        if !self.pages.is_covered(&memory) {
            self.pages.cover(&mut memory)?;
        }
        Ok(self.pages.open(memory, window, observed_at))
    }

    /// Like [`IngestSession::page`], but never waits: `None` if another page is open, or if ids
    /// have to be loaded.
    pub fn page_in_memory(
        &mut self,
        window: Range<i64>,
        observed_at: i64,
    ) -> Option<PageIngest<'_>> {
        let memory = self.memory.try_lock()?;
        self.pages
            .is_covered(&memory)
            .then(|| self.pages.open(memory, window, observed_at))
    }
}

impl Pages {
    /// Whether the ids of the range are in memory.
    fn is_covered(&self, memory: &AccountMemory) -> bool {
        match self.options.purpose {
            Purpose::Regular | Purpose::Tail => memory.is_covered_from(*self.days.start()),
            Purpose::Backfill => memory.is_covered(&self.days),
        }
    }

    fn cover(&self, memory: &mut AccountMemory) -> Result<()> {
        self.log.with_reader(|reader| match self.options.purpose {
            Purpose::Regular | Purpose::Tail => memory.cover_from(reader, *self.days.start()),
            Purpose::Backfill => memory.cover(reader, &self.days),
        })
    }

    fn open<'p>(
        &'p mut self,
        memory: MutexGuard<'p, AccountMemory>,
        window: Range<i64>,
        observed_at: i64,
    ) -> PageIngest<'p> {
        self.repeats.begin_page(&memory);
        PageIngest {
            log: &self.log,
            memory,
            classifier: Classifier {
                purpose: self.options.purpose,
                window,
                observed_at,
                watermark: &self.watermark,
                repeats: &mut self.repeats,
                hasher: &mut self.hasher,
                stored: StoredCalls::new(&self.log),
                log: &self.log,
                expected: HashSet::new(),
                last_known: None,
            },
            horizon: watermark::horizon(&self.options),
            last_rows: &mut self.last_rows,
            batches: Vec::new(),
            counts: PageCounts::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use callmeter_records::{Call, Reading, id_hash};

    use super::*;
    use crate::error::JournalError;
    use crate::ingest::classification::Classification;
    use crate::journal::{Journal, Options};
    use crate::log::keys::{CallKey, RowAddress};
    use crate::maintenance::retention::RetentionPolicy;

    #[test]
    fn a_poll_begins_at_once_if_it_needs_nothing_from_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
        let options = |range| PollOptions {
            purpose: Purpose::Tail,
            range,
            settle: std::time::Duration::ZERO,
        };
        let day = 86_400_000_000;
        let begin = |range| journal.ingest_session_in_memory("acme", options(range));
        assert!(begin(5 * day..6 * day).is_none(), "nothing is known of it");
        let mut first = journal
            .ingest_session("acme", options(5 * day..6 * day))
            .unwrap();
        assert!(begin(0..6 * day).is_none(), "earlier ids are not loaded");
        let mut second = begin(5 * day..6 * day).unwrap();
        let page = first.page(0..day, day).unwrap();
        assert!(second.page_in_memory(0..day, day).is_none());
        assert!(begin(5 * day..6 * day).is_none(), "a page is open");
        drop(page);
        assert!(begin(5 * day..6 * day).is_some());
    }

    /// No two ids with the same hash are available, so the test adds an entry under the hash of
    /// another id.
    #[test]
    fn ids_that_share_a_hash_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
        let options = PollOptions {
            purpose: Purpose::Regular,
            range: 0..1_000_000,
            settle: std::time::Duration::ZERO,
        };
        let call = |id| Call {
            id: Some(id),
            start_time: Reading::Known(5),
            duration_ms: Reading::Known(0),
            ..Call::default()
        };
        let poll = || journal.ingest_session("acme", options.clone()).unwrap();
        let poll_call = |id| {
            let mut poll = poll();
            let mut page = poll.page(0..1_000_000, 1_000_000).unwrap();
            let classification = page.add(&call(id)).unwrap();
            page.commit(None).unwrap();
            classification
        };
        let new = Classification::New {
            late: false,
            unnamed: false,
        };
        assert_eq!(poll_call("a"), new);
        let planted = CallKey {
            hash: id_hash("b"),
            fingerprint: 0,
            day: 0,
        };
        poll()
            .memory
            .lock()
            .insert(planted, RowAddress { batch: 1, row: 0 });
        assert_eq!(poll_call("b"), new);
        assert_eq!(poll_call("b"), Classification::Known);
        assert_eq!(poll_call("a"), Classification::Known);
        // An entry without a stored row is damage, not a new call.
        let planted = CallKey {
            hash: id_hash("c"),
            fingerprint: 0,
            day: 0,
        };
        poll()
            .memory
            .lock()
            .insert(planted, RowAddress { batch: 77, row: 0 });
        let mut poll = poll();
        let mut page = poll.page(0..1_000_000, 1_000_000).unwrap();
        assert!(matches!(
            page.add(&call("c")),
            Err(JournalError::Corrupt { .. })
        ));
        drop(page);
        // If retention has removed the row, its entry is about to go.
        let everything = RetentionPolicy {
            keep: Some(std::time::Duration::ZERO),
            ..RetentionPolicy::default()
        };
        journal.store_snapshot(journal.head(), b"counted").unwrap();
        journal.retain(&everything, 2_000_000).unwrap();
        let planted = CallKey {
            hash: id_hash("d"),
            fingerprint: 0,
            day: 0,
        };
        let address = RowAddress { batch: 1, row: 0 };
        let memory = poll.memory.clone();
        let mut stored = StoredCalls::new(&poll.pages.log);
        memory.lock().insert(planted, address);
        assert!(matches!(
            stored.read(address, |_| ()),
            Err(JournalError::Removed { .. })
        ));
    }
}
