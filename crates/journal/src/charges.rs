//! Appends charges: what a batch of calls costs, and how far calls are charged, in one transaction.

use callmeter_records::{BatchSeq, ChargesBuilder, ChargesView, Stream};

use crate::error::{JournalError, Result};
use crate::journal::Journal;
use crate::leases::names::output_lease;
use crate::log::append::{Append, Rows};
use crate::log::coverage::CoverageChange;
use crate::log::cursor_rows::CursorMove;
use crate::log::keys::BatchKeys;
use crate::log::latest_versions::LatestVersion;
use crate::stored_batch::StoredBatch;

/// The charges of a batch of calls by one entry of the configuration.
pub struct NewCharges<'a> {
    /// The account of the calls.
    pub account: &'a str,
    /// The cursor of the entry, which moves to the batch of calls.
    pub cursor: &'a str,
    /// The batch of calls.
    pub calls: BatchSeq,
    /// When the calls were read: UTC, microseconds.
    pub observed_at: i64,
    /// The earliest and latest start of the charged calls.
    pub span: Option<(i64, i64)>,
    /// The charges.
    pub charges: ChargesBuilder,
}

/// A version of a call that a later one revises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevisedRow {
    /// The row of the later version, in its batch.
    pub row: usize,
    /// The batch of the version before it.
    pub batch: BatchSeq,
}

impl Journal {
    /// Appends the charges of a batch of calls and moves the cursor to that batch, in one
    /// transaction. So a crash at any moment neither loses nor doubles a charge.
    ///
    /// Returns the batch of charges; `None` if there are none, when only the cursor moves.
    pub fn append_charges(&self, new: NewCharges<'_>) -> Result<Option<StoredBatch>> {
        if new.charges.is_empty() {
            self.acknowledge(new.cursor, Stream::Calls, new.calls)?;
            return Ok(None);
        }
        let account = self.memories.get(&self.log, new.account)?;
        let account = account.lock().row.clone();
        let place = LatestVersion {
            stream: Stream::Charges,
            key: new.calls.to_string(),
            fingerprint: 0,
            revision: 0,
            batch: BatchSeq::START,
            row: 0,
            removed: false,
        };
        let fence = self.log.fence(|| output_lease(new.cursor));
        let (batches, _) = self.log.append(Append {
            fence: &fence,
            account: &account,
            state: None,
            horizon: None,
            coverage: CoverageChange::default(),
            observed_at: new.observed_at,
            batches: vec![Rows::Charges(Box::new(new.charges), new.span)],
            latest: vec![(0, place)],
            cursor: Some(CursorMove {
                output: new.cursor,
                stream: Stream::Calls,
                batch: new.calls,
            }),
        })?;
        Ok(batches.into_iter().next())
    }

    /// The charges that were made of a batch of calls of an account; `None` if there were none, or
    /// retention has deleted them.
    pub fn charges_of(&self, account: &str, calls: BatchSeq) -> Result<Option<StoredBatch>> {
        let id = self.memories.get(&self.log, account)?.lock().row.id;
        let latest = self
            .log
            .with_reader(|reader| reader.latest(id, Stream::Charges, &calls.to_string()))?;
        let Some(latest) = latest else {
            return Ok(None);
        };
        let Some(batch) = self.log.batch(latest.batch)? else {
            return Ok(None);
        };
        ChargesView::new(&batch.records).map_err(|source| JournalError::View {
            seq: batch.meta.seq,
            stream: Stream::Charges,
            source,
        })?;
        Ok(Some(batch))
    }

    /// The last batch of an account's calls that has charges, whatever the entry that charged it.
    /// No entry may charge it or an earlier one again.
    pub fn last_charged(&self, account: &str) -> Result<BatchSeq> {
        let id = self.memories.get(&self.log, account)?.lock().row.id;
        let all = self
            .log
            .with_reader(|reader| reader.all_latest(id, Stream::Charges))?;
        let seqs = all.iter().filter_map(|version| version.key.parse().ok());
        Ok(seqs.max().map_or(BatchSeq::START, BatchSeq))
    }

    /// The revised calls of a batch of calls, each with the batch of the version before it.
    pub fn revised_rows(&self, calls: BatchSeq) -> Result<Vec<RevisedRow>> {
        self.log.with_reader(|reader| {
            let keys: BatchKeys = match reader.keys(calls)? {
                Some(keys) => keys,
                None => return Ok(Vec::new()),
            };
            let rows = keys.revised.iter().map(|(row, before)| RevisedRow {
                row: usize::from(*row),
                batch: BatchSeq(before.batch.into()),
            });
            Ok(rows.collect())
        })
    }
}
