//! How many bytes a journal takes while retention deletes from it.

use crate::database::connection::{Connection, REST_OF_A_ROW};
use crate::database::error::DatabaseResult;

/// The bytes of a journal during one run of retention.
///
/// A file knows its size. A server has to add up all rows, which is done once in a run, and only if
/// the limit may be reached: what is stored takes no more than the files do. After that, what is
/// deleted is subtracted.
pub(super) struct Room {
    max_bytes: Option<u64>,
    /// What is stored on a server.
    stored: Option<u64>,
}

impl Room {
    /// `max_bytes`: the limit, if there is one.
    pub(super) fn new(max_bytes: Option<u64>) -> Self {
        Self {
            max_bytes,
            stored: None,
        }
    }

    /// Bytes that the journal takes.
    pub(super) fn used(&mut self, conn: &Connection) -> DatabaseResult<u64> {
        if let Some(stored) = self.stored {
            return Ok(stored);
        }
        let Some(files) = conn.server_file_bytes()? else {
            return conn.used_bytes();
        };
        let may_exceed = self.max_bytes.is_some_and(|max| files > max);
        let stored = if may_exceed {
            conn.used_bytes()?
        } else {
            files
        };
        self.stored = Some(stored);
        Ok(stored)
    }

    /// Subtracts rows that are deleted, each with the bytes of its contents.
    pub(super) fn gain(&mut self, rows: impl Iterator<Item = u64>) {
        if let Some(stored) = &mut self.stored {
            let gained = rows.map(|bytes| bytes + REST_OF_A_ROW).sum();
            *stored = stored.saturating_sub(gained);
        }
    }
}
