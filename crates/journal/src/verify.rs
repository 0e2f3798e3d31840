//! Reads the whole journal and checks it against itself.

use std::collections::{HashMap, HashSet};

use callmeter_records::calls::CallRow;
use callmeter_records::{CallsView, CommonView, FieldHasher, Stream, id_hash};
use rusqlite::params;

use crate::error::{JournalError, Result};
use crate::keys::Keys;
use crate::known::Place;
use crate::reader::{HEAD, Head, Reader};
use crate::snapshots::snapshot_checksum;
use crate::{BatchMeta, BatchSeq, StoredBatch, account, format};

/// Findings beyond this many are counted, not listed.
const LISTED: usize = 100;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The batch, if it is one.
    pub batch: Option<BatchSeq>,
    /// What is wrong, in words.
    pub what: String,
}

/// What verification read and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Batches read.
    pub batches: u64,
    /// Records read.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong; the first hundred.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub found: u64,
}

impl Verification {
    /// Whether all was as it should be.
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
    /// Reads every page, batch, cursor, account and snapshot, and checks them: SQLite's structure, all checksums, that
    /// numbers and sequences have no gap, that what stands beside a batch is what is in it, that a revision's
    /// predecessor is what it says. `progress` is told the number of each batch.
    ///
    /// Fails only where nothing can be read at all; damage is a finding. Sees the journal as of its begin, also while
    /// another process goes on writing.
    pub fn verify(&mut self, mut progress: impl FnMut(BatchSeq)) -> Result<Verification> {
        // One transaction: one look at everything.
        self.conn
            .execute_batch("BEGIN")
            .map_err(|source| self.sql(source))?;
        let result = self.verify_all(&mut progress);
        // Nothing was written: however this ends, there is nothing to lose.
        let _ = self.conn.execute_batch("COMMIT");
        Ok(result)
    }

    fn verify_all(&mut self, progress: &mut impl FnMut(BatchSeq)) -> Verification {
        let mut done = Verification::default();
        self.verify_pages(&mut done);
        match self.verify_batches(&mut done, progress) {
            Ok(()) => {}
            Err(error) => done.add(None, in_full(&error)),
        }
        self.verify_rest(&mut done);
        done
    }

