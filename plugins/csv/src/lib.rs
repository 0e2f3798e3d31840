//! callmeter's CSV output: one file per stream and day, for spreadsheets, databases and archives.
//!
//! A file is named `calls-2026-08-06.csv.partial` while it is written and renamed when it is
//! finished, so that another program can take every `*.csv` that it finds. What a flush made
//! durable is never written twice: a state file records how much of each file is durable and which
//! batches that includes. After a crash the rest is cut off and sent again.
//!
//! Text is quoted as RFC 4180 says, with CR LF at the end of a row and a header of the columns'
//! names. Missing values are empty cells, the empty text is `""`, times are RFC 3339 in UTC, lists
//! and structs are JSON. Columns keep their order; a new one goes last, in a new file. A file
//! belongs to the day, by UTC, in which callmeter observed its records.

mod archive;
mod cell;
mod config;
mod error;
mod names;
mod part;
mod state;

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use callmeter_plugin_sdk::{Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin};

use crate::archive::Archive;
pub use crate::config::{Bytes, Compress, Config, Rotate};

/// Time between two checks for files whose day is over.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// The output.
#[derive(Debug)]
pub struct CsvOutput {
    archive: Arc<Mutex<Archive>>,
    /// Finishes files of days that are over when no record comes. Ends when the sender is dropped.
    caretaker: Option<(Sender<()>, JoinHandle<()>)>,
}

impl OutputPlugin for CsvOutput {
    const NAME: &'static str = "csv";
    const CONFIG_SCHEMA: Option<&'static str> = Some(config::SCHEMA);
    type Config = Config;

    fn create(host: Host, config: Config) -> Result<Self, Fatal> {
        let archive = Arc::new(Mutex::new(Archive::open(host.clone(), &config)?));
        let (stop, stopped) = mpsc::channel();
        let watched = Arc::clone(&archive);
        let thread = std::thread::Builder::new()
            .name("callmeter-csv".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                    if let Err(error) = lock(&watched).finish_overdue(archive::now()) {
                        host.warn(format_args!("{error}; tried again later"));
                    }
                }
            })?;
        Ok(Self {
            archive,
            caretaker: Some((stop, thread)),
        })
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        Ok(lock(&self.archive).write(&batch)?)
    }

    fn flush(&mut self, _: Deadline) -> Result<Durable, Fail> {
        lock(&self.archive).flush()?;
        Ok(Durable::All)
    }
}

impl Drop for CsvOutput {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.caretaker.take() {
            drop(stop);
            // A panic of the thread was already printed to stderr.
            let _ = thread.join();
        }
    }
}

/// A panic while the lock is held ends the instance, through the SDK's guard, or the caretaker. The
/// files stay valid in either case.
fn lock(archive: &Mutex<Archive>) -> MutexGuard<'_, Archive> {
    archive.lock().unwrap_or_else(PoisonError::into_inner)
}

callmeter_plugin_sdk::export!(CsvOutput);

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
