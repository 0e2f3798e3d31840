//! Snapshots of the totals: at startup only the batches after the last one are replayed.

use callmeter_records::BatchSeq;
use rusqlite::params;

use crate::error::{JournalError, Result};
use crate::journal::Journal;
use crate::log::reader::Reader;
use crate::sqlite::checksum::{self, RowChecksum};

/// How many are kept. If the last one is damaged, the other one is used.
const KEPT: u32 = 2;

impl Reader {
    /// The last intact snapshot, and the last batch that it includes.
    ///
    /// A damaged snapshot is skipped with a warning: an older one, or none, gives the same totals
    /// after a longer replay.
    pub fn latest_snapshot(&self) -> Result<Option<(BatchSeq, Vec<u8>)>> {
        let read = || -> rusqlite::Result<Vec<(i64, Vec<u8>, i64)>> {
            self.conn
                .prepare_cached("SELECT seq, data, checksum FROM snapshots ORDER BY seq DESC")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        };
        for (seq, data, checksum) in read().map_err(|source| self.sql(source))? {
            if snapshot_checksum(seq, &data) == checksum {
                return Ok(Some((BatchSeq::from_sql(seq), data)));
            }
            tracing::warn!(seq, journal = %self.path.display(), "a snapshot of the totals is damaged; using an older one or none");
        }
        Ok(None)
    }
}

impl Journal {
    /// See [`Reader::latest_snapshot`].
    pub fn latest_snapshot(&self) -> Result<Option<(BatchSeq, Vec<u8>)>> {
        self.log.with_reader(|reader| reader.latest_snapshot())
    }

    /// Stores the totals after all batches up to `seq`; the caller encodes them. Retention deletes
    /// only batches that a snapshot includes.
    pub fn store_snapshot(&self, seq: BatchSeq, data: &[u8]) -> Result<()> {
        let mut writer = self.log.writer();
        let path = writer.path.clone();
        writer.transaction("store a snapshot in", |transaction| {
            let sql = |source| JournalError::sqlite(&path, "store a snapshot in", source);
            let seq = seq.to_sql();
            transaction
                .execute(
                    "INSERT OR REPLACE INTO snapshots (seq, data, checksum) VALUES (?, ?, ?)",
                    params![seq, data, snapshot_checksum(seq, data)],
                )
                .map_err(sql)?;
            transaction
                .execute(
                    "DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?)",
                    [KEPT],
                )
                .map_err(sql)?;
            Ok(())
        })?;
        writer.checkpoint_if_due();
        Ok(())
    }
}

pub(crate) fn snapshot_checksum(seq: i64, data: &[u8]) -> i64 {
    RowChecksum::of("snapshots")
        .int(seq)
        .int(checksum::blob(data))
        .finish()
}
