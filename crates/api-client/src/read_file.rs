//! Reads small files within limits of size and time.
//!
//! A pipe without a writer and a network drive that does not respond block whoever reads them. A
//! thread of its own does, so that the caller gets an error instead.

use std::collections::HashSet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time for one file.
const LIMIT: Duration = Duration::from_secs(3);

/// The files whose reading did not end in time and still goes on.
static HANGING: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// Once this many files hang, the next ones get little time: most likely their drive is gone.
const MANY: usize = 8;
const LIMIT_OF_MANY: Duration = Duration::from_millis(100);

fn hanging() -> MutexGuard<'static, HashSet<PathBuf>> {
    // Each change is complete in itself, so a poisoned lock guards valid data.
    HANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The content of a file.
///
/// # Errors
/// If it cannot be read, has more than `most` bytes, or gives nothing for three seconds. While a
/// read of the file hangs, further ones fail at once.
pub fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let limit = {
        let hanging = hanging();
        if hanging.contains(path) {
            return Err(no_response());
        }
        if hanging.len() < MANY {
            LIMIT
        } else {
            LIMIT_OF_MANY
        }
    };
    let (sender, result) = sync_channel(1);
    let read = path.to_owned();
    std::thread::Builder::new()
        .name("read-file".to_owned())
        .stack_size(256 << 10)
        .spawn(move || {
            // Nobody takes the result if it is late.
            let _late = sender.send(read_bounded(&read, most));
            hanging().remove(&read);
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
            hanging.insert(path.to_owned());
            Err(no_response())
        }
    }
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
        while hanging().contains(&pipe) {
            std::thread::yield_now();
        }
        std::fs::remove_file(&pipe).unwrap();
        std::fs::write(&pipe, "secret").unwrap();
        assert_eq!(read_file(&pipe, 10).unwrap(), b"secret");
    }

    #[test]
    fn an_endless_file_is_an_error() {
        let error = read_file(Path::new("/dev/zero"), 1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
