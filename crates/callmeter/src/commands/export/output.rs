//! Where an export goes: to stdout, or to a file that gets its name when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    #[error("cannot write {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} belongs to a journal: name another file for the export", .0.display())]
    Journal(PathBuf),
}

/// Where the records are written to.
pub(super) struct Output {
    to: Box<dyn Write>,
    file: Option<Unfinished>,
}

/// A file under another name. It is removed unless it is finished.
struct Unfinished {
    file: File,
    path: PathBuf,
    partial: PathBuf,
}

impl Output {
    /// Stdout, without a path. `journal` is the file of the journal, if it is in one.
    pub(super) fn open(path: Option<&Path>, journal: Option<&Path>) -> Result<Self, OutputError> {
        let Some(path) = path else {
            return Ok(Self {
                to: Box::new(BufWriter::new(io::stdout().lock())),
                file: None,
            });
        };
        let of = |source| OutputError::Io {
            path: path.to_owned(),
            source,
        };
        let existing = fs::metadata(path).ok();
        if is_of_journal(path, journal) {
            return Err(OutputError::Journal(path.to_owned()));
        }
        if existing
            .as_ref()
            .is_some_and(|existing| !existing.is_file())
        {
            // A pipe or a device.
            let file = OpenOptions::new().write(true).open(path).map_err(of)?;
            return Ok(Self {
                to: Box::new(BufWriter::new(file)),
                file: None,
            });
        }
        // A link stays one.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // Records are private: the file is no more open than the one that it replaces.
        let mode = existing.map_or(0o666, |existing| existing.mode() & 0o777);
        let _none_was_left = fs::remove_file(&partial);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&partial)
            .map_err(of)?;
        let written = file.try_clone().map_err(of)?;
        Ok(Self {
            to: Box::new(BufWriter::new(written)),
            file: Some(Unfinished {
                file,
                path,
                partial,
            }),
        })
    }

    /// Gives the file its name.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.to.flush()?;
        let Some(unfinished) = &self.file else {
            return Ok(());
        };
        unfinished.file.sync_all()?;
        fs::rename(&unfinished.partial, &unfinished.path)?;
        self.file = None;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.file {
            let _removed = fs::remove_file(&unfinished.partial);
        }
    }
}

/// Whether a path is the journal or one of its other files, or has the contents of any journal.
fn is_of_journal(path: &Path, journal: Option<&Path>) -> bool {
    let identity = |path: &Path| {
        fs::metadata(path)
            .ok()
            .map(|about| (about.dev(), about.ino()))
    };
    let mut beside = ["", "-wal", "-shm", ".lock"].iter().filter_map(|end| {
        let mut name = journal?.as_os_str().to_owned();
        name.push(end);
        Some(PathBuf::from(name))
    });
    let is_beside = beside.any(|file| {
        path == file || identity(path).is_some_and(|found| identity(&file) == Some(found))
    });
    let mut start = [0; 16];
    let is_regular = fs::metadata(path).is_ok_and(|about| about.is_file());
    let read =
        is_regular.then(|| File::open(path).and_then(|mut file| file.read_exact(&mut start)));
    is_beside || read.is_some_and(|read| read.is_ok()) && &start == b"SQLite format 3\0"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_that_fails_leaves_the_last_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, journal) = (dir.path().join("calls.csv"), dir.path().join("j.db"));
        let mut output = Output::open(Some(&path), Some(&journal)).unwrap();
        output.write_all(b"first").unwrap();
        assert!(!path.exists());
        output.finish().unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut output = Output::open(Some(&path), Some(&journal)).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        let mut output = Output::open(Some(&path), Some(&journal)).unwrap();
        output.write_all(b"second").unwrap();
        output.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_export_replaces_a_journal() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("j.db");
        fs::write(&journal, b"SQLite format 3\0 and more").unwrap();
        fs::write(dir.path().join("backup"), b"SQLite format 3\0 and more").unwrap();
        fs::write(dir.path().join("j.db-wal"), b"x").unwrap();
        std::os::unix::fs::symlink(&journal, dir.path().join("link")).unwrap();
        for name in [
            "j.db",
            "j.db-wal",
            "j.db-shm",
            "j.db.lock",
            "link",
            "backup",
        ] {
            let output = Output::open(Some(&dir.path().join(name)), Some(&journal));
            assert!(matches!(output, Err(OutputError::Journal(_))), "{name}");
        }
    }
}
