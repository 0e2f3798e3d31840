//! Snapshots of the totals: at startup only the batches after the last one are replayed.

use callmeter_records::BatchSeq;

use crate::checksum::{self, RowChecksum};
use crate::database::upsert::upsert;
use crate::database::value::values;
use crate::error::Result;
use crate::journal::Journal;
use crate::leases::names::JOURNAL_LEASE;
use crate::log::reader::Reader;

/// How many are kept. If the last one is damaged, the other one is used.
const KEPT: u32 = 2;

const STORE: &str = "store a snapshot in";

impl Reader {
    /// The last intact snapshot, and the last batch that it includes.
    ///
    /// A damaged snapshot is skipped with a warning: an older one, or none, gives the same totals
    /// after a longer replay.
    pub fn latest_snapshot(&self) -> Result<Option<(BatchSeq, Vec<u8>)>> {
        let snapshots: Vec<(i64, Vec<u8>, i64)> = self
            .conn
            .all(
                "SELECT seq, data, checksum FROM snapshots ORDER BY seq DESC",
                values![],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(|source| self.sql(source))?;
        for (seq, data, checksum) in snapshots {
            if snapshot_checksum(seq, &data) == checksum {
                return Ok(Some((BatchSeq::from_sql(seq), data)));
            }
            tracing::warn!(seq, journal = %self.location(), "a snapshot of the totals is damaged; using an older one or none");
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
        let fence = self.log.fence(|| JOURNAL_LEASE.to_owned());
        let mut writer = self.log.writer();
        writer.transaction(STORE, &fence, |transaction, _| {
            let sql = |source| transaction.failed(STORE, source);
            let seq = seq.to_sql();
            transaction
                .execute(
                    upsert!("snapshots" ("seq") "data"),
                    values![seq, data, snapshot_checksum(seq, data)],
                )
                .map_err(sql)?;
            transaction
                .execute(
                    "DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?)",
                    values![KEPT],
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
