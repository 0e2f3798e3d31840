//! The state file of an output: how much of each file is durable, and which batches that includes.
//!
//! It is a small JSON file that is replaced atomically. After a crash it shows where the incomplete
//! end of a file starts, and which batches need not be written when callmeter sends them again.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, CsvError, Result};

/// The number of batch ids to remember: four times what callmeter leaves unacknowledged at most.
const REMEMBERED: usize = 256;

/// The version of the format below. Version 1 is read too; it had no inode numbers. A file of
/// another version is refused.
const VERSION: u32 = 2;

/// The state of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    version: u32,
    /// Ids of the last batches that are durable, oldest first.
    batches: VecDeque<String>,
    pub(crate) streams: BTreeMap<String, StreamState>,
    /// Whether it was read from version 1.
    #[serde(skip)]
    pub(crate) legacy: bool,
}

/// The state of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamState {
    /// The columns in the order of the files. New ones come last.
    pub(crate) columns: Vec<String>,
    /// The period of the last file, and its number among those of the period.
    pub(crate) period: String,
    pub(crate) part: u32,
    pub(crate) open: Option<OpenFile>,
    /// Finished files that wait to be compressed, oldest first.
    #[serde(default)]
    pub(crate) packing: Vec<Packing>,
}

/// A file that is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenFile {
    /// Its name while it is written.
    pub(crate) name: String,
    /// Bytes that are durable. What follows them is cut.
    pub(crate) bytes: u64,
    /// The final name, set while the file is being finished.
    pub(crate) becomes: Option<String>,
    /// Its inode number: another file of the same name is not ours.
    #[serde(default)]
    pub(crate) inode: Option<u64>,
}

/// A finished file that is being compressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Packing {
    /// The file, its size and its inode number.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) inode: Option<u64>,
    /// What its final name is made of.
    pub(crate) period: String,
    pub(crate) part: u32,
    /// The compressed file, once it is begun.
    pub(crate) packed: Option<Packed>,
}

/// A compressed file that is being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Packed {
    /// Its name while it is written, and its inode number.
    pub(crate) name: String,
    pub(crate) inode: u64,
    /// Bytes of the finished file that it contains, and bytes that they take.
    pub(crate) read: u64,
    pub(crate) written: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: VERSION,
            batches: VecDeque::new(),
            streams: BTreeMap::new(),
            legacy: false,
        }
    }
}

impl State {
    /// Reads the state. If there is no file, this is the first start.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>> {
        let mut text = Vec::new();
        match open_itself(path).and_then(|mut file| file.read_to_end(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).on("read", path),
        }
        let invalid = |problem: String| CsvError::State {
            path: path.to_owned(),
            problem,
        };
        let mut state: Self =
            serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        if state.version == 1 {
            state.version = VERSION;
            state.legacy = true;
        }
        if state.version != VERSION {
            return Err(invalid(format!(
                "its version is {}, not {VERSION}",
                state.version
            )));
        }
        let mut names = state.streams.values().flat_map(|stream| {
            let open = stream.open.iter();
            let open = open.flat_map(|open| std::iter::once(&open.name).chain(&open.becomes));
            let packing = stream.packing.iter();
            let packed = packing
                .clone()
                .filter_map(|job| Some(&job.packed.as_ref()?.name));
            open.chain(packing.map(|job| &job.name)).chain(packed)
        });
        if let Some(name) = names.find(|name| name.contains('/') || name.starts_with("..")) {
            return Err(invalid(format!("{name:?} is no file name")));
        }
        Ok(Some(state))
    }

    /// Replaces the file; when this returns the new state is durable.
    pub(crate) fn store(&self, path: &Path) -> Result<()> {
        let next = sibling(path, ".new");
        let text = serde_json::to_vec(self)
            .map_err(io::Error::from)
            .on("encode", path)?;
        // A stop in the middle of this may have left one.
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).on("remove", &next);
            }
            _ => {}
        }
        let mut file = create_new(&next).on("create", &next)?;
        file.write_all(&text).on("write", &next)?;
        file.sync_all().on("sync", &next)?;
        fs::rename(&next, path).on("replace", path)?;
        sync_directory(path.parent().unwrap_or(Path::new("/")))
    }

    /// Adds batches that are durable, and removes the oldest.
    pub(crate) fn remember(&mut self, ids: impl IntoIterator<Item = String>) {
        self.batches.extend(ids);
        let excess = self.batches.len().saturating_sub(REMEMBERED);
        self.batches.drain(..excess);
    }

    pub(crate) fn remembers(&self, id: &str) -> bool {
        self.batches.iter().any(|known| known == id)
    }
}

/// The path with something appended to its name.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Creates a file that only its owner writes and its group reads: records hold personal data. Fails
/// if there is something of the name, even a link.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(path)
}

/// Opens or creates a file that is only locked, without following a link.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .custom_flags(NO_LINK)
        .open(path)
}

/// Opens a file for reading and writing: the file itself, not what a link points to. Does not wait
/// for the other end of a pipe.
fn open_itself(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .custom_flags(NO_LINK)
        .open(path)
}

/// Opens a file as [`open_itself`] does. `None` if there is none, or a link, a directory or the
/// like.
pub(crate) fn open_file(path: &Path) -> Result<Option<File>> {
    match fs::symlink_metadata(path) {
        Ok(about) if !about.is_file() => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).on("look at", path),
        Ok(_) => {}
    }
    let file = open_itself(path).on("open", path)?;
    // It may have been replaced meanwhile.
    let is_file = file.metadata().on("look at", path)?.is_file();
    Ok(is_file.then_some(file))
}

const NO_LINK: i32 = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .bits()
    .cast_signed();

/// The inode number of what has this name, a link itself and not its target; `None` if nothing has.
pub(crate) fn inode_at(path: &Path) -> Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(about) => Ok(Some(about.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).on("look at", path),
    }
}

/// Makes names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| CsvError::Sync {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_state_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        assert_eq!(State::load(&path).unwrap(), None);
        let mut state = State::default();
        state.remember((0..300).map(|i| format!("{i:032x}")));
        let open = OpenFile {
            name: "calls.csv.partial".into(),
            bytes: 17,
            becomes: None,
            inode: Some(7),
        };
        state.streams.entry("calls".into()).or_default().open = Some(open);
        state.store(&path).unwrap();
        let read = State::load(&path).unwrap().unwrap();
        assert_eq!(read, state);
        assert!(
            read.remembers(&format!("{:032x}", 299)) && !read.remembers(&format!("{:032x}", 43))
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        for text in [
            "",
            "{}",
            r#"{"version":3,"batches":[],"streams":{}}"#,
            r#"{"version":1,"batches":[],"streams":{"calls":{"columns":[],"period":"","part":1,"open":{"name":"../x","bytes":0,"becomes":null}}}}"#,
        ] {
            fs::write(&path, text).unwrap();
            let error = State::load(&path).unwrap_err();
            assert!(matches!(error, CsvError::State { .. }), "{error}");
        }
    }
}
