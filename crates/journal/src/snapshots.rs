//! Snapshots of the totals, so that a start does not replay the whole journal.

use rusqlite::params;

use crate::checksum::RowChecksum;
use crate::error::{JournalError, Result};
use crate::reader::Reader;
use crate::{BatchSeq, Journal};

/// How many are kept: the one before the last is the way back if the last is damaged.
const KEPT: u32 = 2;

impl Reader {
    /// The last snapshot that is whole, and the batch up to which it counts.
    ///
    /// A damaged one is passed over with a warning: an older one, or none, gives the same totals after a longer replay.
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
            tracing::warn!(seq, journal = %self.path.display(), "a snapshot of the totals is damaged and not used");
        }
        Ok(None)
    }
}

impl Journal {
    /// Stores the totals after all batches up to `seq`, as the caller encodes them. Retention drops no batch that no
    /// snapshot counts.
    pub fn store_snapshot(&self, seq: BatchSeq, data: &[u8]) -> Result<()> {
        let mut writer = self.writer();
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
        .int(crate::checksum::blob(data))
        .finish()
}
