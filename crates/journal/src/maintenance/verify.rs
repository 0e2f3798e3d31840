//! Reads the whole journal and checks that it is consistent.

use std::collections::{HashMap, HashSet};

use callmeter_error_chain::chain;
use callmeter_records::calls::CallRow;
use callmeter_records::{
    BatchSeq, CallsView, CanonicalId, CommonView, FieldHasher, Previous, Stream,
};

use crate::database::value::values;
use crate::error::{JournalError, Result};
use crate::log::accounts;
use crate::log::batch_row::{BatchRow, COLUMNS};
use crate::log::coverage;
use crate::log::head::read_stream;
use crate::log::keys::{BatchKeys, CallKey, RowAddress};
use crate::log::reader::Reader;
use crate::maintenance::clock;
use crate::maintenance::snapshots::snapshot_checksum;
use crate::rate_decks;
use crate::stored_batch::{BatchMeta, StoredBatch};

/// The most findings that are listed; all are counted.
const LISTED: usize = 100;

/// An inconsistency that verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The batch that it is about, if any.
    pub batch: Option<BatchSeq>,
    /// What is wrong.
    pub what: String,
}

/// The result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Number of batches read.
    pub batches: u64,
    /// Number of records read.
    pub records: u64,
    /// Bytes of batches read.
    pub bytes: u64,
    /// The first hundred findings.
    pub findings: Vec<Finding>,
    /// The number of findings.
    pub found: u64,
}

impl Verification {
    /// Whether there are no findings.
    pub fn is_sound(&self) -> bool {
        self.found == 0
    }

    fn add(&mut self, batch: Option<BatchSeq>, what: impl Into<String>) {
        self.found += 1;
        if self.findings.len() < LISTED {
            self.findings.push(Finding {
                batch,
                what: what.into(),
            });
        }
    }
}

impl Reader {
    /// Reads every page, batch, cursor, account and snapshot, and checks SQLite's structures, all
    /// checksums, that numbers and sequences have no gaps, that the metadata of each batch matches
    /// its records, and that each revision matches the version before it. Calls `progress` with the
    /// number of each batch.
    ///
    /// Damage is a finding; fails only if nothing can be read. Sees the journal as it is when
    /// verification starts, even if another process writes to it.
    pub fn verify(&mut self, mut progress: impl FnMut(BatchSeq)) -> Result<Verification> {
        self.snapshot(|reader| reader.verify_all(&mut progress))
    }

    fn verify_all(&mut self, progress: &mut impl FnMut(BatchSeq)) -> Verification {
        let mut done = Verification::default();
        self.verify_pages(&mut done);
        match self.verify_batches(&mut done, progress) {
            Ok(()) => {}
            Err(error) => done.add(None, chain(&error)),
        }
        self.verify_rest(&mut done);
        done
    }

    /// The database's own check of how it stores the tables.
    fn verify_pages(&self, done: &mut Verification) {
        match self.conn.check_structure() {
            Ok(lines) => lines.into_iter().for_each(|line| done.add(None, line)),
            Err(error) => done.add(None, error.to_string()),
        }
    }

