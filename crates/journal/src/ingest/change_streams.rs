//! Streams that are journaled on change: a record is appended if its latest version differs.

use std::collections::HashSet;

use callmeter_records::{
    Balance, BalancesBuilder, BatchSeq, Billing, BillingBuilder, Change, FieldHasher, Rate,
    RatesBuilder, RatesView, Reading, RowMark, Stream,
};

use crate::error::{JournalError, Result};
use crate::ingest::account_memory::SharedMemory;
use crate::log::append::{Append, Rows};
use crate::log::coverage::CoverageChange;
use crate::log::latest_versions::LatestVersion;
use crate::log::reader::Reader;
use crate::log::shared::SharedLog;
use crate::stored_batch::StoredBatch;

/// How the records of one response were classified.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The batch of the changes; `None` if nothing changed.
    pub batch: Option<StoredBatch>,
    /// Records that the journal did not have.
    pub new: u64,
    /// Records that changed.
    pub revised: u64,
    /// Records that are no longer in the response.
    pub removed: u64,
    /// Records that did not change.
    pub unchanged: u64,
    /// Records with the key of an earlier record of the response. The earlier one counts.
    pub repeated: u64,
}

/// Classifies records as new, revised or unchanged, by key and fingerprint.
struct ChangeClassifier<'r> {
    reader: &'r Reader,
    account: i64,
    stream: Stream,
    keys: HashSet<String>,
    changes: Changes,
    latest: Vec<(usize, LatestVersion)>,
}

impl<'r> ChangeClassifier<'r> {
    fn new(reader: &'r Reader, account: i64, stream: Stream) -> Self {
        Self {
            reader,
            account,
            stream,
            keys: HashSet::new(),
            changes: Changes::default(),
            latest: Vec::new(),
        }
    }

    /// How to mark the record in the journal; `None` if it is not appended.
    fn classify(&mut self, key: String, fingerprint: u64) -> Result<Option<RowMark>> {
        if self.keys.contains(&key) {
            self.changes.repeated += 1;
            return Ok(None);
        }
        let mark = match self.reader.latest(self.account, self.stream, &key)? {
            Some(known) if known.fingerprint == fingerprint => {
                self.changes.unchanged += 1;
                None
            }
            Some(known) => {
                self.changes.revised += 1;
                Some(RowMark {
                    revision: known.revision.saturating_add(1),
                    change: Change::Revised,
                })
            }
            None => {
                self.changes.new += 1;
                Some(RowMark::NEW)
            }
        };
        if let Some(mark) = mark {
            self.set_latest(key.clone(), fingerprint, mark.revision, false);
        }
        self.keys.insert(key);
        Ok(mark)
    }

    fn set_latest(&mut self, key: String, fingerprint: u64, revision: i32, removed: bool) {
        let version = LatestVersion {
            stream: self.stream,
            key,
            fingerprint,
            revision,
            batch: BatchSeq::START,
            row: u32::try_from(self.latest.len()).unwrap_or(u32::MAX),
            removed,
        };
        self.latest.push((0, version));
    }
}

