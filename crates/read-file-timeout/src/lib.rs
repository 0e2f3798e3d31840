#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The time for one file.
const LIMIT: Duration = Duration::from_secs(3);

/// The reads that did not end in time and still go on, by path.
static HANGING: LazyLock<Mutex<HashMap<PathBuf, Vec<Hanging>>>> = LazyLock::new(Mutex::default);

/// Once this many files hang, the next ones get little time: most likely their drive is gone.
const MANY: usize = 8;
const LIMIT_OF_MANY: Duration = Duration::from_millis(100);

/// This many reads of one path may hang before the next one has to wait.
const FREE_READS: usize = 4;

/// Which file a read found at its path; not set while the file system does not say.
type Found = Arc<OnceLock<(u64, u64)>>;

struct Hanging {
    found: Found,
    since: Instant,
}

fn hanging() -> MutexGuard<'static, HashMap<PathBuf, Vec<Hanging>>> {
    // Each change is complete in itself, so a poisoned lock guards valid data.
    HANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The content of a file.
///
/// # Errors
/// If it cannot be read, has more than `most` bytes, or gives nothing for three seconds. While a
/// read of the file hangs, further ones fail at once, unless the path leads to another file by
/// then.
pub fn read_file(path: impl AsRef<Path>, most: u64) -> io::Result<Vec<u8>> {
    read(path.as_ref(), most)
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let limit = {
        let hanging = hanging();
        if hanging.get(path).is_some_and(|reads| must_wait(reads)) {
            return Err(no_response());
        }
        if hanging.len() < MANY {
            LIMIT
        } else {
            LIMIT_OF_MANY
        }
    };
    let (sender, result) = sync_channel(1);
    let found = Found::default();
    let (read, finds) = (path.to_owned(), Arc::clone(&found));
    std::thread::Builder::new()
        .name("read-file".to_owned())
        .stack_size(256 << 10)
        .spawn(move || {
            // Nobody takes the result if it is late.
            let _late = sender.send(read_found(&read, most, &finds));
            ended(&read, &finds);
        })?;
    match result.recv_timeout(limit) {
        Ok(content) => content,
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the reading thread failed")),
        Err(RecvTimeoutError::Timeout) => {
            let mut hanging = hanging();
            // The result may have come between the two.
            if let Ok(content) = result.try_recv() {
                return content;
            }
            let since = Instant::now();
            let reads = hanging.entry(path.to_owned()).or_default();
            reads.push(Hanging { found, since });
            Err(no_response())
        }
    }
}

/// Each read that hangs keeps a thread. So the next one waits if the drive does not even say which
/// file it is, or if many files have hung here. It waits twice as long each time.
fn must_wait(reads: &[Hanging]) -> bool {
    let unknown = reads.iter().any(|read| read.found.get().is_none());
    let exponent = u32::try_from(reads.len()).unwrap_or(u32::MAX);
    let wait = LIMIT.saturating_mul(2_u32.saturating_pow(exponent));
    let waited = |last: &Hanging| last.since.elapsed() >= wait;
    (unknown || reads.len() >= FREE_READS) && !reads.last().is_none_or(waited)
}

/// Removes a read that hangs no longer.
fn ended(path: &Path, found: &Found) {
    let mut hanging = hanging();
    if let Some(reads) = hanging.get_mut(path) {
        reads.retain(|read| !Arc::ptr_eq(&read.found, found));
        if reads.is_empty() {
            hanging.remove(path);
        }
    }
}

/// Reads the file, unless a read of the same file hangs.
fn read_found(path: &Path, most: u64, found: &Found) -> io::Result<Vec<u8>> {
    // A file that hangs keeps its number, because its reader has it open.
    let identity = |file: &Metadata| (file.dev(), file.ino());
    let file = identity(&std::fs::metadata(path)?);
    let same = |read: &Hanging| read.found.get() == Some(&file);
    if hanging()
        .get(path)
        .is_some_and(|reads| reads.iter().any(same))
    {
        return Err(no_response());
    }
    let _first = found.set(file);
    read_bounded(path, most)
}

fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(most.saturating_add(1))
        .read_to_end(&mut content)?;
    if content.len() as u64 > most {
        let text = format!("it has more than {most} bytes: is it the right file?");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(content)
}

fn no_response() -> io::Error {
    let text = "reading it takes too long: is it a pipe, or on a drive that does not respond?";
    io::Error::new(io::ErrorKind::TimedOut, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_without_a_writer_is_an_error_until_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for _ in 0..2 {
            let error = read_file(&pipe, 10).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        // The reader that hangs gets this, and the file can be read again.
        std::fs::write(&pipe, "late").unwrap();
        while hanging().contains_key(&pipe) {
            std::thread::yield_now();
        }
        std::fs::remove_file(&pipe).unwrap();
        std::fs::write(&pipe, "secret").unwrap();
        assert_eq!(read_file(&pipe, 10).unwrap(), b"secret");
    }

    #[test]
    fn a_file_that_replaces_one_that_hangs_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("web.yml");
        for content in ["first", "second"] {
            let other = directory.path().join("other");
            let made = std::process::Command::new("mkfifo").arg(&other).status();
            assert!(made.unwrap().success());
            std::fs::rename(&other, &pipe).unwrap();
            assert!(read_file(&pipe, 10).is_err());
            std::fs::write(&other, content).unwrap();
            std::fs::rename(&other, &pipe).unwrap();
            assert_eq!(read_file(&pipe, 10).unwrap(), content.as_bytes());
        }
        assert_eq!(hanging()[&pipe].len(), 2);
    }

    #[test]
    fn reads_that_hang_do_not_keep_more_and_more_threads() {
        let read = |known: bool, seconds: u64| Hanging {
            found: Arc::new(if known {
                OnceLock::from((1, 1))
            } else {
                OnceLock::new()
            }),
            since: Instant::now()
                .checked_sub(Duration::from_secs(seconds))
                .unwrap(),
        };
        let waits = |known, seconds, count: usize| {
            let reads: Vec<Hanging> = (0..count).map(|_| read(known, seconds)).collect();
            must_wait(&reads)
        };
        assert!(!waits(true, 0, FREE_READS - 1));
        assert!(waits(true, 0, FREE_READS));
        assert!(waits(false, 0, 1));
        assert!(!waits(false, 10, 1));
        assert!(waits(false, 10, 2));
    }

    #[test]
    fn an_endless_file_is_an_error() {
        let error = read_file("/dev/zero", 1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
