//! All files of an output: which file a batch goes to, when a file is durable, when it is finished.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::Instant;

use callmeter_plugin_sdk::batch::{Field, Value};
use callmeter_plugin_sdk::{Batch, Host};

use crate::cell::Cells;
use crate::config::{Bytes, Compress, Config, Place, Rotate};
use crate::error::{ConfigErrors, Context as _, CsvError, Result};
use crate::names;
use crate::part::{Part, Reopened, move_aside};
use crate::rows::{push_header, push_rows};
use crate::state::{OpenFile, State, open_lock, sibling};

/// The column of the time at which callmeter read a record.
const OBSERVED_AT: &str = "observed_at";

/// What the background thread is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// There is something to do.
    Work,
    /// The instance ends.
    Stop,
}

/// All files of an output.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) host: Host,
    pub(crate) place: Place,
    pub(crate) rotate: Rotate,
    max_bytes: Option<u64>,
    pub(crate) compress: Compress,
    cells: Cells,
    pub(crate) state: State,
    state_path: PathBuf,
    /// Whether the state in memory is newer than the one on disk.
    pub(crate) unsaved: bool,
    /// The lock file, held as long as this output may write.
    _lock: File,
    pub(crate) parts: BTreeMap<String, Part>,
    /// Stream and id of the batches that are accepted but not yet durable.
    pub(crate) pending: Vec<(String, String)>,
    /// Wakes the caretaker when a file waits to be compressed.
    pub(crate) wake: Option<Sender<Message>>,
    /// Reused for the text of each batch.
    buffer: Vec<u8>,
    pub(crate) last_write: Instant,
    /// Whether the warning was logged that a single file cannot take new columns.
    told_of_columns: bool,
}

impl Archive {
    /// Continues after the last stop: cuts incomplete ends, and completes files that were being
    /// finished.
    pub(crate) fn open(host: Host, config: &Config) -> Result<Self, OpenError> {
        let place = config.place()?;
        let rotate = match place {
            Place::File { .. } => Rotate::Never,
            Place::Directory { .. } => config.rotate.unwrap_or_default(),
        };
        check_directory(place.directory())?;
        let state_path = place.state();
        let lock = lock(&sibling(&state_path, ".lock"))?;
        let state = State::load(&state_path)?;
        if let (Place::File { directory, name }, None) = (&place, &state) {
            let path = directory.join(name);
            if path.try_exists().on("look at", &path)? {
                return Err(CsvError::Foreign { path }.into());
            }
        }
        let mut archive = Self {
            host,
            place,
            rotate,
            max_bytes: config.max_bytes.map(|Bytes(bytes)| bytes),
            compress: config.compress,
            cells: Cells::new(config.guard_formulas),
            state: state.unwrap_or_default(),
            state_path,
            unsaved: false,
            _lock: lock,
            parts: BTreeMap::new(),
            pending: Vec::new(),
            wake: None,
            buffer: Vec::new(),
            last_write: Instant::now(),
            told_of_columns: false,
        };
        archive.reopen()?;
        Ok(archive)
    }

    fn reopen(&mut self) -> Result<()> {
        let streams: Vec<String> = self.state.streams.keys().cloned().collect();
        for stream in streams {
            let Some(known) = self.state.streams.get(&stream) else {
                continue;
            };
            match known.open.as_ref().map(|open| open.becomes.as_deref()) {
                None => {}
                Some(Some(becomes)) if becomes.ends_with(names::PACKED) => self.queue(&stream),
                Some(Some(_)) => self.complete(&stream)?,
                Some(None) => self.reopen_stream(&stream)?,
            }
        }
        if self.unsaved || self.state.legacy {
            self.state.legacy = false;
            self.save()?;
        }
        Ok(())
    }

