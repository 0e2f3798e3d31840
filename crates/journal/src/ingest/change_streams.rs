//! Streams that are journaled on change: a record is appended if its latest version differs.

use std::collections::HashSet;

use callmeter_records::{
    Balance, BalancesBuilder, BatchSeq, Billing, BillingBuilder, Change, FieldHasher, Rate,
    RatesBuilder, Reading, RowMark, Stream,
};

use crate::error::Result;
use crate::ingest::account_memory::SharedMemory;
use crate::ingest::identity::{
    KnownRates, StoredRates, balance_key, known_balance, rate_fingerprint, rate_key, rate_of_key,
};
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

/// What a deck says of the rates that are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeckExtent {
    /// They were removed: this is the whole deck.
    Whole,
    /// Nothing: a part of the deck could not be read.
    Part,
}

/// Classifies records as new, revised or unchanged, by key and fingerprint.
struct ChangeClassifier<'r> {
    reader: &'r Reader,
    account: i64,
    stream: Stream,
    keys: HashSet<String>,
    changes: Changes,
    latest: Vec<(usize, LatestVersion)>,
    /// How many rows are appended.
    rows: u32,
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
            rows: 0,
        }
    }

    /// How to mark the record in the journal; `None` if it is not appended. `known` is its latest
    /// version.
    fn classify(
        &mut self,
        key: String,
        fingerprint: u64,
        known: Option<&LatestVersion>,
    ) -> Option<RowMark> {
        if self.keys.contains(&key) {
            self.changes.repeated += 1;
            return None;
        }
        let mark = match known {
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
            // An older version of callmeter stored it under another key.
            if let Some(known) = known.filter(|known| known.key != key) {
                self.forget(known);
            }
            let version = LatestVersion {
                stream: self.stream,
                key: key.clone(),
                fingerprint,
                revision: mark.revision,
                batch: BatchSeq::START,
                row: self.rows,
                removed: false,
            };
            self.latest.push((0, version));
            self.rows += 1;
        }
        self.keys.insert(key);
        mark
    }

    /// Removes a version from the latest ones.
    fn forget(&mut self, known: &LatestVersion) {
        let removed = LatestVersion {
            removed: true,
            ..known.clone()
        };
        self.latest.push((0, removed));
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
            let key = balance_key(balance);
            let place = (log, classifier.reader, classifier.account);
            let known = known_balance(place, &key, balance)?;
            if let Some(mark) = classifier.classify(key, fingerprint, known.as_ref()) {
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
    extent: DeckExtent,
) -> Result<Changes> {
    append_changes(log, memory, observed_at, Stream::Rates, |classifier| {
        let mut builder = RatesBuilder::new();
        let mut hasher = FieldHasher::new();
        let known = KnownRates::read(log, classifier.reader, classifier.account)?;
        for rate in deck {
            let key = rate_key(rate);
            let version = known.by_key.get(&key);
            let fingerprint = rate_fingerprint(rate, &mut hasher);
            if let Some(mark) = classifier.classify(key, fingerprint, version) {
                builder.append(mark, rate);
            }
        }
        if extent == DeckExtent::Whole {
            append_removed_rates(log, &mut builder, classifier, &known)?;
        }
        if classifier.rows > 0 {
            known
                .repeated
                .iter()
                .for_each(|version| classifier.forget(version));
        }
        Ok(Rows::Rates(Box::new(builder)))
    })
}

/// See [`Journal::missing_rates`](crate::Journal::missing_rates).
pub(crate) fn missing_rates(
    log: &SharedLog,
    memory: &SharedMemory,
    deck: &[Rate<'_>],
) -> Result<u64> {
    let account = memory.lock().row.id;
    let keys: HashSet<String> = deck.iter().map(rate_key).collect();
    let known = log.with_reader(|reader| KnownRates::read(log, reader, account))?;
    let missing = known.by_key.keys().filter(|key| !keys.contains(*key));
    Ok(missing.count() as u64)
}

/// Appends the known rates that are not in the deck as removed, with their last values; only with
/// what identifies them if retention has deleted these.
fn append_removed_rates(
    log: &SharedLog,
    builder: &mut RatesBuilder,
    classifier: &mut ChangeClassifier<'_>,
    known: &KnownRates,
) -> Result<()> {
    let mut stored = StoredRates::new(log);
    let gone = known
        .by_key
        .iter()
        .filter(|(key, _)| !classifier.keys.contains(*key));
    let mut gone: Vec<_> = gone.collect();
    gone.sort_unstable_by_key(|(key, _)| *key);
    for (key, version) in gone {
        let mark = RowMark {
            revision: version.revision.saturating_add(1),
            change: Change::Removed,
        };
        if stored
            .read(version, |rate| builder.append(mark, rate))?
            .is_none()
        {
            builder.append(mark, &rate_of_key(key));
        }
        classifier.changes.removed += 1;
        classifier.rows += 1;
        classifier.forget(version);
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
        let (reader, account) = (classifier.reader, classifier.account);
        let known = reader.latest(account, Stream::Billing, "")?;
        if let Some(mark) = classifier.classify(String::new(), fingerprint, known.as_ref()) {
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
        fence: memory.fence(),
        account: &memory.row,
        state: None,
        horizon: None,
        coverage: CoverageChange::default(),
        observed_at,
        batches: vec![rows],
        latest,
        cursor: None,
    })?;
    changes.batch = batches.into_iter().next();
    Ok(changes)
}
