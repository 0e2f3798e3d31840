//! Copies a journal into a file while another process writes to it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection as SqliteConnection;
use rusqlite::backup::{Backup, StepResult};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::database::connection::{Access, Engine};
use crate::error::{JournalError, Result};
use crate::location::Location;
use crate::log::reader::Reader;

/// Pages that are copied between two reports: 4 MB.
const STEP: i32 = 1000;

/// What a backup contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackedUp {
    /// The last batch in it.
    pub head: callmeter_records::BatchSeq,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Reader {
    /// Copies the journal, as it is now, into the new file `to`. `progress` gets the pages that are
    /// copied and all pages.
    ///
    /// The file has its name only when it is complete and on the disk. Nothing is replaced.
    ///
    /// # Errors
    /// If `to` exists or cannot be written, or the journal cannot be read.
    pub fn backup(&self, to: &Path, mut progress: impl FnMut(u64, u64)) -> Result<BackedUp> {
        if to.symlink_metadata().is_ok() {
            return Err(JournalError::BackupExists {
                path: to.to_owned(),
            });
        }
        let Engine::Sqlite(sqlite) = self.conn.engine() else {
            return Err(JournalError::NoBackup {
                journal: self.location().clone(),
            });
        };
        let partial = Partial::create(to)?;
        // One state of the journal for the whole copy: what is committed meanwhile does not start
        // it over.
        let _state = self
            .conn
            .begin(Access::Read)
            .map_err(|source| self.sql(source))?;
        let head = self.head()?;
        copy_into(&sqlite.conn, &partial.0, &mut progress)?;
        let bytes = partial.finish(to)?;
        Ok(BackedUp { head, bytes })
    }
}

fn copy_into(
    journal: &SqliteConnection,
    file: &Path,
    progress: &mut impl FnMut(u64, u64),
) -> Result<()> {
    let location = Location::from(file);
    let write = |source: rusqlite::Error| {
        JournalError::database(&location, "write a backup to", source.into())
    };
    let mut copy = SqliteConnection::open(file).map_err(write)?;
    copy.pragma_update(None, "synchronous", "FULL")
        .map_err(write)?;
    let backup = Backup::new(journal, &mut copy).map_err(write)?;
    loop {
        let step = backup.step(STEP).map_err(write)?;
        let pages = backup.progress();
        let [left, all] = [pages.remaining, pages.pagecount].map(i32::unsigned_abs);
        progress(u64::from(all.saturating_sub(left)), u64::from(all));
        match step {
            StepResult::Done => return Ok(()),
            // Another process recovers the journal. It takes moments.
            StepResult::Busy | StepResult::Locked => {
                std::thread::sleep(Duration::from_millis(50));
            }
            _ => {}
        }
    }
}

/// An unfinished backup, which is removed when it is dropped.
struct Partial(PathBuf);

impl Partial {
    /// Creates it beside the file that it becomes. Only its owner may read it: the journal has
    /// personal data.
    fn create(to: &Path) -> Result<Self> {
        let mut name = to.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| JournalError::io(&path, "create the backup", source))?;
        Ok(Self(path))
    }

    /// Gives it its name, which must be free; returns its size.
    fn finish(self, to: &Path) -> Result<u64> {
        let io = |source| JournalError::io(to, "write the backup", source);
        let file = File::open(&self.0).map_err(io)?;
        file.sync_all().map_err(io)?;
        match renameat_with(CWD, &self.0, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => {
                return Err(JournalError::BackupExists {
                    path: to.to_owned(),
                });
            }
            Err(source) => return Err(io(source.into())),
        }
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))
            .and_then(|directory| directory.sync_all())
            .map_err(io)?;
        Ok(file.metadata().map_err(io)?.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a success there is none.
        let _gone = std::fs::remove_file(&self.0);
    }
}