    fn verify_batches(
        &mut self,
        done: &mut Verification,
        progress: &mut impl FnMut(BatchSeq),
    ) -> Result<()> {
        let head = self.head()?;
        let mut next: Option<BatchSeq> = None;
        let mut next_sequence: HashMap<Stream, i64> = HashMap::new();
        let mut after = BatchSeq::START;
        loop {
            let found = self.next_raw(after).and_then(|found| {
                if let Some(found) = &found {
                    self.check_order(after, found.row.seq)?;
                }
                Ok(found)
            });
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    // Continue with the next number.
                    let seq = BatchSeq(after.0 + 1);
                    done.add(Some(seq), chain(&error));
                    if seq >= head {
                        break;
                    }
                    after = seq;
                    continue;
                }
            };
            let Some(RawBatch {
                row: raw,
                keys,
                payload,
            }) = found
            else {
                break;
            };
            let seq = raw.seq;
            after = seq;
            progress(seq);
            if next.is_some_and(|next| next != seq) {
                done.add(Some(seq), "the previous batch is missing");
            }
            next = Some(BatchSeq(seq.0 + 1));
            done.batches += 1;
            done.bytes += (keys.len() + payload.len()) as u64;
            match self.verify_batch(&raw, &keys, &payload, &mut next_sequence, done) {
                Ok(rows) => done.records += rows,
                Err(error) => done.add(Some(seq), chain(&error)),
            }
        }
        if next.is_some_and(|next| next != BatchSeq(head.0 + 1)) {
            done.add(
                None,
                format!("the last batch is missing: the journal's head row says that it is {head}"),
            );
        }
        for stream in Stream::ALL {
            let stored = read_stream(&self.conn, stream)?;
            if next_sequence
                .get(&stream)
                .is_some_and(|next| *next != stored)
            {
                done.add(
                    None,
                    format!(
                        "the next sequence of {stream} does not follow its last batch: {stored}"
                    ),
                );
            }
        }
        Ok(())
    }

    fn next_raw(&self, after: BatchSeq) -> Result<Option<RawBatch>> {
        let found = self
            .conn
            .first(
                &format!(
                    "SELECT {COLUMNS}, keys, payload FROM batches WHERE seq > ? ORDER BY seq LIMIT 1"
                ),
                values![after.to_sql()],
                |row| {
                    let keys: Vec<u8> = row.get(14)?;
                    Ok((BatchRow::read(row)?, keys, row.get::<Vec<u8>>(15)?))
                },
            )
            .map_err(|source| self.sql(source))?;
        let Some(((row, checksum), keys, payload)) = found else {
            return Ok(None);
        };
        Ok(Some(RawBatch {
            row: self.check_row(row, checksum)?,
            keys,
            payload,
        }))
    }

    fn verify_batch(
        &mut self,
        batch: &BatchRow,
        keys: &[u8],
        payload: &[u8],
        next_sequence: &mut HashMap<Stream, i64>,
        done: &mut Verification,
    ) -> Result<u64> {
        let meta = self.meta(batch)?;
        let records = self.records(batch, &meta, payload)?;
        let stored = StoredBatch { meta, records };
        let meta = &stored.meta;
        let view_error = |source| JournalError::View {
            seq: meta.seq,
            stream: meta.stream,
            source,
        };
        let common = CommonView::new(&stored.records).map_err(view_error)?;
        let rows = i64::from(meta.rows);
        let expected = next_sequence.insert(meta.stream, meta.first_sequence + rows);
        if expected.is_some_and(|expected| expected != meta.first_sequence) {
            done.add(
                Some(meta.seq),
                format!(
                    "its first sequence should be {}",
                    expected.unwrap_or_default()
                ),
            );
        }
        for (row, sequence) in (0..common.rows()).zip(meta.first_sequence..) {
            if common.sequence(row) != sequence
                || common.account(row) != &*meta.account
                || common.observed_at(row) != meta.observed_at
                || common.change(row).is_none()
            {
                done.add(
                    Some(meta.seq),
                    format!("row {row} does not match the metadata of the batch"),
                );
            }
        }
        if meta.stream == Stream::Calls {
            let keys = self.checked_keys(batch, keys)?.decode();
            let view = CallsView::new(&stored.records).map_err(view_error)?;
            self.verify_calls(&view, &keys, meta, done)?;
        }
        Ok(u64::from(meta.rows))
    }

    fn verify_calls(
        &mut self,
        view: &CallsView<'_>,
        keys: &BatchKeys,
        meta: &BatchMeta,
        done: &mut Verification,
    ) -> Result<()> {
        let mut hasher = FieldHasher::new();
        let mut span: Option<(i64, i64)> = None;
        let revised: HashMap<u16, RowAddress> = keys.revised.iter().copied().collect();
        if keys.rows.len() != view.len() {
            done.add(
                Some(meta.seq),
                "its number of keys is not its number of rows",
            );
        }
        for (index, (row, key)) in (0u16..=u16::MAX).zip(view.rows().zip(&keys.rows)) {
            if let Some(start) = row.start_time() {
                let (min, max) = span.unwrap_or((start, start));
                span = Some((min.min(start), max.max(start)));
            }
            let fingerprint = row.fingerprint(&mut hasher);
            if key.fingerprint != fingerprint || key.hash != CallKey::hash_of(row.id(), fingerprint)
            {
                done.add(
                    Some(meta.seq),
                    format!("the key of row {index} belongs to another call"),
                );
            }
            match (row.previous(), revised.get(&index)) {
                (None, None) => {}
                (Some(_), Some(address)) => self.verify_revision(&row, *address, meta.seq, done)?,
                _ => done.add(
                    Some(meta.seq),
                    format!("row {index} is a revision only in its key or only in its record"),
                ),
            }
        }
        if span != meta.span {
            done.add(
                Some(meta.seq),
                "the span of its start times does not match its calls",
            );
        }
        Ok(())
    }

    /// Checks the previous values of a revision against the version before it, unless retention has
    /// deleted that.
    fn verify_revision(
        &mut self,
        row: &CallRow<'_, '_>,
        address: RowAddress,
        seq: BatchSeq,
        done: &mut Verification,
    ) -> Result<()> {
        let Some(before) = self.batch(BatchSeq(address.batch.into()))? else {
            return Ok(());
        };
        let view = CallsView::new(&before.records).map_err(|source| JournalError::View {
            seq: before.meta.seq,
            stream: Stream::Calls,
            source,
        })?;
        let agrees = view.row(usize::from(address.row)).is_some_and(|before| {
            let counted = before.to_previous();
            // In older journals it does not say which record the version before is, ...
            let unnamed = Previous {
                sequence: None,
                observed_at: None,
                start_time: None,
                ..counted
            };
            // ... and in still older ones it is only what that version had.
            let returned = Previous {
                durations: before.durations(),
                ..unnamed
            };
            before.id().map(CanonicalId::new) == row.id().map(CanonicalId::new)
                && row
                    .previous()
                    .is_some_and(|previous| [counted, unnamed, returned].contains(&previous))
        });
        if !agrees {
            done.add(
                Some(seq),
                format!(
                    "the previous values of sequence {} do not match the version before it",
                    row.sequence()
                ),
            );
        }
        Ok(())
    }

    fn verify_rest(&self, done: &mut Verification) {
        let accounts = accounts::read_all(&self.conn);
        match &accounts {
            Ok(accounts) => {
                let mut names = HashSet::new();
                for account in accounts {
                    if !names.insert(&account.name) {
                        done.add(None, format!("account `{}` is stored twice", account.name));
                    }
                    let days = coverage::read_all(&self.conn, account.id);
                    if let Err(error) = days {
                        done.add(None, chain(&error));
                    }
                    let deck = rate_decks::check_stored(&self.conn, account.id);
                    if let Err(error) = deck {
                        done.add(None, chain(&error));
                    }
                    for stream in Stream::ALL {
                        if let Err(error) = self.all_latest(account.id, stream) {
                            done.add(None, chain(&error));
                        }
                    }
                }
            }
            Err(error) => done.add(None, chain(error)),
        }
        match (self.cursors(), self.head()) {
            (Ok(cursors), Ok(head)) => {
                for cursor in cursors.iter().filter(|cursor| cursor.batch > head) {
                    done.add(
                        None,
                        format!(
                            "output `{}` has acknowledged more batches than the journal has",
                            cursor.output
                        ),
                    );
                }
            }
            (Err(error), _) | (_, Err(error)) => done.add(None, chain(&error)),
        }
        if let Err(error) = clock::check(&self.conn) {
            done.add(None, chain(&error));
        }
        let snapshots = self.conn.all(
            "SELECT seq, data, checksum FROM snapshots",
            values![],
            |row| {
                Ok((
                    row.get::<i64>(0)?,
                    row.get::<Vec<u8>>(1)?,
                    row.get::<i64>(2)?,
                ))
            },
        );
        match snapshots {
            Ok(snapshots) => {
                for (seq, data, checksum) in snapshots {
                    if snapshot_checksum(seq, &data) != checksum {
                        done.add(
                            None,
                            format!("the snapshot after batch {seq} does not match its checksum"),
                        );
                    }
                }
            }
            Err(error) => done.add(None, error.to_string()),
        }
    }
}

/// A row of `batches`, not unpacked.
struct RawBatch {
    row: BatchRow,
    keys: Vec<u8>,
    payload: Vec<u8>,
}
