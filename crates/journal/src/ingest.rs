//! From the pages of a poll to the journal: each call new, known, revised, or not to be counted; a page at a time.

use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, MutexGuard};

use callmeter_records::{Call, CallsBuilder, CallsView, FieldHasher, Stream, id_hash, id_hash_128};

use crate::classification::{Classification, PageCounts, PollOptions, Purpose};
use crate::error::{JournalError, Result};
use crate::ids::Ids;
use crate::keys::{Key, Keys};
use crate::known::{Entry, Place};
use crate::memory::{AccountMemory, Marks, SharedMemory, Slot};
use crate::time::{SECOND, day_of};
use crate::writer::{Append, Rows};
use crate::{AccountState, BatchSeq, Journal, StoredBatch};

/// Rows of one batch: a row's number fits 16 bits. A longer page becomes several batches of one transaction.
const MAX_ROWS: usize = 1 << 16;

/// Batches read back for revisions that are kept for the next revision of the page.
const READ_BACK: usize = 16;

/// A poll of an account's calls, from its first page to its last.
///
/// Get one from [`Journal::ingest_session`], and from it a [`PageIngest`] for each page; that of a page which did not come
/// through is simply dropped. Between pages nothing is locked.
///
/// **Same call, several times.** The first row of an id in a poll counts, whatever the others say: they are
/// [`Classification::Repeated`]. So a call that an API lists twice, with different contents, does not flip with each poll;
/// and a call that moved to the next page while the poll went on is not read twice. If it was edited in between, the
/// next poll sees that.
///
/// **Without an id** a call is told by all of its fields: two that agree in each are one.
///
/// Ids within a page are told by a 128-bit hash; against the journal, and so across pages, by the id itself.
pub struct IngestSession {
    journal: Journal,
    memory: Arc<SharedMemory>,
    options: PollOptions,
    /// Days around the range: what a call's start may be edited to.
    days: RangeInclusive<i16>,
    watermark: Option<i64>,
    /// The known calls that came in committed pages.
    marks: Marks,
    /// The ids in committed pages that are not known, because their calls had not settled.
    unsettled: Ids,
    /// The ids of the page that is open; kept for its room.
    page_ids: Ids,
    /// How many rows the last page appended: the next one makes room for as many.
    rows_before: usize,
    hasher: FieldHasher,
}

/// A page that is in the journal.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// What was appended: mostly one batch or none.
    pub batches: Vec<StoredBatch>,
    /// What became of the page's calls.
    pub counts: PageCounts,
}

impl IngestSession {
    pub(crate) fn begin(journal: Journal, account: &str, options: PollOptions) -> Result<Self> {
        let memory = journal.memory(account)?;
        let days = day_of(options.range.start).saturating_sub(1)
            ..=day_of(options.range.end).saturating_add(1);
        let watermark = memory.lock().row.state.watermark;
        let mut poll = Self {
            journal,
            memory,
            options,
            days,
            watermark,
            marks: Marks::default(),
            unsettled: Ids::default(),
            page_ids: Ids::default(),
            rows_before: 0,
            hasher: FieldHasher::new(),
        };
        // The first page would do it too, but then with the body already waiting.
        poll.page(0..0, 0)?;
        Ok(poll)
    }

    /// The account's state as it is stored.
    pub fn state(&self) -> AccountState {
        self.memory.lock().row.state
    }

    /// Begins a page of the answer for `window` (start times, UTC microseconds), read at `observed_at`.
    ///
    /// Waits while another page of the same account is open. Blocks on the disk where ids have to be loaded.
    pub fn page(&mut self, window: Range<i64>, observed_at: i64) -> Result<PageIngest<'_>> {
        let mut memory = self.memory.lock();
        self.journal
            .with_reader(|reader| match self.options.purpose {
                Purpose::Regular => memory.cover_from(reader, *self.days.start()),
                Purpose::Backfill => memory.cover(reader, &self.days),
            })?;
        self.marks.follow(&memory);
        self.page_ids.clear();
        Ok(PageIngest {
            journal: &self.journal,
            options: &self.options,
            watermark: self.watermark,
            settle: i64::try_from(self.options.settle.as_micros()).unwrap_or(i64::MAX),
            memory,
            marks: &mut self.marks,
            unsettled: &mut self.unsettled,
            page_ids: &mut self.page_ids,
            rows_before: &mut self.rows_before,
            met: Vec::new(),
            put_off: Vec::new(),
            hasher: &mut self.hasher,
            window,
            observed_at,
            batches: Vec::new(),
            read_back: HashMap::new(),
            counts: PageCounts::default(),
        })
    }
}