/// See [`Journal::record_balances`](crate::Journal::record_balances).
pub(crate) fn record_balances(
    log: &SharedLog,
    memory: &SharedMemory,
    observed_at: i64,
    balances: &[Balance<'_>],
) -> Result<Changes> {
    append_changes(log, memory, observed_at, Stream::Balances, |classifier| {
        let mut builder = BalancesBuilder::new();
        let mut hasher = FieldHasher::new();
        for balance in balances {
            let open = Balance {
                period_end: Reading::Missing,
                ..*balance
            };
            let fingerprint = open.fingerprint(&mut hasher);
            if let Some(mark) = classifier.classify(balance_key(balance), fingerprint)? {
                builder.append(mark, balance);
            }
        }
        Ok(Rows::Balances(Box::new(builder)))
    })
}

/// See [`Journal::record_rates`](crate::Journal::record_rates).
pub(crate) fn record_rates(
    log: &SharedLog,
    memory: &SharedMemory,
    observed_at: i64,
    deck: &[Rate<'_>],
) -> Result<Changes> {
    append_changes(log, memory, observed_at, Stream::Rates, |classifier| {
        let mut builder = RatesBuilder::new();
        let mut hasher = FieldHasher::new();
        for rate in deck {
            let key = rate.id.or(rate.prefix).unwrap_or_default().to_owned();
            if let Some(mark) = classifier.classify(key, rate.fingerprint(&mut hasher))? {
                builder.append(mark, rate);
            }
        }
        let known = classifier
            .reader
            .all_latest(classifier.account, Stream::Rates)?;
        for removed in known {
            if classifier.keys.contains(&removed.key) {
                continue;
            }
            let mark = RowMark {
                revision: removed.revision.saturating_add(1),
                change: Change::Removed,
            };
            append_removed_rate(log, &mut builder, mark, &removed)?;
            classifier.changes.removed += 1;
            classifier.set_latest(removed.key, removed.fingerprint, mark.revision, true);
        }
        Ok(Rows::Rates(Box::new(builder)))
    })
}

/// Appends a removed rate with its last values; only with its id if retention has deleted them.
fn append_removed_rate(
    log: &SharedLog,
    builder: &mut RatesBuilder,
    mark: RowMark,
    removed: &LatestVersion,
) -> Result<()> {
    let stored = log.batch(removed.batch)?;
    let view = stored
        .as_ref()
        .map(|stored| RatesView::new(&stored.records))
        .transpose()
        .map_err(|source| JournalError::View {
            seq: removed.batch,
            stream: Stream::Rates,
            source,
        })?;
    match view
        .as_ref()
        .and_then(|view| view.row(removed.row as usize))
    {
        Some(row) => builder.append(mark, &row.to_record()),
        None => builder.append(
            mark,
            &Rate {
                id: Some(&removed.key),
                ..Rate::default()
            },
        ),
    }
    Ok(())
}

/// See [`Journal::record_billing`](crate::Journal::record_billing).
pub(crate) fn record_billing(
    log: &SharedLog,
    memory: &SharedMemory,
    observed_at: i64,
    billing: &Billing<'_>,
) -> Result<Changes> {
    append_changes(log, memory, observed_at, Stream::Billing, |classifier| {
        let mut builder = BillingBuilder::new();
        let fingerprint = billing.fingerprint(&mut FieldHasher::new());
        if let Some(mark) = classifier.classify(String::new(), fingerprint)? {
            builder.append(mark, billing);
        }
        Ok(Rows::Billing(Box::new(builder)))
    })
}

fn append_changes(
    log: &SharedLog,
    memory: &SharedMemory,
    observed_at: i64,
    stream: Stream,
    build: impl FnOnce(&mut ChangeClassifier<'_>) -> Result<Rows>,
) -> Result<Changes> {
    // Locked to the end: the next response of the same account must see what this one stores.
    let memory = memory.lock();
    let (mut changes, rows, latest) = log.with_reader(|reader| {
        let mut classifier = ChangeClassifier::new(reader, memory.row.id, stream);
        let rows = build(&mut classifier)?;
        Ok((classifier.changes, rows, classifier.latest))
    })?;
    if latest.is_empty() {
        return Ok(changes);
    }
    let (batches, _) = log.append(Append {
        account: &memory.row,
        state: None,
        horizon: None,
        coverage: CoverageChange::default(),
        observed_at,
        batches: vec![rows],
        latest,
    })?;
    changes.batch = batches.into_iter().next();
    Ok(changes)
}

/// The start of the period and the client's id; without an id, the client's other names.
fn balance_key(balance: &Balance<'_>) -> String {
    let start = balance.period_start.known().unwrap_or_default();
    match balance.client_id {
        Some(id) => format!("{start} {id}"),
        None => format!(
            "{start}\n{}\n{}",
            balance.third_party_account_id.unwrap_or_default(),
            balance.client_name.unwrap_or_default()
        ),
    }
}
