//! What identifies a record of the streams that are journaled on change: its key in the journal.
//!
//! Older versions of callmeter identified rates by their id where they had one, and balances by
//! their client alone. Such keys stay in the journal until their record changes.

use std::collections::HashMap;

use callmeter_records::{
    Balance, BalancesView, BatchSeq, FieldHasher, Rate, RatesView, Stream, ViewError,
};

use crate::error::{JournalError, Result};
use crate::log::latest_versions::LatestVersion;
use crate::log::reader::Reader;
use crate::log::shared::SharedLog;
use crate::stored_batch::StoredBatch;

/// Begins the key of a rate; no older key begins with it.
const PREFIX_MARK: char = '=';

/// Separates the parts of a balance's key; no older key contains it.
const SEPARATOR: char = '\u{1f}';

/// A rate is the rate of its prefix, whether its source writes an id or not. Without a prefix only
/// its id is left.
pub(crate) fn rate_key(rate: &Rate<'_>) -> String {
    match text(rate.prefix) {
        "" => text(rate.id).to_owned(),
        prefix => format!("{PREFIX_MARK}{prefix}"),
    }
}

/// The same rate has the same fingerprint in a source that writes ids and in one that does not.
pub(crate) fn rate_fingerprint(rate: &Rate<'_>, hasher: &mut FieldHasher) -> u64 {
    Rate { id: None, ..*rate }.fingerprint(hasher)
}

/// A removed rate of which only the key is left.
pub(crate) fn rate_of_key(key: &str) -> Rate<'_> {
    match key.strip_prefix(PREFIX_MARK) {
        Some(prefix) => Rate {
            prefix: Some(prefix),
            ..Rate::default()
        },
        None => Rate {
            id: Some(key),
            ..Rate::default()
        },
    }
}

/// A balance is that of one allowance of one client in one period; without a client's id, of the
/// client with these names.
pub(crate) fn balance_key(balance: &Balance<'_>) -> String {
    let client = text(balance.client_id);
    let name = match client {
        "" => text(balance.client_name),
        _ => "",
    };
    let start = balance.period_start.known().unwrap_or_default();
    let third_party = text(balance.third_party_account_id);
    let allowance = text(balance.allowance_description);
    [&start.to_string(), client, third_party, allowance, name].join(&SEPARATOR.to_string())
}

/// The key of a balance in older versions.
fn old_balance_key(balance: &Balance<'_>) -> String {
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

fn text(text: Option<&str>) -> &str {
    text.map_or("", str::trim)
}

/// The latest version of a balance, which may have an older version's key.
pub(crate) fn known_balance(
    (log, reader, account): (&SharedLog, &Reader, i64),
    key: &str,
    balance: &Balance<'_>,
) -> Result<Option<LatestVersion>> {
    if let Some(known) = reader.latest(account, Stream::Balances, key)? {
        return Ok(Some(known));
    }
    let old = reader.latest(account, Stream::Balances, &old_balance_key(balance))?;
    let Some(old) = old else {
        return Ok(None);
    };
    // Its key says nothing of the allowance, so its row has to.
    let Some(stored) = log.batch(old.batch)? else {
        return Ok(None);
    };
    let view = BalancesView::new(&stored.records)
        .map_err(|source| unreadable(Stream::Balances, old.batch, source))?;
    let row = view.row(old.row as usize);
    let is_same = row.is_some_and(|row| balance_key(&row.to_record()) == key);
    Ok(is_same.then_some(old))
}

/// The latest versions of the rates of an account, by [`rate_key`].
#[derive(Default)]
pub(crate) struct KnownRates {
    pub(crate) by_key: HashMap<String, LatestVersion>,
    /// Second entries of a rate, of older versions: under its id, and under its prefix.
    pub(crate) repeated: Vec<LatestVersion>,
}

impl KnownRates {
    /// Reads them. Fingerprints of older versions, which include the id, are replaced.
    pub(crate) fn read(log: &SharedLog, reader: &Reader, account: i64) -> Result<Self> {
        let mut known = Self::default();
        let mut stored = StoredRates::new(log);
        let mut hasher = FieldHasher::new();
        for mut version in reader.all_latest(account, Stream::Rates)? {
            let key = if version.key.starts_with(PREFIX_MARK) {
                version.key.clone()
            } else {
                let found = stored.read(&version, |rate| {
                    (rate_key(rate), rate_fingerprint(rate, &mut hasher))
                })?;
                match found {
                    Some((key, fingerprint)) => {
                        version.fingerprint = fingerprint;
                        key
                    }
                    None => version.key.clone(),
                }
            };
            known.add(key, version);
        }
        Ok(known)
    }

    fn add(&mut self, key: String, mut version: LatestVersion) {
        if let Some(other) = self.by_key.get_mut(&key) {
            let address = |version: &LatestVersion| (version.batch, version.row);
            if address(other) < address(&version) {
                std::mem::swap(other, &mut version);
            }
            self.repeated.push(version);
        } else {
            self.by_key.insert(key, version);
        }
    }
}

/// Reads stored rates; each batch once.
pub(crate) struct StoredRates<'l> {
    log: &'l SharedLog,
    batches: HashMap<BatchSeq, Option<StoredBatch>>,
}

impl<'l> StoredRates<'l> {
    pub(crate) fn new(log: &'l SharedLog) -> Self {
        Self {
            log,
            batches: HashMap::new(),
        }
    }

    /// Passes a stored version on; `None` if retention has deleted it.
    pub(crate) fn read<T>(
        &mut self,
        version: &LatestVersion,
        take: impl FnOnce(&Rate<'_>) -> T,
    ) -> Result<Option<T>> {
        if !self.batches.contains_key(&version.batch) {
            let stored = self.log.batch(version.batch)?;
            self.batches.insert(version.batch, stored);
        }
        let Some(Some(stored)) = self.batches.get(&version.batch) else {
            return Ok(None);
        };
        let view = RatesView::new(&stored.records)
            .map_err(|source| unreadable(Stream::Rates, version.batch, source))?;
        let row = view.row(version.row as usize);
        Ok(row.map(|row| take(&row.to_record())))
    }
}

fn unreadable(stream: Stream, seq: BatchSeq, source: ViewError) -> JournalError {
    JournalError::View {
        seq,
        stream,
        source,
    }
}