/// A page of a poll: takes its calls one by one, then all at once into the journal.
///
/// Holds the account's known ids, so it cannot be kept across an `await`.
pub struct PageIngest<'p> {
    journal: &'p Journal,
    options: &'p PollOptions,
    watermark: Option<i64>,
    settle: i64,
    memory: MutexGuard<'p, AccountMemory>,
    marks: &'p mut Marks,
    unsettled: &'p mut Ids,
    page_ids: &'p mut Ids,
    rows_before: &'p mut usize,
    /// Known calls of this page, to be marked when it is committed.
    met: Vec<Slot>,
    /// Unsettled ones, likewise.
    put_off: Vec<u128>,
    hasher: &'p mut FieldHasher,
    window: Range<i64>,
    observed_at: i64,
    batches: Vec<Pending>,
    read_back: HashMap<BatchSeq, StoredBatch>,
    counts: PageCounts,
}

/// A batch in the making.
struct Pending {
    builder: Box<CallsBuilder>,
    keys: Keys,
    span: Option<(i64, i64)>,
}

impl PageIngest<'_> {
    /// Takes a call. Fails only where the journal has to be read and cannot be: then drop the page.
    pub fn take(&mut self, call: &Call<'_>) -> Result<Classification> {
        let verdict = self.judge(call)?;
        self.counts.count(verdict);
        Ok(verdict)
    }

    /// What became of the calls so far.
    pub fn counts(&self) -> PageCounts {
        self.counts
    }

    fn judge(&mut self, call: &Call<'_>) -> Result<Classification> {
        let start = call.start_time.known();
        if let Some(start) = start {
            if !self.window.contains(&start) {
                return Ok(Classification::OutsideWindow);
            }
            if self
                .memory
                .row
                .forgotten_before
                .is_some_and(|before| start < before)
            {
                return Ok(Classification::Forgotten);
            }
        }
        let fingerprint = call.fingerprint(self.hasher);
        let (hash, wide) = match call.id() {
            Some(id) => (id_hash(id), id_hash_128(id)),
            // The high half never occurs in a hash of an id, but for one in 2⁶⁴.
            None => (fingerprint, u128::from(fingerprint) | u128::MAX << 64),
        };
        if self.unsettled.contains(wide) || !self.page_ids.insert(wide) {
            return Ok(Classification::Repeated);
        }
        let same = self
            .memory
            .under(hash)
            .find(|(_, entry)| entry.fingerprint == fingerprint);
        if let Some((slot, _)) = same {
            if self.marks.has(slot) {
                return Ok(Classification::Repeated);
            }
            self.met.push(slot);
            return Ok(Classification::Known);
        }
        let known = match call.id() {
            Some(id) => self.find(hash, id)?,
            None => None,
        };
        if let Some((slot, _)) = known
            && self.marks.has(slot)
        {
            return Ok(Classification::Repeated);
        }
        let end = start.map(|start| start.saturating_add(length(call)));
        if end.is_some_and(|end| end.saturating_add(self.settle) > self.observed_at) {
            self.put_off.push(wide);
            return Ok(Classification::Unsettled);
        }
        // A call that does not say when it began counts as of the end of the window that had it.
        let day = day_of(start.unwrap_or(self.window.end.saturating_sub(1)));
        let key = Key {
            hash,
            fingerprint,
            day,
        };
        if let Some((_, known)) = known {
            self.append_revised(call, key, &known)?;
            return Ok(Classification::Revised);
        }
        let pending = pending(&mut self.batches, *self.rows_before);
        pending.builder.append(call);
        pending.keys.push_new(key);
        pending.note_start(start);
        let late = self.options.purpose == Purpose::Regular
            && self
                .watermark
                .zip(end)
                .is_some_and(|(watermark, end)| end.saturating_add(self.settle) <= watermark);
        Ok(Classification::New {
            late,
            unnamed: call.id().is_none(),
        })
    }

    /// The known call of that id: ids that share its hash are told apart by reading them back.
    fn find(&mut self, hash: u64, id: &str) -> Result<Option<(Slot, Entry)>> {
        let under = self.memory.under(hash);
        let candidates: Vec<_> = under.map(|(slot, entry)| (slot, *entry)).collect();
        for (slot, entry) in candidates {
            let (stored, row) = self.read_back(entry.place())?;
            let view = view(stored)?;
            match view.row(row) {
                Some(row) if row.id() == Some(id) => return Ok(Some((slot, entry))),
                Some(_) => {}
                None => return Err(self.gone(entry.place())),
            }
        }
        Ok(None)
    }

    fn append_revised(&mut self, call: &Call<'_>, key: Key, known: &Entry) -> Result<()> {
        let place = known.place();
        self.read_back(place)?;
        let gone = self.gone(place);
        let stored = self.read_back.get(&seq(place)).ok_or(gone)?;
        let view = view(stored)?;
        let Some(previous) = view.row(usize::from(place.row)) else {
            return Err(self.gone(place));
        };
        let pending = pending(&mut self.batches, *self.rows_before);
        pending
            .builder
            .append_revised(call, &previous.to_previous());
        let row = u16::try_from(pending.keys.rows.len()).unwrap_or(u16::MAX);
        pending.keys.push_revised(row, key, known);
        pending.note_start(call.start_time.known());
        Ok(())
    }

    /// The batch that holds a known call, and the call's row in it.
    fn read_back(&mut self, place: Place) -> Result<(&StoredBatch, usize)> {
        let seq = seq(place);
        if !self.read_back.contains_key(&seq) {
            let stored = self.journal.batch(seq)?.ok_or_else(|| self.gone(place))?;
            if self.read_back.len() >= READ_BACK {
                self.read_back.clear();
            }
            self.read_back.insert(seq, stored);
        }
        let stored = self.read_back.get(&seq).ok_or_else(|| self.gone(place))?;
        Ok((stored, usize::from(place.row)))
    }

    fn gone(&self, place: Place) -> JournalError {
        JournalError::corrupt(
            self.journal.path(),
            format!(
                "row {} of batch {} is missing, though a known call lies there",
                place.row, place.batch
            ),
        )
    }

    /// Makes the page durable: its calls, and `state` if given, in one transaction. Only then are its ids known.
    ///
    /// Waits for the disk, unless there is nothing to store. On an error nothing has happened: the page's calls will
    /// come again with the next poll.
    pub fn commit(mut self, state: Option<AccountState>) -> Result<Committed> {
        let state = state.filter(|state| *state != self.memory.row.state);
        let horizon = match self.options.purpose {
            Purpose::Regular => Some(self.options.range.start),
            Purpose::Backfill => None,
        };
        if self.batches.is_empty() && state.is_none() {
            self.mark();
            return Ok(Committed {
                batches: Vec::new(),
                counts: self.counts,
            });
        }
        let (rows, keys): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batches)
            .into_iter()
            .map(|pending| {
                let keys = pending.keys.clone();
                (
                    Rows::Calls(pending.builder, pending.keys, pending.span),
                    keys,
                )
            })
            .unzip();
        let (batches, row) = self.journal.append(Append {
            account: &self.memory.row,
            state,
            horizon,
            observed_at: self.observed_at,
            batches: rows,
            latest: Vec::new(),
        })?;
        *self.rows_before = keys.iter().map(|keys| keys.rows.len()).sum();
        for (stored, keys) in batches.iter().zip(keys) {
            note(&mut self.memory, self.marks, stored, &keys);
        }
        self.memory.row = row;
        self.mark();
        Ok(Committed {
            batches,
            counts: self.counts,
        })
    }
}

