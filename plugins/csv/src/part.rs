//! One file while it is written: whole batches are appended, a failed one is cut off, and the
//! finished file is published.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::{Context as _, CsvError, Result};
use crate::names::PACKED;
use crate::state::{create_private, sibling};

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    file: File,
    /// Bytes of complete batches.
    len: u64,
    /// Bytes known to be on the disk.
    synced: u64,
    /// Part of a batch that failed may follow after `len`.
    torn: bool,
}

impl Part {
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        let file = create_private(&path).on("create", &path)?;
        Ok(Self {
            path,
            file,
            len: 0,
            synced: 0,
            torn: false,
        })
    }

    /// Opens a file of which `bytes` are durable, and cuts off what follows. Returns `None` if the
    /// file is shorter.
    pub(crate) fn reopen(path: PathBuf, bytes: u64) -> Result<Option<(Self, u64)>> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .on("open", &path)?;
        let found = file.metadata().on("look at", &path)?.len();
        let Some(cut) = found.checked_sub(bytes) else {
            return Ok(None);
        };
        if cut > 0 {
            file.set_len(bytes).on("cut", &path)?;
        }
        let part = Self {
            path,
            file,
            len: bytes,
            synced: bytes,
            torn: false,
        };
        Ok(Some((part, cut)))
    }

    /// Bytes of complete batches.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.synced == self.len && !self.torn
    }

    /// Appends all of it or nothing.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match self.file.write_all_at(bytes, self.len) {
            Ok(()) => {
                self.len += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A full disk may refuse even this; the next append writes over it, the next sync
                // cuts it.
                self.torn = self.file.set_len(self.len).is_err();
                Err(error).on("write", &self.path)
            }
        }
    }

    /// Makes what was appended durable.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if self.is_synced() {
            return Ok(());
        }
        if self.file.metadata().on("look at", &self.path)?.nlink() == 0 {
            return Err(CsvError::Removed {
                path: self.path.clone(),
            });
        }
        if self.torn {
            self.file.set_len(self.len).on("cut", &self.path)?;
            self.torn = false;
        }
        self.file.sync_data().map_err(|source| CsvError::Sync {
            path: self.path.clone(),
            source,
        })?;
        self.synced = self.len;
        Ok(())
    }
}

/// Gives a finished file its name. Returns false, and does nothing, if the name is taken.
pub(crate) fn publish(from: &Path, to: &Path) -> Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        // File systems without the flag: look first. Only this output uses such names.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if to.try_exists().on("look at", to)? {
                return Ok(false);
            }
            fs::rename(from, to).on("rename", from).map(|()| true)
        }
        Err(error) => Err(error).on("rename", from),
    }
}

/// Compresses a finished file into a new one, durably. Returns the path of the new file.
pub(crate) fn pack(from: &Path) -> Result<PathBuf> {
    let packed = sibling(from, PACKED);
    let mut source = File::open(from).on("open", from)?;
    let target = create_private(&packed).on("create", &packed)?;
    let mut encoder = GzEncoder::new(io::BufWriter::new(target), Compression::default());
    io::copy(&mut source, &mut encoder).on("pack", from)?;
    let finished = encoder.finish().and_then(|buffered| {
        let file = buffered
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    });
    finished.on("pack", from)?;
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_durable_bytes_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let mut part = Part::create(path.clone()).unwrap();
        part.append(b"a,b\r\n").unwrap();
        part.sync().unwrap();
        part.append(b"c,\"torn").unwrap();
        drop(part);
        let (mut part, cut) = Part::reopen(path.clone(), 5).unwrap().unwrap();
        assert_eq!(cut, 7);
        part.append(b"c,d\r\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"a,b\r\nc,d\r\n");
        assert!(Part::reopen(path, 11).unwrap().is_none());
    }

    #[test]
    fn a_full_disk_leaves_no_part_of_a_batch() {
        // A device that is always full.
        let mut part = Part {
            path: "/dev/full".into(),
            file: File::options().write(true).open("/dev/full").unwrap(),
            len: 0,
            synced: 0,
            torn: false,
        };
        let error = part.append(b"a").unwrap_err();
        assert!(callmeter_plugin_sdk::Fail::from(error).is_retry());
        assert_eq!(part.len(), 0);
    }

    #[test]
    fn a_removed_file_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let mut part = Part::create(path.clone()).unwrap();
        part.append(b"a").unwrap();
        fs::remove_file(path).unwrap();
        assert!(matches!(part.sync(), Err(CsvError::Removed { .. })));
    }

    #[test]
    fn publishing_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        assert!(!publish(&from, &to).unwrap());
        fs::remove_file(&to).unwrap();
        assert!(publish(&from, &to).unwrap());
        assert_eq!(fs::read_to_string(&to).unwrap(), "new");
    }
}
