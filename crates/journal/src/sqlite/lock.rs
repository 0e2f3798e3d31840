//! The lock that only one process can have: on a file beside the journal, released by the system
//! when the process ends.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::error::{JournalError, Result};

/// The holder may be about to exit. A child process has the lock too, until it executes its own
/// program.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// Releases the lock when dropped. The file is not removed: two processes could then lock different
/// files.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Acquires the lock of the journal at `path`. The error names the process that has it.
    pub(crate) fn acquire(path: &Path) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(lock_path(path))
            .map_err(|source| JournalError::io(path, "open the lock of", source))?;
        let mut tries = 0;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(PAUSE);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(JournalError::Locked {
                        journal: path.into(),
                        holder: holder(&mut file),
                    });
                }
                Err(source) => return Err(JournalError::io(path, "lock", source.into())),
            }
        }
        // Only for the error message of a second process.
        if let Err(error) = note_holder(&mut file) {
            tracing::debug!(%error, path = %path.display(), "cannot write the process id to the lock file");
        }
        Ok(Self { _file: file })
    }
}

impl Lock {
    /// Who has locked the journal at `path`; `None` if nobody has, or it cannot be told.
    pub(crate) fn holder_of(path: &Path) -> Option<String> {
        let mut file = File::open(lock_path(path)).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = holder(&mut file);
                let name = holder.trim().trim_matches(['(', ')']);
                Some(if name.is_empty() { "a process" } else { name }.to_owned())
            }
            _ => None,
        }
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn note_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(process)) => format!(" (process {process})"),
        _ => String::new(),
    }
}
