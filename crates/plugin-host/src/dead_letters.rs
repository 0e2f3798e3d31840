//! Dead letters: batches that a plugin refused, kept unchanged until an operator replays them.
//!
//! Each is stored in the output's directory as `calls-<place>-<id>.arrow`, an Arrow IPC file that
//! any Arrow tool reads, with a `.json` sidecar that says when and why it was refused. To replay
//! it, both files move to `replay/`, where the running output or its next start finds them. This
//! way only one process writes through a plugin.

mod error;
mod files;

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use callmeter_records::{Batch, BatchId, BatchSeq, Stream};
use serde::{Deserialize, Serialize};

pub use error::DeadLetterError;
use files::{count, create, entries, io_error, names, open, sync_directory, write_durably};

const REPLAY: &str = "replay";

/// A sidecar is smaller than this.
const MAX_SIDECAR_BYTES: u64 = 1 << 20;

/// callmeter stores a batch first, and its sidecar within this time.
const STORES_WITHIN: Duration = Duration::from_secs(1);

/// How long the size of a directory is trusted: counting a full one takes long, and other programs
/// change it rarely.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// The directory of all outputs' dead letters.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    directory: PathBuf,
    max_bytes: u64,
    /// The bytes in the directory of each output, and when they were counted.
    used: Arc<Mutex<HashMap<PathBuf, (u64, Instant)>>>,
}

/// The dead letters of an output.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that can be read, by stream and place.
    pub letters: Vec<DeadLetter>,
    /// Why others cannot be read.
    pub damaged: Vec<DeadLetterError>,
}

/// The sidecar of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The output that could not deliver it.
    pub output: String,
    /// The plugin's name and version.
    pub plugin: String,
    /// The stream's name.
    pub stream: String,
    /// The batch's place in the journal.
    pub place: u64,
    /// Its id, in hexadecimal.
    pub id: String,
    /// How many records it holds.
    pub records: u64,
    /// Why the plugin refused it.
    pub reason: String,
    /// When it was refused, in seconds since 1970.
    pub refused_at: u64,
    /// How many attempts there were.
    pub attempts: u32,
}

impl DeadLetter {
    /// The name that identifies it; its files have it too.
    pub fn name(&self) -> String {
        format!("{}-{:012}-{}", self.stream, self.place, self.id)
    }

    fn batch_id(&self) -> Option<BatchId> {
        let mut id = [0; 16];
        let digits = self.id.as_bytes();
        if digits.len() != 32 {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(BatchId(id))
    }
}

impl DeadLetters {
    /// Dead letters in `directory`, at most `max_bytes` for each output.
    pub fn new(directory: impl Into<PathBuf>, max_bytes: u64) -> Self {
        Self {
            directory: directory.into(),
            max_bytes,
            used: Arc::default(),
        }
    }

    /// The dead letters of every output that can be read, by output and place.
    pub fn list(&self) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let mut letters = Vec::new();
        for output in names(&self.directory)? {
            letters.extend(self.list_output(&output)?.letters);
        }
        Ok(letters)
    }

    /// The dead letters of an output. One that cannot be read hides no other.
    pub fn list_output(&self, output: &str) -> Result<Listing, DeadLetterError> {
        let directory = self.directory.join(output);
        let mut listing = read_sidecars(&directory)?;
        listing.damaged.extend(alone(&directory)?);
        Ok(listing)
    }

    /// Gives a dead letter back to its output, which delivers it within seconds if callmeter runs,
    /// or else after its next start. If it is refused again, it becomes a dead letter again.
    pub fn replay(&self, output: &str, name: &str) -> Result<(), DeadLetterError> {
        let from = self.directory.join(output);
        let path = from.join(format!("{name}.json"));
        if name.contains('/') || !path.is_file() {
            return Err(DeadLetterError::Unknown {
                output: output.to_owned(),
                name: name.to_owned(),
            });
        }
        read_sidecar(&path)?;
        move_letter(&from, &from.join(REPLAY), name)?;
        sync_directory(&from.join(REPLAY))?;
        sync_directory(&from)
    }

