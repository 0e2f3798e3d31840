//! Streams that are journaled on change only: what was last said of each record, and what is new about it.

use std::collections::HashSet;

use callmeter_records::{
    Balance, BalancesBuilder, Billing, BillingBuilder, Change, FieldHasher, Rate, RatesBuilder,
    RatesView, Reading, RowMark, Stream,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::checksum::RowChecksum;
use crate::error::{JournalError, Result};
use crate::reader::Reader;
use crate::writer::{Append, Rows};
use crate::{BatchSeq, Journal, StoredBatch};

/// What a record of such a stream came to.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The batch of what changed; `None` if nothing did.
    pub batch: Option<StoredBatch>,
    /// Records that are there for the first time.
    pub new: u64,
    /// Records that changed.
    pub revised: u64,
    /// Records that are no longer there.
    pub removed: u64,
    /// Records as they were.
    pub unchanged: u64,
    /// Records whose key an earlier one of the same call had; the earlier one counts.
    pub repeated: u64,
}

/// A row of `latest`, but for its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LatestRow {
    stream: Stream,
    key: String,
    fingerprint: u64,
    revision: i32,
    batch: BatchSeq,
    row: u32,
    /// Not stored: the record is gone, and its row with it.
    removed: bool,
}

impl LatestRow {
    fn checksum(&self, account: i64) -> i64 {
        RowChecksum::of("latest")
            .int(account)
            .int(self.stream.code().into())
            .text(&self.key)
            .int(self.fingerprint.cast_signed())
            .int(self.revision.into())
            .int(self.batch.to_sql())
            .int(self.row.into())
            .finish()
    }

    /// Stores the row, as of batch `seq`.
    pub(crate) fn write(
        mut self,
        conn: &Connection,
        account: i64,
        seq: BatchSeq,
    ) -> rusqlite::Result<()> {
        if self.removed {
            conn.prepare_cached("DELETE FROM latest WHERE account = ? AND stream = ? AND key = ?")?
                .execute(params![account, self.stream.code(), self.key])?;
            return Ok(());
        }
        self.batch = seq;
        conn.prepare_cached(
            "INSERT OR REPLACE INTO latest (account, stream, key, fingerprint, revision, batch, row, checksum)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            account,
            self.stream.code(),
            self.key,
            self.fingerprint.cast_signed(),
            self.revision,
            self.batch.to_sql(),
            self.row,
            self.checksum(account)
        ])?;
        Ok(())
    }

    fn read(row: &Row<'_>, stream: Stream) -> rusqlite::Result<(Self, i64)> {
        let read = Self {
            stream,
            key: row.get(0)?,
            fingerprint: row.get::<_, i64>(1)?.cast_unsigned(),
            revision: row.get(2)?,
            batch: BatchSeq::from_sql(row.get(3)?),
            row: row.get(4)?,
            removed: false,
        };
        Ok((read, row.get(5)?))
    }
}

const COLUMNS: &str = "key, fingerprint, revision, batch, row, checksum";

impl Reader {
    fn latest(&self, account: i64, stream: Stream, key: &str) -> Result<Option<LatestRow>> {
        self.conn
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM latest WHERE account = ? AND stream = ? AND key = ?"
            ))
            .and_then(|mut statement| {
                statement
                    .query_row(params![account, stream.code(), key], |row| {
                        LatestRow::read(row, stream)
                    })
                    .optional()
            })
            .map_err(|source| self.sql(source))?
            .map(|read| self.checked_latest(account, read))
            .transpose()
    }

    pub(crate) fn all_latest(&self, account: i64, stream: Stream) -> Result<Vec<LatestRow>> {
        let read = || -> rusqlite::Result<Vec<_>> {
            self.conn
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM latest WHERE account = ? AND stream = ?"
                ))?
                .query_map(params![account, stream.code()], |row| {
                    LatestRow::read(row, stream)
                })?
                .collect()
        };
        let rows = read().map_err(|source| self.sql(source))?;
        rows.into_iter()
            .map(|row| self.checked_latest(account, row))
            .collect()
    }

    fn checked_latest(&self, account: i64, (row, checksum): (LatestRow, i64)) -> Result<LatestRow> {
        if row.checksum(account) == checksum {
            Ok(row)
        } else {
            Err(self.corrupt(format!(
                "the latest {} `{}` does not match its checksum",
                row.stream, row.key
            )))
        }
    }
}

