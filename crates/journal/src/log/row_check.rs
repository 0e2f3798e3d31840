//! Whether the rows of all batches are there, in order and undamaged. Their records are not read.

use callmeter_records::BatchSeq;

use crate::database::connection::Access;
use crate::database::value::values;
use crate::error::Result;
use crate::log::batch_row::COLUMNS;
use crate::log::reader::Reader;

impl Reader {
    /// Checks the rows of all batches. A query that asks for some of them does not find those whose
    /// row or index is damaged: its caller checks this first.
    ///
    /// # Errors
    /// Names the first batch that is damaged or missing.
    pub fn check_rows(&self) -> Result<()> {
        // One consistent state; rolled back when dropped.
        let _snapshot = self
            .conn
            .begin(Access::Read)
            .map_err(|source| self.sql(source))?;
        let query = format!("SELECT {COLUMNS} FROM batches NOT INDEXED ORDER BY seq");
        let mut next: Option<BatchSeq> = None;
        self.for_each_row(&query, values![], |row| {
            let batch = self.checked_row(row)?;
            if let Some(next) = next.filter(|next| *next != batch.seq) {
                return Err(self.corrupt(format!("batch {next} is missing")));
            }
            next = Some(BatchSeq(batch.seq.0 + 1));
            Ok(())
        })?;
        let head = self.head()?;
        match next {
            Some(next) if next.0 != head.0 + 1 => {
                Err(self.corrupt(format!("batch {next} is missing, and its head is {head}")))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a batch comes after another one. In a damaged file a query may find an earlier
    /// one, again and again.
    pub(crate) fn check_order(&self, after: BatchSeq, found: BatchSeq) -> Result<()> {
        if found > after {
            Ok(())
        } else {
            Err(self.corrupt(format!("batch {found} is stored after batch {after}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use callmeter_records::{Call, Reading};
    use rusqlite::Connection;

    use super::*;
    use crate::ingest::options::{PollOptions, Purpose};
    use crate::journal::{Journal, Options};

    #[test]
    fn what_a_query_does_not_find_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let journal = Journal::open(&path, &Options::default()).unwrap();
        for id in ["a", "b", "c"] {
            let options = PollOptions {
                purpose: Purpose::Regular,
                range: 0..10,
                settle: Duration::ZERO,
            };
            let mut session = journal.ingest_session("acme", options).unwrap();
            let mut page = session.page(0..10, 10).unwrap();
            page.add(&Call {
                id: Some(id),
                start_time: Reading::Known(5),
                duration_ms: Reading::Known(0),
                ..Call::default()
            })
            .unwrap();
            page.commit(None).unwrap();
        }
        drop(journal);
        let sound = std::fs::read(&path).unwrap();
        let check = || Reader::open(&path).unwrap().check_rows();
        check().unwrap();
        for (damage, found) in [
            ("UPDATE batches SET stream = 9 WHERE seq = 2", "batch 2 "),
            ("DELETE FROM batches WHERE seq = 2", "batch 2 is missing"),
            ("DELETE FROM batches WHERE seq = 3", "batch 3 is missing"),
        ] {
            let conn = Connection::open(&path).unwrap();
            conn.execute(damage, []).unwrap();
            drop(conn);
            let error = check().unwrap_err().to_string();
            assert!(error.contains(found), "{error}");
            std::fs::write(&path, &sound).unwrap();
        }
        let reader = Reader::open(&path).unwrap();
        reader.check_order(BatchSeq(1), BatchSeq(2)).unwrap();
        assert!(reader.check_order(BatchSeq(2), BatchSeq(2)).is_err());
    }
}