impl PageIngest<'_> {
    /// Remembers for the rest of the poll what the page had besides what it appended.
    fn mark(&mut self) {
        for slot in self.met.drain(..) {
            self.marks.set(slot);
        }
        for id in self.put_off.drain(..) {
            self.unsettled.insert(id);
        }
    }
}

impl Pending {
    fn note_start(&mut self, start: Option<i64>) {
        if let Some(start) = start {
            let (min, max) = self.span.unwrap_or((start, start));
            self.span = Some((min.min(start), max.max(start)));
        }
    }
}

/// The batch to add the next row to; a new one gets room for `rows`.
fn pending(batches: &mut Vec<Pending>, rows: usize) -> &mut Pending {
    if batches
        .last()
        .is_none_or(|last| last.keys.rows.len() == MAX_ROWS)
    {
        let builder = Box::new(CallsBuilder::with_capacity(rows.clamp(64, MAX_ROWS)));
        batches.push(Pending {
            builder,
            keys: Keys::default(),
            span: None,
        });
    }
    let last = batches.len() - 1;
    &mut batches[last]
}

/// Makes the ids of an appended batch known, and marks them.
fn note(memory: &mut AccountMemory, marks: &mut Marks, stored: &StoredBatch, keys: &Keys) {
    // The writer refuses numbers beyond 32 bits.
    let Ok(batch) = u32::try_from(stored.meta.seq.0) else {
        return;
    };
    let mut revised = keys.revised.iter().peekable();
    for (row, key) in (0u16..=u16::MAX).zip(&keys.rows) {
        let place = Place { batch, row };
        let slot = match revised.next_if(|(number, _)| *number == row) {
            Some((_, revises)) => memory.replace(*revises, *key, place),
            None => memory.insert(*key, place),
        };
        if let Some(slot) = slot {
            marks.set(slot);
        }
    }
}