/// Sorts records into new, revised and unchanged, by key and fingerprint.
struct ChangeClassifier<'r> {
    reader: &'r Reader,
    account: i64,
    stream: Stream,
    keys: HashSet<String>,
    changes: Changes,
    latest: Vec<(usize, LatestRow)>,
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

    /// How to mark the record in the journal; `None` if it does not belong there.
    fn sort(&mut self, key: String, fingerprint: u64) -> Result<Option<RowMark>> {
        if self.keys.contains(&key) {
            self.changes.repeated += 1;
            return Ok(None);
        }
        let mark = match self.reader.latest(self.account, self.stream, &key)? {
            Some(known) if known.fingerprint == fingerprint => None,
            Some(known) => Some(RowMark {
                revision: known.revision.saturating_add(1),
                change: Change::Revised,
            }),
            None => Some(RowMark::NEW),
        };
        match mark {
            None => self.changes.unchanged += 1,
            Some(mark) => {
                match mark.change {
                    Change::New => self.changes.new += 1,
                    _ => self.changes.revised += 1,
                }
                self.note(key.clone(), fingerprint, mark.revision, false);
            }
        }
        self.keys.insert(key);
        Ok(mark)
    }

    fn note(&mut self, key: String, fingerprint: u64, revision: i32, removed: bool) {
        let row = u32::try_from(self.latest.len()).unwrap_or(u32::MAX);
        let (stream, batch) = (self.stream, BatchSeq::START);
        self.latest.push((
            0,
            LatestRow {
                stream,
                key,
                fingerprint,
                revision,
                batch,
                row,
                removed,
            },
        ));
    }
}

impl Journal {
    /// Journals the balances that changed since the last time, each told by its client and the begin of its period.
    ///
    /// That the end of the period moves is no change.
    pub fn record_balances(
        &self,
        account: &str,
        observed_at: i64,
        balances: &[Balance<'_>],
    ) -> Result<Changes> {
        self.record(account, observed_at, Stream::Balances, |sorter| {
            let mut builder = BalancesBuilder::new();
            let mut hasher = FieldHasher::new();
            for balance in balances {
                let open = Balance {
                    period_end: Reading::Missing,
                    ..*balance
                };
                if let Some(mark) =
                    sorter.sort(balance_key(balance), open.fingerprint(&mut hasher))?
                {
                    builder.append(mark, balance);
                }
            }
            Ok(Rows::Balances(Box::new(builder)))
        })
    }

    /// Journals the rates that changed since the last time, each told by its id. `deck` is the whole deck: a rate that
    /// is not in it any more is journaled once more, as removed.
    pub fn record_rates(
        &self,
        account: &str,
        observed_at: i64,
        deck: &[Rate<'_>],
    ) -> Result<Changes> {
        self.record(account, observed_at, Stream::Rates, |sorter| {
            let mut builder = RatesBuilder::new();
            let mut hasher = FieldHasher::new();
            for rate in deck {
                let key = rate.id.or(rate.prefix).unwrap_or_default().to_owned();
                if let Some(mark) = sorter.sort(key, rate.fingerprint(&mut hasher))? {
                    builder.append(mark, rate);
                }
            }
            for gone in sorter.reader.all_latest(sorter.account, Stream::Rates)? {
                if sorter.keys.contains(&gone.key) {
                    continue;
                }
                let mark = RowMark {
                    revision: gone.revision.saturating_add(1),
                    change: Change::Removed,
                };
                self.with_reader(|reader| {
                    let stored = reader.batch(gone.batch)?;
                    let view = stored
                        .as_ref()
                        .map(|stored| RatesView::new(&stored.records));
                    let view = view.transpose().map_err(|source| JournalError::View {
                        seq: gone.batch,
                        stream: Stream::Rates,
                        source,
                    })?;
                    match view.as_ref().and_then(|view| view.row(gone.row as usize)) {
                        Some(row) => builder.append(mark, &row.to_record()),
                        // Retention has dropped what it was: its id is all that is left.
                        None => builder.append(
                            mark,
                            &Rate {
                                id: Some(&gone.key),
                                ..Rate::default()
                            },
                        ),
                    }
                    Ok(())
                })?;
                sorter.changes.removed += 1;
                sorter.note(gone.key, gone.fingerprint, mark.revision, true);
            }
            Ok(Rows::Rates(Box::new(builder)))
        })
    }

    /// Journals an account's billing settings and balance, if they changed since the last time.
    pub fn record_billing(
        &self,
        account: &str,
        observed_at: i64,
        billing: &Billing<'_>,
    ) -> Result<Changes> {
        self.record(account, observed_at, Stream::Billing, |sorter| {
            let mut builder = BillingBuilder::new();
            if let Some(mark) =
                sorter.sort(String::new(), billing.fingerprint(&mut FieldHasher::new()))?
            {
                builder.append(mark, billing);
            }
            Ok(Rows::Billing(Box::new(builder)))
        })
    }

    fn record(
        &self,
        account: &str,
        observed_at: i64,
        stream: Stream,
        build: impl FnOnce(&mut ChangeClassifier<'_>) -> Result<Rows>,
    ) -> Result<Changes> {
        let memory = self.memory(account)?;
        // Held to the end: another call for the same account has to see what this one stores.
        let memory = memory.lock();
        let (mut changes, rows, latest) = self.with_reader(|reader| {
            let mut sorter = ChangeClassifier::new(reader, memory.row.id, stream);
            let rows = build(&mut sorter)?;
            Ok((sorter.changes, rows, sorter.latest))
        })?;
        if latest.is_empty() {
            return Ok(changes);
        }
        let append = Append {
            account: &memory.row,
            state: None,
            horizon: None,
            observed_at,
            batches: vec![rows],
            latest,
        };
        let (batches, _) = self.append(append)?;
        changes.batch = batches.into_iter().next();
        Ok(changes)
    }
}

/// The period's begin and the client; a client without an id is told by its other names.
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
