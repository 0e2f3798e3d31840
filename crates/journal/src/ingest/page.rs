//! One page of a poll: its calls are added one by one, then committed together.

use std::sync::MutexGuard;

use callmeter_records::{Call, CallsBuilder};

use crate::error::{JournalError, Result};
use crate::ingest::account_memory::AccountMemory;
use crate::ingest::classification::{Classification, PageCounts};
use crate::ingest::classify::{Classifier, Decision};
use crate::ingest::known_ids::KnownCall;
use crate::ingest::repeats::Repeats;
use crate::log::accounts::AccountState;
use crate::log::append::{Append, Rows};
use crate::log::coverage::CoverageChange;
use crate::log::keys::{BatchKeys, CallKey, RowAddress};
use crate::log::shared::SharedLog;
use crate::stored_batch::StoredBatch;

/// Rows of one batch: row numbers have 16 bits. A longer page becomes several batches of one
/// transaction.
const MAX_ROWS: usize = 1 << 16;

/// A page of a poll. If it is dropped instead of committed, nothing is stored.
///
/// It locks the account's known ids, so it cannot be kept across an `await`.
pub struct PageIngest<'p> {
    pub(crate) log: &'p SharedLog,
    pub(crate) memory: MutexGuard<'p, AccountMemory>,
    pub(crate) classifier: Classifier<'p>,
    pub(crate) horizon: Option<i64>,
    /// Rows that the last page appended: a hint of how many this page will append.
    pub(crate) last_rows: &'p mut usize,
    pub(crate) batches: Vec<OpenBatch>,
    pub(crate) counts: PageCounts,
}

/// A page that is in the journal.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The appended batches: usually one or none.
    pub batches: Vec<StoredBatch>,
    /// How the calls of the page were classified.
    pub counts: PageCounts,
}

/// A batch that is being built.
pub(crate) struct OpenBatch {
    builder: Box<CallsBuilder>,
    keys: BatchKeys,
    /// Earliest and latest start time.
    span: Option<(i64, i64)>,
}