    /// Opens the file that a stream was written to.
    fn reopen_stream(&mut self, stream: &str) -> Result<()> {
        let Some(known) = self.state.streams.get_mut(stream) else {
            return Ok(());
        };
        let Some(open) = known.open.as_mut() else {
            return Ok(());
        };
        let path = self.place.directory().join(&open.name);
        let mut header = Vec::new();
        push_header(&self.cells, &mut header, &known.columns);
        let path_text = path.display();
        match Part::reopen(path.clone(), open, &header, self.state.legacy)? {
            Reopened::Ours(part, cut) => {
                if cut > 0 {
                    self.host.info(format_args!(
                        "{path_text}: cut {cut} bytes that were not flushed; callmeter sends them again"
                    ));
                }
                if open.inode != Some(part.inode()) {
                    open.inode = Some(part.inode());
                    self.unsaved = true;
                }
                self.parts.insert(stream.to_owned(), part);
            }
            Reopened::Missing => {
                if open.bytes > 0 {
                    self.host
                        .error(format_args!("{path_text} is gone; a new file is begun"));
                }
                self.close(stream);
            }
            Reopened::Short(found) => {
                let aside = move_aside(&path)?;
                self.host.error(format_args!(
                    "{path_text} has {found} bytes, which is less than what was flushed to it; \
                     moved to {}, a new file is begun",
                    aside.display()
                ));
                self.close(stream);
            }
            Reopened::Foreign if matches!(self.place, Place::File { .. }) => {
                return Err(CsvError::Foreign { path });
            }
            Reopened::Foreign => {
                self.host.error(format_args!(
                    "{path_text} is not the file that was written here; it is left as it is, a new \
                     file is begun"
                ));
                self.close(stream);
            }
        }
        Ok(())
    }

    /// Drops a stream's file, so that the next batch starts another.
    pub(crate) fn close(&mut self, stream: &str) {
        if let Some(stream) = self.state.streams.get_mut(stream) {
            stream.open = None;
            self.unsaved = true;
        }
    }

    pub(crate) fn save(&mut self) -> Result<()> {
        self.unsaved = true;
        self.state.store(&self.state_path)?;
        self.unsaved = false;
        Ok(())
    }

    /// Whether files are written under their final name, because they are never finished.
    pub(crate) fn is_permanent(&self) -> bool {
        self.rotate == Rotate::Never && self.max_bytes.is_none()
    }

    /// Appends a batch to its stream's file, all of it or nothing.
    pub(crate) fn write(&mut self, batch: &Batch) -> Result<()> {
        self.last_write = Instant::now();
        let id = batch.id_hex();
        if self.state.remembers(&id) || self.pending.iter().any(|(_, pending)| *pending == id) {
            // callmeter stopped after our flush, before it moved its cursor.
            self.host
                .debug(format_args!("batch {id} is in the files already"));
            return Ok(());
        }
        if batch.is_empty() {
            return Ok(());
        }
        let stream = names::stream(batch);
        self.prepare(&stream, batch)?;
        let (Some(part), Some(known)) =
            (self.parts.get_mut(&stream), self.state.streams.get(&stream))
        else {
            // Cannot happen, because `prepare` added both.
            return Ok(());
        };
        self.buffer.clear();
        if part.len() == 0 {
            push_header(&self.cells, &mut self.buffer, &known.columns);
        }
        push_rows(&mut self.cells, &mut self.buffer, batch, &known.columns);
        part.append(&self.buffer)?;
        self.pending.push((stream, id));
        Ok(())
    }

    /// Makes sure that the stream has a file that the batch may go to.
    fn prepare(&mut self, stream: &str, batch: &Batch) -> Result<()> {
        let observed = batch.column(OBSERVED_AT).map(|column| column.value(0));
        let observed = match observed {
            Some(Value::Timestamp(time)) => time,
            _ => now(),
        };
        // A time after now is from a clock that was wrong.
        let current = names::period(self.rotate, now());
        let period = names::period(self.rotate, observed).min(current.clone());
        let single = matches!(self.place, Place::File { .. });
        if single && let Some(holds) = self.state.streams.keys().find(|holds| *holds != stream) {
            return Err(CsvError::OtherStream {
                holds: holds.clone(),
                found: stream.to_owned(),
            });
        }
        let known = self.state.streams.entry(stream.to_owned()).or_default();
        if known
            .open
            .as_ref()
            .is_some_and(|open| open.becomes.is_some())
        {
            // An earlier attempt to finish it failed, for example because the disk was full.
            self.complete(stream)?;
        }
        let known = self.state.streams.entry(stream.to_owned()).or_default();
        let added: Vec<String> = batch
            .fields()
            .iter()
            .map(Field::name)
            .filter(|name| !known.columns.iter().any(|column| column == name))
            .map(str::to_owned)
            .collect();
        let begun = self.parts.get(stream).map(Part::len).filter(|len| *len > 0);
        if let Some(len) = begun {
            let full = self.max_bytes.is_some_and(|max| len >= max);
            let over = period > known.period || known.period > current;
            if full || over || !added.is_empty() && !single {
                self.finish(stream)?;
            }
        }
        if !added.is_empty() {
            if single && begun.is_some() {
                if !self.told_of_columns {
                    self.told_of_columns = true;
                    self.host.warn(format_args!(
                        "{stream} have new columns ({}), which a file with a header cannot take; \
                         move the file and its state away to get them",
                        added.join(", ")
                    ));
                }
            } else if let Some(known) = self.state.streams.get_mut(stream) {
                known.columns.extend(added);
            }
        }
        if self.parts.contains_key(stream) {
            return Ok(());
        }
        self.begin(stream, period)
    }