    /// Gives all dead letters of an output back to it. Returns how many there were, and why others
    /// cannot be read.
    pub fn replay_all(
        &self,
        output: &str,
    ) -> Result<(usize, Vec<DeadLetterError>), DeadLetterError> {
        let from = self.directory.join(output);
        let Listing {
            letters,
            mut damaged,
        } = self.list_output(output)?;
        if letters.is_empty() {
            return Ok((0, damaged));
        }
        let to = from.join(REPLAY);
        create(&to)?;
        let mut moved = 0;
        for letter in &letters {
            match move_letter(&from, &to, &letter.name()) {
                Ok(()) => moved += 1,
                Err(error) => damaged.push(error),
            }
        }
        sync_directory(&to)?;
        sync_directory(&from)?;
        Ok((moved, damaged))
    }

    /// Stores a refused batch durably. Storing it again replaces it.
    pub(crate) fn put(
        &self,
        letter: &DeadLetter,
        records: &RecordBatch,
    ) -> Result<(), DeadLetterError> {
        let directory = self.directory.join(&letter.output);
        create(&directory)?;
        let bytes = self.used(&directory)?;
        if bytes >= self.max_bytes {
            return Err(DeadLetterError::Full {
                path: directory,
                bytes,
            });
        }
        let name = letter.name();
        write_durably(&directory, &format!("{name}.arrow"), |file, path| {
            let of = |source| DeadLetterError::Arrow {
                path: path.to_owned(),
                source,
            };
            let mut writer = FileWriter::try_new(file, &records.schema()).map_err(of)?;
            writer.write(records).map_err(of)?;
            writer.finish().map_err(of)
        })?;
        // The sidecar comes last, because only with it the dead letter exists.
        put_sidecar(&directory, letter)?;
        let size = |end: &str| {
            let file = directory.join(format!("{name}.{end}"));
            fs::metadata(file).map_or(0, |metadata| metadata.len())
        };
        let added = size("arrow") + size("json");
        if let Some((bytes, _)) = self.counted().get_mut(&directory) {
            *bytes += added;
        }
        Ok(())
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<PathBuf, (u64, Instant)>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes in a directory. They are counted now and then, and before it is called full.
    fn used(&self, directory: &Path) -> Result<u64, DeadLetterError> {
        if let Some((bytes, at)) = self.counted().get(directory)
            && *bytes < self.max_bytes
            && at.elapsed() < COUNT_EVERY
        {
            return Ok(*bytes);
        }
        let bytes = count(directory)?;
        self.counted()
            .insert(directory.to_owned(), (bytes, Instant::now()));
        Ok(bytes)
    }

    /// The dead letters that were given back to an output, which has not delivered them yet.
    pub fn replays(&self, output: &str) -> Result<Listing, DeadLetterError> {
        read_sidecars(&self.directory.join(output).join(REPLAY))
    }

    /// The batch of a dead letter that waits to be replayed.
    pub(crate) fn open_replay(&self, letter: &DeadLetter) -> Result<Batch, DeadLetterError> {
        let path = self
            .replay_directory(letter)
            .join(format!("{}.arrow", letter.name()));
        let sidecar = |reason: &str| DeadLetterError::Sidecar {
            path: path.with_extension("json"),
            reason: reason.to_owned(),
        };
        let stream = letter
            .stream
            .parse::<Stream>()
            .map_err(|error| sidecar(&error.to_string()))?;
        let id = letter
            .batch_id()
            .ok_or_else(|| sidecar("its id is not 32 hexadecimal digits"))?;
        let file = open(&path)?;
        let arrow = |source| DeadLetterError::Arrow {
            path: path.clone(),
            source,
        };
        let mut reader = FileReader::try_new(BufReader::new(file), None).map_err(arrow)?;
        let records = reader
            .next()
            .ok_or_else(|| sidecar("its batch is empty"))?
            .map_err(arrow)?;
        Ok(Batch {
            seq: BatchSeq(letter.place),
            id,
            stream,
            records,
        })
    }

    /// Removes a replayed dead letter that was delivered.
    pub(crate) fn delivered(&self, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        remove_letter(&self.replay_directory(letter), &letter.name())
    }

    /// Moves a replayed dead letter that was refused again back, with the new reason.
    pub(crate) fn refused_again(&self, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        let replay = self.replay_directory(letter);
        put_sidecar(&replay, letter)?;
        let to = self.directory.join(&letter.output);
        move_letter(&replay, &to, &letter.name())?;
        sync_directory(&to)?;
        sync_directory(&replay)
    }

    fn replay_directory(&self, letter: &DeadLetter) -> PathBuf {
        self.directory.join(&letter.output).join(REPLAY)
    }
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn read_sidecars(directory: &Path) -> Result<Listing, DeadLetterError> {
    let mut listing = Listing::default();
    for entry in entries(directory)? {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match read_sidecar(&path) {
            Ok(letter) => listing.letters.push(letter),
            Err(error) => listing.damaged.push(error),
        }
    }
    listing.letters.sort_by_cached_key(DeadLetter::name);
    Ok(listing)
}

/// The batches without a sidecar, after a moment in which callmeter may store it.
fn alone(directory: &Path) -> Result<Vec<DeadLetterError>, DeadLetterError> {
    let sidecar = |batch: &Path| batch.with_extension("json");
    let mut batches: Vec<PathBuf> = entries(directory)?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "arrow"))
        .filter(|path| !sidecar(path).exists())
        .collect();
    if !batches.is_empty() {
        std::thread::sleep(STORES_WITHIN);
        batches.retain(|path| path.exists() && !sidecar(path).exists());
    }
    batches.sort();
    let named = batches.into_iter().map(|path| DeadLetterError::Alone {
        sidecar: sidecar(&path)
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        path,
    });
    Ok(named.collect())
}

