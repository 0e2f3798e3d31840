//! Batches that a plugin refused, kept as they were until somebody decides about them.
//!
//! Each lies in the output's directory as `calls-<place>-<id>.arrow`, an Arrow IPC file that any
//! Arrow tool reads, with a `.json` beside it that says when and why. To replay one, both move to
//! `replay/`, where the running output (or its next start) finds them: so only ever one process
//! writes through a plugin.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use callmeter_records::{Batch, BatchId, BatchSeq, Stream};
use serde::{Deserialize, Serialize};

const REPLAY: &str = "replay";

/// The directory of all outputs' dead letters.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    directory: PathBuf,
    max_bytes: u64,
}

/// Why dead letters cannot be written, listed or replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// The file system refuses.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
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
    /// The JSON beside a batch cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The directory holds as much as it may.
    #[error("{path} holds {bytes} bytes of dead letters, as much as it may: replay or remove some")]
    Full {
        /// The directory.
        path: PathBuf,
        /// The bytes in it.
        bytes: u64,
    },
    /// No letter of this name.
    #[error("output {output} has no dead letter `{name}`")]
    Unknown {
        /// The output.
        output: String,
        /// The name asked for.
        name: String,
    },
}

/// What is known of a dead letter.
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
    /// When, in seconds since 1970.
    pub refused_at: u64,
    /// How often it was tried in all.
    pub attempts: u32,
}

impl DeadLetter {
    /// The name under which it is replayed, and its files' stem.
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
    /// Dead letters under `directory`, at most `max_bytes` of them for each output.
    pub fn new(directory: impl Into<PathBuf>, max_bytes: u64) -> Self {
        Self {
            directory: directory.into(),
            max_bytes,
        }
    }

    /// The dead letters of every output, by output and place.
    pub fn list(&self) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let mut letters = Vec::new();
        for output in names(&self.directory)? {
            letters.extend(self.list_output(&output)?);
        }
        Ok(letters)
    }

    /// The dead letters of an output, by stream and place.
    pub fn list_output(&self, output: &str) -> Result<Vec<DeadLetter>, DeadLetterError> {
        read_sidecars(&self.directory.join(output))
    }

    /// Hands a dead letter back to its output: it is delivered again when the output next looks,
    /// within seconds if callmeter runs. What is refused again comes back here.
    pub fn replay(&self, output: &str, name: &str) -> Result<(), DeadLetterError> {
        let from = self.directory.join(output);
        let known = read_sidecars(&from)?
            .into_iter()
            .any(|letter| letter.name() == name);
        if !known {
            return Err(DeadLetterError::Unknown {
                output: output.to_owned(),
                name: name.to_owned(),
            });
        }
        move_letter(&from, &from.join(REPLAY), name)
    }

    /// Removes a dead letter for good.
    pub fn remove(&self, output: &str, name: &str) -> Result<(), DeadLetterError> {
        let from = self.directory.join(output);
        let known = read_sidecars(&from)?
            .into_iter()
            .any(|letter| letter.name() == name);
        if !known {
            return Err(DeadLetterError::Unknown {
                output: output.to_owned(),
                name: name.to_owned(),
            });
        }
        remove_letter(&from, name)
    }

    /// Writes a refused batch, durably. Writing the same again replaces it.
    pub(crate) fn put(
        &self,
        letter: &DeadLetter,
        records: &RecordBatch,
    ) -> Result<(), DeadLetterError> {
        let directory = self.directory.join(&letter.output);
        create(&directory)?;
        let bytes = used(&directory)?;
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
        // The sidecar last: a letter counts from when it is there.
        put_sidecar(&directory, letter)
    }

    /// Letters that wait to be delivered again.
    pub(crate) fn replays(&self, output: &str) -> Result<Vec<DeadLetter>, DeadLetterError> {
        read_sidecars(&self.directory.join(output).join(REPLAY))
    }

    /// The batch of a letter that waits to be delivered again.
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

    /// Forgets a letter that was delivered.
    pub(crate) fn delivered(&self, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        remove_letter(&self.replay_directory(letter), &letter.name())
    }

    /// Puts a letter that was refused again back among the dead, with the new reason.
    pub(crate) fn refused_again(&self, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        let replay = self.replay_directory(letter);
        put_sidecar(&replay, letter)?;
        move_letter(
            &replay,
            &self.directory.join(&letter.output),
            &letter.name(),
        )
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

/// The names of the sub-directories; none if the directory is not there.
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

fn used(directory: &Path) -> Result<u64, DeadLetterError> {
    let metadata = entries(directory)?
        .into_iter()
        .filter_map(|entry| entry.metadata().ok());
    Ok(metadata
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .sum())
}

fn read_sidecars(directory: &Path) -> Result<Vec<DeadLetter>, DeadLetterError> {
    let mut letters = Vec::new();
    for entry in entries(directory)? {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read(&path).map_err(|source| io_error("read", &path, source))?;
        let letter: DeadLetter =
            serde_json::from_slice(&text).map_err(|error| DeadLetterError::Sidecar {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        letters.push(letter);
    }
    letters.sort_by_key(DeadLetter::name);
    Ok(letters)
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

/// Writes beside the file, syncs, and puts it in place.
fn write_durably(
    directory: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<&File>, &Path) -> Result<(), DeadLetterError>,
) -> Result<(), DeadLetterError> {
    let path = directory.join(name);
    let partial = directory.join(format!("{name}.partial"));
    let of = |source| io_error("write", &path, source);
    let mut options = File::options();
    std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create(true).truncate(true), 0o600);
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

/// Moves batch and sidecar, the sidecar last, because a letter counts from when it is there.
fn move_letter(from: &Path, to: &Path, name: &str) -> Result<(), DeadLetterError> {
    create(to)?;
    for extension in ["arrow", "json"] {
        let file = format!("{name}.{extension}");
        let (source, target) = (from.join(&file), to.join(&file));
        match fs::rename(&source, &target) {
            Ok(()) => {}
            // A crash between the two left this one moved already.
            Err(error) if error.kind() == io::ErrorKind::NotFound && target.exists() => {}
            Err(error) => return Err(io_error("move", &source, error)),
        }
    }
    sync_directory(to)?;
    sync_directory(from)
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