    /// Creates the stream's next file. The state names it first, so that no file is left over, and
    /// gets its inode number before anything is written, so that it stays recognisable.
    fn begin(&mut self, stream: &str, period: String) -> Result<()> {
        let current = names::period(self.rotate, now());
        let known = self.state.streams.entry(stream.to_owned()).or_default();
        // A late batch does not go back to the file names of an earlier period, unless the clock
        // was ahead when the last file was begun.
        if period > known.period || known.part == 0 || known.period > current {
            known.period = period;
            known.part = 1;
        } else {
            known.part += 1;
        }
        let directory = self.place.directory().to_owned();
        let name = match &self.place {
            Place::File { name, .. } => name.clone(),
            Place::Directory { prefix, .. } => loop {
                let name = names::file(prefix, stream, &known.period, known.part);
                if names::is_free(&directory, &name).on("look into", &directory)? {
                    break name;
                }
                known.part += 1;
            },
        };
        let name = if self.is_permanent() {
            name
        } else {
            format!("{name}{}", names::PARTIAL)
        };
        let path = directory.join(&name);
        let open = OpenFile {
            name,
            bytes: 0,
            becomes: None,
            inode: None,
        };
        self.set_open(stream, open.clone());
        let begun = self.save().and_then(|()| {
            let part = Part::create(path.clone())?;
            let inode = Some(part.inode());
            self.set_open(stream, OpenFile { inode, ..open });
            // It is empty, and was created a moment ago.
            self.save().inspect_err(|_| {
                let _ = std::fs::remove_file(&path);
            })?;
            Ok(part)
        });
        match begun {
            Ok(part) => {
                self.parts.insert(stream.to_owned(), part);
                Ok(())
            }
            Err(error) => {
                self.close(stream);
                Err(error)
            }
        }
    }

    fn set_open(&mut self, stream: &str, open: OpenFile) {
        if let Some(known) = self.state.streams.get_mut(stream) {
            known.open = Some(open);
        }
    }

    /// Makes everything durable.
    pub(crate) fn flush(&mut self) -> Result<()> {
        for (stream, part) in &mut self.parts {
            part.sync()?;
            let open = self
                .state
                .streams
                .get_mut(stream)
                .and_then(|known| known.open.as_mut());
            if let Some(open) = open
                && open.bytes != part.len()
            {
                open.bytes = part.len();
                self.unsaved = true;
            }
        }
        if !self.pending.is_empty() {
            let ids = std::mem::take(&mut self.pending);
            self.state.remember(ids.into_iter().map(|(_, id)| id));
            self.unsaved = true;
        }
        if self.unsaved {
            self.save()?;
        }
        Ok(())
    }
}

/// Why an output cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Csv(#[from] CsvError),
}

/// The time by the system's clock.
#[cfg(not(test))]
pub(crate) fn now() -> callmeter_plugin_sdk::batch::Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros = since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    });
    callmeter_plugin_sdk::batch::Timestamp::from_micros(micros)
}

#[cfg(test)]
pub(crate) use crate::testing::now;

fn check_directory(path: &Path) -> Result<()> {
    if !path.try_exists().on("look at", path)? {
        fs::DirBuilder::new()
            .mode(0o750)
            .create(path)
            .on("create", path)?;
    }
    check_existing_directory(path)
}

/// Fails if it is no directory that an output may use.
pub(crate) fn check_existing_directory(path: &Path) -> Result<()> {
    let refuse = |problem| CsvError::Directory {
        path: path.to_owned(),
        problem,
    };
    let about = fs::metadata(path).on("look at", path)?;
    if !about.is_dir() {
        return Err(refuse("it is not a directory"));
    }
    if about.permissions().mode() & 0o002 != 0 {
        return Err(refuse("everybody may write to it"));
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File> {
    let file = open_lock(path).on("create", path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CsvError::Locked {
            path: path.with_extension("").with_extension(""),
        }),
        Err(TryLockError::Error(error)) => Err(error).on("lock", path),
    }
}