fn read_sidecar(path: &Path) -> Result<DeadLetter, DeadLetterError> {
    let mut text = Vec::new();
    open(path)?
        .take(MAX_SIDECAR_BYTES)
        .read_to_end(&mut text)
        .map_err(|source| io_error("read", path, source))?;
    let damaged = |reason: String| DeadLetterError::Sidecar {
        path: path.to_owned(),
        reason,
    };
    let letter: DeadLetter =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    // Its files are found by the name that its content gives.
    if path
        .file_stem()
        .is_none_or(|stem| stem != letter.name().as_str())
    {
        return Err(damaged("its content belongs to another name".to_owned()));
    }
    Ok(letter)
}

fn put_sidecar(directory: &Path, letter: &DeadLetter) -> Result<(), DeadLetterError> {
    write_durably(
        directory,
        &format!("{}.json", letter.name()),
        |file, path| {
            serde_json::to_writer_pretty(&mut *file, letter)
                .map_err(|error| io_error("write", path, error.into()))?;
            file.write_all(b"\n")
                .map_err(|source| io_error("write", path, source))
        },
    )
}

/// Moves batch and sidecar. The sidecar comes last, because only with it the dead letter exists.
/// The caller syncs both directories.
fn move_letter(from: &Path, to: &Path, name: &str) -> Result<(), DeadLetterError> {
    create(to)?;
    for extension in ["arrow", "json"] {
        let file = format!("{name}.{extension}");
        let (source, target) = (from.join(&file), to.join(&file));
        match fs::rename(&source, &target) {
            Ok(()) => {}
            // A crash between the two moves left this file moved already.
            Err(error) if error.kind() == io::ErrorKind::NotFound && target.exists() => {}
            Err(error) => return Err(io_error("move", &source, error)),
        }
    }
    Ok(())
}

/// Removes sidecar and batch, the sidecar first.
fn remove_letter(directory: &Path, name: &str) -> Result<(), DeadLetterError> {
    for extension in ["json", "arrow"] {
        let path = directory.join(format!("{name}.{extension}"));
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("remove", &path, error)),
        }
    }
    sync_directory(directory)
}