impl PageIngest<'_> {
    /// Announces the ids of the page. Optional: if several of them may be old, they are then looked
    /// up in the journal at once instead of one by one.
    pub fn expect_ids<'i>(&mut self, ids: impl Iterator<Item = &'i str>) {
        self.classifier.expect(&self.memory, ids);
    }

    /// Classifies a call, and appends it to the page if it is new or revised.
    ///
    /// Fails only if the journal has to be read and cannot be: then drop the page.
    pub fn add(&mut self, call: &Call<'_>) -> Result<Classification> {
        let classification = match self.classifier.classify(&mut self.memory, call)? {
            Decision::Skip(classification) => classification,
            Decision::New { key, late } => {
                self.append_new(call, key);
                Classification::New {
                    late,
                    unnamed: call.id().is_none(),
                }
            }
            Decision::Revised { key, known } => {
                self.append_revised(call, key, &known)?;
                Classification::Revised
            }
        };
        self.counts.count(classification);
        Ok(classification)
    }

    /// Counts a call that the journal has with the same contents, by the hash of its id
    /// ([`id_hash`](callmeter_records::id_hash)): for a caller who knows that from its text.
    /// `None`, and nothing is counted, if the id is not among those in memory: then the call has
    /// to be added.
    pub fn add_known(&mut self, id: u64) -> Option<Classification> {
        // Of two calls with this hash, only their contents show which one it is.
        let last = &mut self.classifier.last_known;
        let index = self.memory.one_with_hash(id, *last)?;
        *last = Some(index);
        let repeats = &mut *self.classifier.repeats;
        let classification = if repeats.is_known_repeated(index) {
            Classification::Repeated
        } else {
            repeats.add_known(index);
            Classification::Known
        };
        self.counts.count(classification);
        Some(classification)
    }

    /// When a call that the journal does not have settles, so that it counts: UTC, microseconds.
    /// `None` without a start time.
    ///
    /// A call that does not show that it has ended settles a day after its start. So does one that
    /// says it lasted longer than a day.
    pub fn settled_at(&self, call: &Call<'_>) -> Option<i64> {
        self.classifier.watermark.settled_at(call, false)
    }

    /// How the calls so far were classified.
    pub fn counts(&self) -> PageCounts {
        self.counts
    }

    /// Stores the page's calls, and `state` if given, in one transaction. Its ids are known only
    /// after that.
    ///
    /// Waits for the disk, unless there is nothing to store. If it fails, nothing has changed: the
    /// next poll will read the page's calls again.
    pub fn commit(mut self, state: Option<AccountState>) -> Result<Committed> {
        let state = state.filter(|state| *state != self.memory.row.state);
        let mut batches = Vec::new();
        if !self.batches.is_empty() || state.is_some() {
            batches = self.append(state)?;
        }
        self.classifier.repeats.commit_page();
        Ok(Committed {
            batches,
            counts: self.counts,
        })
    }

    fn append(&mut self, state: Option<AccountState>) -> Result<Vec<StoredBatch>> {
        let (rows, keys): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batches)
            .into_iter()
            .map(|open| {
                let keys = open.keys.clone();
                (Rows::Calls(open.builder, open.keys, open.span), keys)
            })
            .unzip();
        let appended = self.log.append(Append {
            fence: self.memory.fence(),
            account: &self.memory.row,
            state,
            horizon: self.horizon,
            coverage: CoverageChange::default(),
            observed_at: self.classifier.observed_at,
            batches: rows,
            latest: Vec::new(),
            cursor: None,
        });
        if let Err(JournalError::Removed { .. }) = &appended {
            self.memory.note_stale_row();
        }
        let (batches, row) = appended?;
        *self.last_rows = keys.iter().map(|keys| keys.rows.len()).sum();
        for (stored, keys) in batches.iter().zip(keys) {
            make_known(&mut self.memory, self.classifier.repeats, stored, &keys);
        }
        self.memory.row = row;
        Ok(batches)
    }

    fn append_new(&mut self, call: &Call<'_>, key: CallKey) {
        let batch = open_batch(&mut self.batches, *self.last_rows);
        batch.builder.append(call);
        batch.keys.push_new(key);
        batch.extend_span(call.start_time.known());
    }

    fn append_revised(&mut self, call: &Call<'_>, key: CallKey, known: &KnownCall) -> Result<()> {
        let (batches, rows) = (&mut self.batches, *self.last_rows);
        self.classifier.stored.read(known.address(), |stored| {
            let batch = open_batch(batches, rows);
            batch.builder.append_revised(call, &stored.to_previous());
            batch.keys.push_revised(key, known.address(), known.day);
            batch.extend_span(call.start_time.known());
        })
    }
}

/// The batch that the next row goes to; a new one gets capacity for `rows`.
fn open_batch(batches: &mut Vec<OpenBatch>, rows: usize) -> &mut OpenBatch {
    if batches
        .last()
        .is_none_or(|last| last.keys.rows.len() == MAX_ROWS)
    {
        batches.push(OpenBatch {
            builder: Box::new(CallsBuilder::with_capacity(rows.clamp(64, MAX_ROWS))),
            keys: BatchKeys::default(),
            span: None,
        });
    }
    let last = batches.len() - 1;
    &mut batches[last]
}

impl OpenBatch {
    fn extend_span(&mut self, start: Option<i64>) {
        if let Some(start) = start {
            let (min, max) = self.span.unwrap_or((start, start));
            self.span = Some((min.min(start), max.max(start)));
        }
    }
}

/// Adds the calls of an appended batch to the known ids, and to the calls that the poll has seen.
fn make_known(
    memory: &mut AccountMemory,
    repeats: &mut Repeats,
    stored: &StoredBatch,
    keys: &BatchKeys,
) {
    // The writer refuses numbers beyond 32 bits.
    let Ok(batch) = u32::try_from(stored.meta.seq.0) else {
        return;
    };
    let mut revised = keys.revised.iter().peekable();
    for (row, key) in (0u16..=u16::MAX).zip(&keys.rows) {
        let address = RowAddress { batch, row };
        let index = match revised.next_if(|(number, _)| *number == row) {
            Some((_, revises)) => memory.replace(*revises, *key, address),
            None => memory.insert(*key, address),
        };
        if let Some(index) = index {
            repeats.add_appended(index);
        }
    }
}
