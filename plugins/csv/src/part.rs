//! One file while it is written: whole batches are appended, a failed one is cut off, and the
//! finished file is published.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::error::{Context as _, CsvError, Result};
use crate::state::{OpenFile, create_new, inode_at, open_file, sibling};

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    file: File,
    inode: u64,
    /// Bytes of complete batches.
    len: u64,
    /// Bytes known to be on the disk.
    synced: u64,
    /// Part of a batch that failed may follow after `len`.
    torn: bool,
}

/// What is found where the state has a file.
#[derive(Debug)]
pub(crate) enum Reopened {
    /// Our file, and how many bytes were cut off because they were not durable.
    Ours(Part, u64),
    /// Our file, but it has fewer bytes than were durable.
    Short(u64),
    /// Something that this output did not write.
    Foreign,
    /// Nothing.
    Missing,
}

impl Part {
    /// Creates a file. Fails if there is something of the name.
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        let file = match create_new(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(CsvError::Foreign { path });
            }
            Err(error) => return Err(error).on("create", &path),
        };
        let inode = file.metadata().on("look at", &path)?.ino();
        Ok(Self {
            path,
            file,
            inode,
            len: 0,
            synced: 0,
            torn: false,
        })
    }

    /// Opens the file of the state, and cuts off what is not durable if the file is ours. It is
    /// ours if it is the same file and begins with the header. A copy of it is ours too if it has
    /// exactly the durable bytes, so that nothing needs to be cut.
    pub(crate) fn reopen(
        path: PathBuf,
        open: &OpenFile,
        header: &[u8],
        legacy: bool,
    ) -> Result<Reopened> {
        if inode_at(&path)?.is_none() {
            return Ok(Reopened::Missing);
        }
        let Some(file) = open_file(&path)? else {
            return Ok(Reopened::Foreign);
        };
        let about = file.metadata().on("look at", &path)?;
        let (found, inode) = (about.len(), about.ino());
        let same = match open.inode {
            Some(known) => known == inode,
            // Between two steps of its creation, a file is empty.
            None => legacy || found == 0,
        };
        let exact = open.bytes > 0 && found == open.bytes;
        if !same && !exact {
            return Ok(Reopened::Foreign);
        }
        if found < open.bytes {
            return Ok(Reopened::Short(found));
        }
        if open.bytes > 0 {
            let mut start = vec![0; header.len()];
            let read = file.read_exact_at(&mut start, 0);
            if read.is_err() || start != header {
                return Ok(Reopened::Foreign);
            }
        }
        let cut = found - open.bytes;
        if cut > 0 {
            file.set_len(open.bytes).on("cut", &path)?;
        }
        let part = Self {
            path,
            file,
            inode,
            len: open.bytes,
            synced: open.bytes,
            torn: false,
        };
        Ok(Reopened::Ours(part, cut))
    }

    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// Fails if another program has removed, moved, cut or extended the file.
    fn check(&self) -> Result<()> {
        let about = self.file.metadata().on("look at", &self.path)?;
        if about.nlink() == 0 {
            return Err(CsvError::Removed {
                path: self.path.clone(),
            });
        }
        let found = about.len();
        let is_whole = found == self.len || self.torn && found > self.len;
        if inode_at(&self.path)? != Some(self.inode) {
            if is_whole {
                // What is not durable is sent again, and goes to another file.
                self.file.set_len(self.synced).on("cut", &self.path)?;
            }
            return Err(CsvError::Moved {
                path: self.path.clone(),
            });
        }
        if is_whole {
            Ok(())
        } else {
            Err(CsvError::Changed {
                path: self.path.clone(),
                found,
                written: self.len,
            })
        }
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
        self.check()?;
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
        self.check()?;
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

/// Moves our file out of the way, under a name that nothing has. Returns the new path.
pub(crate) fn move_aside(path: &Path) -> Result<PathBuf> {
    for number in 1_u32.. {
        let suffix = match number {
            1 => ".damaged".to_owned(),
            number => format!(".damaged.{number}"),
        };
        let aside = sibling(path, &suffix);
        if publish(path, &aside)? {
            return Ok(aside);
        }
    }
    Ok(path.to_owned())
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
        let part_inode = part.inode();
        drop(part);
        let mut open = OpenFile {
            name: "a".into(),
            bytes: 5,
            becomes: None,
            inode: Some(part_inode),
        };
        let reopen = |open: &OpenFile| Part::reopen(path.clone(), open, b"a,b\r\n", false).unwrap();
        let Reopened::Ours(mut part, 7) = reopen(&open) else {
            unreachable!()
        };
        part.append(b"c,d\r\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"a,b\r\nc,d\r\n");
        open.bytes = 11;
        assert!(matches!(reopen(&open), Reopened::Short(10)));
    }

    #[test]
    fn a_full_disk_leaves_no_part_of_a_batch() {
        // A device that is always full.
        let mut part = Part {
            path: "/dev/full".into(),
            file: File::options().write(true).open("/dev/full").unwrap(),
            inode: fs::metadata("/dev/full").unwrap().ino(),
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
