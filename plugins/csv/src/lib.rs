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
mod finish;
mod fixed;
mod names;
mod objects;
mod packing;
mod part;
mod place_check;
mod rows;
mod state;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use callmeter_plugin_sdk::{Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin};

use crate::archive::{Archive, Message, OpenError};
pub use crate::config::{Bytes, Compress, Config, Rotate};
use crate::error::CsvError;
use crate::packing::pack_next;

/// Time between two looks for something to do.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// The output.
#[derive(Debug)]
pub struct CsvOutput {
    files: Files,
    archive: Arc<Mutex<Option<Archive>>>,
    caretaker: Option<(Sender<Message>, JoinHandle<()>)>,
}

impl OutputPlugin for CsvOutput {
    const NAME: &'static str = "csv";
    const CONFIG_SCHEMA: Option<&'static str> = Some(config::SCHEMA);
    type Config = Config;

    fn check(config: &Config) -> Result<(), Fatal> {
        place_check::check(&config.place()?)?;
        Ok(())
    }

    fn create(host: Host, config: Config) -> Result<Self, Fatal> {
        let (sender, messages) = mpsc::channel();
        let files = Files {
            host,
            config,
            wake: sender.clone(),
        };
        let archive = match files.open() {
            Ok(archive) => {
                // Files may wait since the last stop. The receiver is in this function.
                let _ = sender.send(Message::Work);
                Some(archive)
            }
            // During a reload the instance that this one replaces still has the files.
            Err(OpenError::Csv(CsvError::Locked { .. })) => None,
            Err(error) => return Err(error.into()),
        };
        let archive = Arc::new(Mutex::new(archive));
        let (watched, caretakers) = (Arc::clone(&archive), files.clone());
        let thread = std::thread::Builder::new()
            .name("callmeter-csv".to_owned())
            .spawn(move || caretaker(&watched, &messages, &caretakers))?;
        Ok(Self {
            files,
            archive,
            caretaker: Some((sender, thread)),
        })
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        let mut archive = lock(&self.archive);
        let archive = self.files.opened(&mut archive).map_err(open_failed)?;
        Ok(archive.write(&batch)?)
    }

    fn flush(&mut self, _: Deadline) -> Result<Durable, Fail> {
        // Without open files, no batch was accepted.
        if let Some(archive) = lock(&self.archive).as_mut() {
            archive.flush()?;
        }
        Ok(Durable::All)
    }
}

/// Opens the files of an output.
#[derive(Debug, Clone)]
struct Files {
    host: Host,
    config: Config,
    /// Wakes the caretaker.
    wake: Sender<Message>,
}

impl Files {
    fn open(&self) -> Result<Archive, OpenError> {
        let mut archive = Archive::open(self.host.clone(), &self.config)?;
        archive.wake = Some(self.wake.clone());
        Ok(archive)
    }

    /// The open files; opens them first if that was not possible before.
    fn opened<'a>(&self, archive: &'a mut Option<Archive>) -> Result<&'a mut Archive, OpenError> {
        let opened = match archive.take() {
            Some(opened) => opened,
            None => self.open()?,
        };
        Ok(archive.insert(opened))
    }
}

/// A panic while the lock is held ends the instance, through the SDK's guard, or the caretaker. The
/// files stay valid in either case.
fn lock(archive: &Mutex<Option<Archive>>) -> MutexGuard<'_, Option<Archive>> {
    archive.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_failed(error: OpenError) -> Fail {
    match error {
        OpenError::Csv(error) => error.into(),
        OpenError::Config(_) => Fail::fatal(error),
    }
}

/// Finishes files of days that are over when no record comes, and compresses finished files.
fn caretaker(archive: &Mutex<Option<Archive>>, messages: &Receiver<Message>, files: &Files) {
    let later = |error: &dyn std::fmt::Display| {
        files.host.warn(format_args!("{error}; tried again later"));
    };
    loop {
        match messages.recv_timeout(LOOK_EVERY) {
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Message::Work) | Err(RecvTimeoutError::Timeout) => {}
        }
        match files.opened(&mut lock(archive)) {
            Ok(archive) => {
                if let Err(error) = archive.finish_overdue(archive::now()) {
                    later(&error);
                }
            }
            Err(error) => later(&error),
        }
        loop {
            match pack_next(archive) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    later(&error);
                    break;
                }
            }
            // Between two pieces, so that a stop does not wait for a large file.
            if matches!(
                messages.try_recv(),
                Ok(Message::Stop) | Err(TryRecvError::Disconnected)
            ) {
                return;
            }
        }
    }
}

impl Drop for CsvOutput {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.caretaker.take() {
            // If it is gone, it panicked, which was already printed to stderr.
            let _ = sender.send(Message::Stop);
            let _ = thread.join();
        }
    }
}

callmeter_plugin_sdk::export!(CsvOutput);

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