fn view(stored: &StoredBatch) -> Result<CallsView<'_>> {
    CallsView::new(&stored.records).map_err(|source| JournalError::View {
        seq: stored.meta.seq,
        stream: Stream::Calls,
        source,
    })
}

fn seq(place: Place) -> BatchSeq {
    BatchSeq(place.batch.into())
}

/// How long a call lasted, in microseconds: its duration, or what is known of its parts.
fn length(call: &Call<'_>) -> i64 {
    let millis = call.duration_ms.known().unwrap_or_else(|| {
        [call.ring_ms, call.hold_ms, call.talk_ms, call.transfer_ms]
            .into_iter()
            .filter_map(callmeter_records::Reading::known)
            .fold(0, i64::saturating_add)
    });
    millis.saturating_mul(SECOND / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Different ids with the same hash: none is at hand, so an entry is planted under the hash of another id.
    #[test]
    fn ids_that_share_a_hash_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let journal =
            Journal::open(dir.path().join("journal.db"), &crate::Options::default()).unwrap();
        let options = PollOptions {
            purpose: Purpose::Regular,
            range: 0..1_000_000,
            settle: std::time::Duration::ZERO,
        };
        let call = |id| Call {
            id: Some(id),
            start_time: callmeter_records::Reading::Known(5),
            ..Call::default()
        };
        let poll = || journal.ingest_session("acme", options.clone()).unwrap();
        let take = |id| {
            let mut poll = poll();
            let mut page = poll.page(0..1_000_000, 1_000_000).unwrap();
            let verdict = page.take(&call(id)).unwrap();
            page.commit(None).unwrap();
            verdict
        };
        let new = Classification::New {
            late: false,
            unnamed: false,
        };
        assert_eq!(take("a"), new);
        let planted = Key {
            hash: id_hash("b"),
            fingerprint: 0,
            day: 0,
        };
        poll()
            .memory
            .lock()
            .insert(planted, Place { batch: 1, row: 0 });
        assert_eq!(take("b"), new);
        assert_eq!(take("b"), Classification::Known);
        assert_eq!(take("a"), Classification::Known);
        // An entry that leads nowhere is damage, not a new call.
        let planted = Key {
            hash: id_hash("c"),
            fingerprint: 0,
            day: 0,
        };
        poll()
            .memory
            .lock()
            .insert(planted, Place { batch: 77, row: 0 });
        let mut poll = poll();
        let mut page = poll.page(0..1_000_000, 1_000_000).unwrap();
        assert!(matches!(
            page.take(&call("c")),
            Err(JournalError::Corrupt { .. })
        ));
    }
}
