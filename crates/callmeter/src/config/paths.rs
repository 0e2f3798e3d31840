//! Whether the files and directories that callmeter writes can be where the configuration says.
//! Looks at them and changes nothing.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// What is wrong with a path, and what to do.
pub(crate) type Refusal = (String, String);

/// Whether a journal can be there. The directory is not created: if a disk is not mounted, an empty
/// journal would begin in its place.
pub(super) fn usable_journal(path: &Path) -> Result<(), Refusal> {
    let name_a_file = |what: &str| {
        let message = format!("{} is {what}", path.display());
        (
            message,
            "name a file in a directory, such as journal.db".to_owned(),
        )
    };
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(name_a_file("a directory"));
    }
    match look(path)? {
        Some(about) if about.is_dir() => Err(name_a_file("a directory")),
        Some(about) if !about.is_file() => Err(name_a_file(kind(&about))),
        Some(_) => Ok(()),
        None => {
            let directory = match path.parent() {
                Some(directory) if !directory.as_os_str().is_empty() => directory,
                _ => Path::new("."),
            };
            if !directory.is_dir() {
                let directory = directory.display();
                let message = format!("there is no directory {directory}");
                return Err((
                    message,
                    format!("create it, such as by mkdir -p {directory}"),
                ));
            }
            can_hold(directory)
        }
    }
}

/// Whether a directory is there or can be created.
pub(super) fn usable_directory(path: &Path) -> Result<(), Refusal> {
    let mut existing = path;
    loop {
        match look(existing)? {
            Some(about) if about.is_dir() => return can_hold(existing),
            Some(_) => {
                let message = format!("{} is no directory", existing.display());
                return Err((message, "name a directory".to_owned()));
            }
            None => match existing.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => existing = parent,
                _ => return Ok(()),
            },
        }
    }
}

/// What is there; `None` if nothing is.
fn look(path: &Path) -> Result<Option<fs::Metadata>, Refusal> {
    match fs::metadata(path) {
        Ok(about) => Ok(Some(about)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let hint = match error.kind() {
                io::ErrorKind::InvalidInput => "remove the NUL byte",
                io::ErrorKind::InvalidFilename => "choose a shorter name",
                io::ErrorKind::NotADirectory => "a part of the path is a file; name a directory",
                _ => "correct the path, or let callmeter read the directory",
            };
            // With escapes, because a name may have bytes that no terminal shows.
            let path = path.display().to_string();
            Err((format!("cannot use {path:?}: {error}"), hint.to_owned()))
        }
    }
}

fn kind(about: &fs::Metadata) -> &'static str {
    let kind = about.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "no regular file"
    }
}

/// Whether files can be created in a directory that is there. The kernel's own file systems take
/// none.
fn can_hold(directory: &Path) -> Result<(), Refusal> {
    let real = directory.canonicalize().unwrap_or(directory.to_path_buf());
    let kernel = ["/proc", "/sys"].into_iter();
    for root in kernel {
        if real.starts_with(root) {
            let message = format!("no file can be created in {}", directory.display());
            return Err((message, "name a directory on a disk".to_owned()));
        }
    }
    Ok(())
}

/// The parts of an SQLite file that tell whose it is: the text that it begins with, the id of its
/// application, the number of its tables and indices.
const SQLITE: &[u8] = b"SQLite format 3\0";
const APPLICATION: Range<usize> = 68..72;
const TABLES: Range<usize> = 103..105;

/// Whether the file, if there is one, is a journal or empty. Reads its first bytes only.
///
/// Not for a process that has the journal open: to close a file ends SQLite's locks on it.
pub(crate) fn holds_no_other_file(journal: &Path) -> Result<(), Refusal> {
    let mut head = Vec::new();
    match File::open(journal).and_then(|file| file.take(200).read_to_end(&mut head)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let message = format!("cannot read {}: {error}", journal.display());
            return Err((message, "let callmeter read and write it".to_owned()));
        }
    }
    let id = callmeter_journal::APPLICATION_ID.to_be_bytes();
    let is_ours = head.get(APPLICATION) == Some(&id);
    // While a journal is created, all of it may be in the log beside the file.
    let is_new = head.get(APPLICATION) == Some(&[0; 4])
        && (head.get(TABLES) == Some(&[0; 2]) || with_suffix(journal, "-wal").exists());
    if head.is_empty() || (head.starts_with(SQLITE) && (is_ours || is_new)) {
        return Ok(());
    }
    let message = format!("{} is another file, not a journal", journal.display());
    Err((message, "name a new file, or move that one away".to_owned()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_refused_where_it_cannot_be() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        fs::write(file("c.yml"), "accounts: []\n").unwrap();
        // Most databases of other programs have no id.
        let mut other = [1_u8; 200];
        other[..16].copy_from_slice(SQLITE);
        other[APPLICATION].fill(0);
        fs::write(file("other.db"), other).unwrap();
        fs::write(file("empty.db"), "").unwrap();
        let options = callmeter_journal::Options::default();
        let journal = callmeter_journal::Journal::open(file("journal.db"), &options).unwrap();
        let refusal = |path: &Path| usable_journal(path).and_then(|()| holds_no_other_file(path));
        for name in ["new.db", "empty.db", "journal.db"] {
            assert_eq!(refusal(&file(name)), Ok(()), "{name}");
        }
        drop(journal);
        assert_eq!(refusal(&file("journal.db")), Ok(()));
        let long = "x".repeat(300);
        let refused = [
            "/dev/null",
            "/proc/journal.db",
            "/sys/kernel/journal.db",
            "journal.db/",
            "c.yml/journal.db",
            "missing/journal.db",
            "a\0b",
            &long,
            "c.yml",
            "other.db",
            ".",
        ];
        let mut messages = String::new();
        for name in refused {
            let (message, hint) = refusal(&file(name)).unwrap_err();
            messages.extend([message, "; ".to_owned(), hint, "\n".to_owned()]);
        }
        let messages = messages
            .replace(directory.path().to_str().unwrap(), "DIR")
            .replace(&long, "xxx");
        insta::assert_snapshot!(messages);
    }

    #[test]
    fn dead_letters_are_refused_where_no_directory_can_be() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        fs::write(file("c.yml"), "accounts: []\n").unwrap();
        for name in ["", "new", "new/below/it"] {
            assert_eq!(usable_directory(&file(name)), Ok(()), "{name}");
        }
        for name in [
            "c.yml",
            "c.yml/letters",
            "/dev/null",
            "/proc/letters",
            "a\0b",
        ] {
            assert!(usable_directory(&file(name)).is_err(), "{name:?}");
        }
    }
}
