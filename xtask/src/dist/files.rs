//! Small work on files, with errors that name them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Error, output};

fn error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    |source| Error::File {
        path: path.to_owned(),
        source,
    }
}

/// An empty directory, whatever was there.
pub(super) fn empty(path: &Path) -> Result<(), Error> {
    if path.exists() {
        std::fs::remove_dir_all(path).map_err(error(path))?;
    }
    std::fs::create_dir_all(path).map_err(error(path))
}

/// Writes a file with mode 0644, and the directories above it.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(error(parent))?;
    }
    std::fs::write(path, bytes).map_err(error(path))?;
    mode(path, 0o644)
}

/// Copies a file with this mode.
pub(super) fn copy(from: &Path, to: &Path, mode_: u32) -> Result<(), Error> {
    let bytes = std::fs::read(from).map_err(error(from))?;
    write(to, &bytes)?;
    mode(to, mode_)
}

/// Creates a directory with this mode; those above it have 0755.
pub(super) fn directory(path: &Path, mode_: u32) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(error(path))?;
    mode(path, mode_)
}

pub(super) fn mode(path: &Path, mode: u32) -> Result<(), Error> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(error(path))
}

/// A text file with `@NAME@` replaced by values.
pub(super) fn filled(path: &Path, values: &[(&str, &str)]) -> Result<String, Error> {
    let mut text = std::fs::read_to_string(path).map_err(error(path))?;
    for (name, value) in values {
        text = text.replace(&format!("@{name}@"), value);
    }
    Ok(text)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(error(path))
}

/// The files of a directory, sorted by name.
pub(super) fn list(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(error(path))? {
        files.push(entry.map_err(error(path))?.path());
    }
    files.sort();
    Ok(files)
}

/// All files of a directory and below it, sorted by path.
pub(super) fn tree(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in list(path)? {
        if entry.is_dir() && !entry.is_symlink() {
            files.extend(tree(&entry)?);
        } else {
            files.push(entry);
        }
    }
    Ok(files)
}

pub(super) fn size(path: &Path) -> Result<u64, Error> {
    std::fs::metadata(path)
        .map(|file| file.len())
        .map_err(error(path))
}

/// The SHA-256 of a file in hexadecimal.
pub(super) fn sha256(path: &Path) -> Result<String, Error> {
    first_word(Command::new("sha256sum").arg(path))
}

/// The MD5 of a file, which dpkg wants.
pub(super) fn md5(path: &Path) -> Result<String, Error> {
    first_word(Command::new("md5sum").arg(path))
}

fn first_word(command: &mut Command) -> Result<String, Error> {
    let line = output(command)?;
    let word = line.split_whitespace().next().unwrap_or_default();
    Ok(word.to_owned())
}

/// Packs a file with gzip, without its name and time.
pub(super) fn gzip(path: &Path, level: &str) -> Result<(), Error> {
    output(
        Command::new("gzip")
            .arg(format!("-{level}"))
            .args(["--no-name", "--force"])
            .arg(path),
    )
    .map(drop)
}