    /// SQLite's own check: that pages, trees and indices hang together.
    fn verify_pages(&self, done: &mut Verification) {
        let read = || -> rusqlite::Result<Vec<String>> {
            self.conn
                .prepare("PRAGMA integrity_check")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        match read() {
            Ok(lines) => {
                for line in lines.into_iter().filter(|line| line != "ok") {
                    done.add(None, line);
                }
            }
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
            let found = match self.next_raw(after) {
                Ok(found) => found,
                Err(error) => {
                    // The rest can still be read, from the next number on.
                    let seq = BatchSeq(after.0 + 1);
                    done.add(Some(seq), in_full(&error));
                    if seq >= head {
                        break;
                    }
                    after = seq;
                    continue;
                }
            };
            let Some(RawBatch {
                head: raw,
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
                done.add(Some(seq), "the batch before it is missing");
            }
            next = Some(BatchSeq(seq.0 + 1));
            done.batches += 1;
            done.bytes += (keys.len() + payload.len()) as u64;
            match self.verify_batch(&raw, &keys, &payload, &mut next_sequence, done) {
                Ok(rows) => done.records += rows,
                Err(error) => done.add(Some(seq), in_full(&error)),
            }
        }
        if next.is_some_and(|next| next != BatchSeq(head.0 + 1)) {
            done.add(
                None,
                format!("the last batch is not {head}, as the journal's head says"),
            );
        }
        for stream in Stream::ALL {
            let stored = format::read_stream(&self.conn, &self.path, stream)?;
            if next_sequence
                .get(&stream)
                .is_some_and(|next| *next != stored)
            {
                done.add(
                    None,
                    format!("the next sequence of {stream} is not {stored}, as the journal says"),
                );
            }
        }
        Ok(())
    }

    fn next_raw(&self, after: BatchSeq) -> Result<Option<RawBatch>> {
        let mut statement = self
            .conn
            .prepare_cached(&format!(
                "SELECT {HEAD}, keys, payload FROM batches WHERE seq > ? ORDER BY seq LIMIT 1"
            ))
            .map_err(|source| self.sql(source))?;
        let mut rows = statement
            .query(params![after.to_sql()])
            .map_err(|source| self.sql(source))?;
        let Some(row) = rows.next().map_err(|source| self.sql(source))? else {
            return Ok(None);
        };
        let keys = row.get(14).map_err(|source| self.sql(source))?;
        let payload = row.get(15).map_err(|source| self.sql(source))?;
        Ok(Some(RawBatch {
            head: self.checked_head(row)?,
            keys,
            payload,
        }))
    }

    fn verify_batch(
        &mut self,
        head: &Head,
        keys: &[u8],
        payload: &[u8],
        next_sequence: &mut HashMap<Stream, i64>,
        done: &mut Verification,
    ) -> Result<u64> {
        let meta = self.meta(head)?;
        let records = self.records(head, &meta, payload)?;
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
                format!("its first sequence is not {}", expected.unwrap_or_default()),
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
                    format!("row {row} does not agree with what stands beside the batch"),
                );
            }
        }
        if meta.stream == Stream::Calls {
            let keys = self.checked_keys(head, keys)?;
            let view = CallsView::new(&stored.records).map_err(view_error)?;
            self.verify_calls(&view, &keys, meta, done)?;
        }
        Ok(u64::from(meta.rows))
    }

    fn verify_calls(
        &mut self,
        view: &CallsView<'_>,
        keys: &Keys,
        meta: &BatchMeta,
        done: &mut Verification,
    ) -> Result<()> {
        let mut hasher = FieldHasher::new();
        let mut span: Option<(i64, i64)> = None;
        let revised: HashMap<u16, Place> = keys.revised.iter().copied().collect();
        if keys.rows.len() != view.len() {
            done.add(Some(meta.seq), "it has another number of keys than of rows");
        }
        for (index, (row, key)) in (0u16..=u16::MAX).zip(view.rows().zip(&keys.rows)) {
            if let Some(start) = row.start_time() {
                let (min, max) = span.unwrap_or((start, start));
                span = Some((min.min(start), max.max(start)));
            }
            let fingerprint = row.fingerprint(&mut hasher);
            if key.fingerprint != fingerprint || key.hash != row.id().map_or(fingerprint, id_hash) {
                done.add(
                    Some(meta.seq),
                    format!("the key of row {index} is of another call"),
                );
            }
            match (row.previous(), revised.get(&index)) {
                (None, None) => {}
                (Some(_), Some(place)) => self.verify_revision(&row, *place, meta.seq, done)?,
                _ => done.add(
                    Some(meta.seq),
                    format!("row {index} is a revision in one place only"),
                ),
            }
        }
        if span != meta.span {
            done.add(Some(meta.seq), "the span of its start times is another");
        }
        Ok(())
    }

    /// What a revision says that its call was before has to be so, as long as retention has left it.
    fn verify_revision(
        &mut self,
        row: &CallRow<'_, '_>,
        place: Place,
        seq: BatchSeq,
        done: &mut Verification,
    ) -> Result<()> {
        let Some(before) = self.batch(BatchSeq(place.batch.into()))? else {
            return Ok(());
        };
        let view = CallsView::new(&before.records).map_err(|source| JournalError::View {
            seq: before.meta.seq,
            stream: Stream::Calls,
            source,
        })?;
        let agrees = view.row(usize::from(place.row)).is_some_and(|before| {
            before.id() == row.id() && Some(before.to_previous()) == row.previous()
        });
        if !agrees {
            done.add(
                Some(seq),
                format!(
                    "sequence {} revises a call that was another",
                    row.sequence()
                ),
            );
        }
        Ok(())
    }

    fn verify_rest(&self, done: &mut Verification) {
        let accounts = account::read_all(&self.conn, &self.path);
        match &accounts {
            Ok(accounts) => {
                let mut names = HashSet::new();
                for account in accounts {
                    if !names.insert(&account.name) {
                        done.add(None, format!("account `{}` is there twice", account.name));
                    }
                    for stream in Stream::ALL {
                        if let Err(error) = self.all_latest(account.id, stream) {
                            done.add(None, in_full(&error));
                        }
                    }
                }
            }
            Err(error) => done.add(None, in_full(error)),
        }
        match (self.cursors(), self.head()) {
            (Ok(cursors), Ok(head)) => {
                for cursor in cursors.iter().filter(|cursor| cursor.batch > head) {
                    done.add(
                        None,
                        format!(
                            "output `{}` has acknowledged more than there is",
                            cursor.output
                        ),
                    );
                }
            }
            (Err(error), _) | (_, Err(error)) => done.add(None, in_full(&error)),
        }
        let snapshots = || -> rusqlite::Result<Vec<(i64, Vec<u8>, i64)>> {
            self.conn
                .prepare("SELECT seq, data, checksum FROM snapshots")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        };
        match snapshots() {
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

/// A row of `batches`, not yet unpacked.
struct RawBatch {
    head: Head,
    keys: Vec<u8>,
    payload: Vec<u8>,
}

/// An error with its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
