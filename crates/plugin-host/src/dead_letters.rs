//! Dead letters: batches that a plugin refused, kept unchanged until an operator replays them.
//!
//! Each is stored in the output's directory as `calls-<place>-<id>.arrow`, an Arrow IPC file that
//! any Arrow tool reads, with a `.json` sidecar that says when and why it was refused. To replay
//! it, both files move to `replay/`, where the running output or its next start finds them. This
//! way only one process writes through a plugin.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use callmeter_records::{Batch, BatchId, BatchSeq, Stream};
use serde::{Deserialize, Serialize};

const REPLAY: &str = "replay";

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

/// Why dead letters cannot be written, listed or replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// An operation on a file failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// The operation.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason that the system gives.
        source: io::Error,
    },
    /// The batch cannot be written or read as Arrow IPC.
    #[error("{path}: {source}")]
    Arrow {
        /// The file.
        path: PathBuf,
        /// Why.
        source: arrow_schema::ArrowError,
    },
    /// The sidecar of a batch cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The directory is full.
    #[error(
        "{path} holds {bytes} bytes of dead letters, which is the limit: replay or remove some"
    )]
    Full {
        /// The directory.
        path: PathBuf,
        /// The bytes in it.
        bytes: u64,
    },
    /// There is no dead letter of this name.
    #[error("output {output} has no dead letter `{name}`")]
    Unknown {
        /// The output.
        output: String,
        /// The name.
        name: String,
    },
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
        read_sidecars(&self.directory.join(output))
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
        let Listing { letters, damaged } = read_sidecars(&from)?;
        if letters.is_empty() {
            return Ok((0, damaged));
        }
        let to = from.join(REPLAY);
        for letter in &letters {
            move_letter(&from, &to, &letter.name())?;
        }
        sync_directory(&to)?;
        sync_directory(&from)?;
        Ok((letters.len(), damaged))
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

    /// The dead letters that wait to be replayed.
    pub(crate) fn replays(&self, output: &str) -> Result<Listing, DeadLetterError> {
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
        let file = File::open(&path).map_err(|source| io_error("open", &path, source))?;
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

fn io_error(action: &'static str, path: &Path, source: io::Error) -> DeadLetterError {
    DeadLetterError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

fn create(directory: &Path) -> Result<(), DeadLetterError> {
    // The batches hold personal data.
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
    builder
        .create(directory)
        .map_err(|source| io_error("create", directory, source))
}

/// The names of the subdirectories; none if the directory does not exist.
fn names(directory: &Path) -> Result<Vec<String>, DeadLetterError> {
    let mut names = Vec::new();
    for entry in entries(directory)? {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

fn entries(directory: &Path) -> Result<Vec<fs::DirEntry>, DeadLetterError> {
    let of = |source| io_error("list", directory, source);
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(of),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(of(error)),
    }
}

fn count(directory: &Path) -> Result<u64, DeadLetterError> {
    let metadata = entries(directory)?
        .into_iter()
        .filter_map(|entry| entry.metadata().ok());
    Ok(metadata
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .sum())
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

fn read_sidecar(path: &Path) -> Result<DeadLetter, DeadLetterError> {
    let text = fs::read(path).map_err(|source| io_error("read", path, source))?;
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

/// Writes a temporary file, syncs it, and renames it.
fn write_durably(
    directory: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<&File>, &Path) -> Result<(), DeadLetterError>,
) -> Result<(), DeadLetterError> {
    let path = directory.join(name);
    let partial = directory.join(format!("{name}.partial"));
    let of = |source| io_error("write", &path, source);
    // A stop may have left it; what a planted link leads to is not touched.
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(of(error)),
        _ => {}
    }
    let mut options = File::options();
    std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
    let file = options.open(&partial).map_err(of)?;
    let mut buffered = BufWriter::new(&file);
    write(&mut buffered, &path)?;
    buffered.flush().map_err(of)?;
    drop(buffered);
    file.sync_all().map_err(of)?;
    fs::rename(&partial, &path).map_err(of)?;
    sync_directory(directory)
}

fn sync_directory(directory: &Path) -> Result<(), DeadLetterError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|source| io_error("sync", directory, source))
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
