//! The files and directories of dead letters.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::error::DeadLetterError;

pub(super) fn io_error(action: &'static str, path: &Path, source: io::Error) -> DeadLetterError {
    DeadLetterError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

pub(super) fn create(directory: &Path) -> Result<(), DeadLetterError> {
    // The batches hold personal data.
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
    builder
        .create(directory)
        .map_err(|source| io_error("create", directory, source))
}

/// The names of the subdirectories; none if the directory does not exist.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, DeadLetterError> {
    let mut names = Vec::new();
    for entry in entries(directory)? {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

pub(super) fn entries(directory: &Path) -> Result<Vec<fs::DirEntry>, DeadLetterError> {
    let of = |source| io_error("list", directory, source);
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(of),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(of(error)),
    }
}

pub(super) fn count(directory: &Path) -> Result<u64, DeadLetterError> {
    let metadata = entries(directory)?
        .into_iter()
        .filter_map(|entry| entry.metadata().ok());
    Ok(metadata
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .sum())
}

/// Opens a regular file. Whoever opens a pipe waits for its writer.
pub(super) fn open(path: &Path) -> Result<File, DeadLetterError> {
    let not_blocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = File::options()
        .read(true)
        .custom_flags(not_blocking)
        .open(path)
        .map_err(|source| io_error("open", path, source))?;
    let metadata = file
        .metadata()
        .map_err(|source| io_error("open", path, source))?;
    if metadata.is_file() {
        return Ok(file);
    }
    let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    Err(io_error("read", path, source))
}

/// Writes a temporary file, syncs it, and renames it.
pub(super) fn write_durably(
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
    options.write(true).create_new(true).mode(0o600);
    let file = options.open(&partial).map_err(of)?;
    let mut buffered = BufWriter::new(&file);
    write(&mut buffered, &path)?;
    buffered.flush().map_err(of)?;
    drop(buffered);
    file.sync_all().map_err(of)?;
    fs::rename(&partial, &path).map_err(of)?;
    sync_directory(directory)
}

pub(super) fn sync_directory(directory: &Path) -> Result<(), DeadLetterError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|source| io_error("sync", directory, source))
}
