//! Opens a plugin's file and checks its owner, its content and its pinned hash. Everything after
//! that uses the open descriptor, never the path.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use sha2::{Digest as _, Sha256};

use crate::elf::{self, ElfError, ElfFacts};

/// A library larger than this is refused.
const MAX_FILE: u64 = 1 << 30;

/// Who may own a plugin's file and the directories above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Root or the user that callmeter runs as. Nobody else may write to them.
    #[default]
    Strict,
    /// Anybody. Use it for tests of plugins in a build directory.
    Development,
}

/// Why a plugin's file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A relative path, or a bare name that would be searched for.
    #[error("give the plugin's absolute path; `{0}` is relative")]
    Relative(PathBuf),
    /// The file or a directory above it cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The last part of the path is a symbolic link.
    #[error("{0} is a symbolic link; give the file itself, so that nobody can point it elsewhere")]
    Symlink(PathBuf),
    /// A directory, a device, a pipe.
    #[error("{0} is not a regular file")]
    NotRegular(PathBuf),
    /// The file is empty or too large.
    #[error("{path} has {size} bytes; a plugin must not be empty or larger than 1 GiB")]
    Size {
        /// The path.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// Owned by another user.
    #[error(
        "{path} belongs to user {owner}; it must belong to root or to the user callmeter runs as ({user})"
    )]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user callmeter runs as.
        user: u32,
    },
    /// Others may write.
    #[error(
        "{path} can be written by its group or by everybody (mode {mode:03o}): run `chmod go-w {path}`"
    )]
    Writable {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its hash is not the pinned one.
    #[error("{path} has sha256 {found}, but the configuration pins {pinned}")]
    Pin {
        /// The file.
        path: PathBuf,
        /// Its hash.
        found: String,
        /// The hash in the configuration.
        pinned: String,
    },
    /// The file is not a plugin.
    #[error("{path}: {source}")]
    Elf {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ElfError,
    },
    /// Reading it failed.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A plugin's file, open and checked.
#[derive(Debug)]
pub struct PluginFile {
    path: PathBuf,
    file: File,
    sha256: String,
    facts: ElfFacts,
}

impl PluginFile {
    /// Opens and checks the file. With `pin`, a SHA-256 in hexadecimal, the checked bytes are
    /// copied to sealed memory and loaded from there, so that a later change of the file changes
    /// nothing.
    pub fn open(path: &Path, pin: Option<&str>, trust: Trust) -> Result<Self, FileError> {
        if !path.is_absolute() {
            return Err(FileError::Relative(path.to_owned()));
        }
        let file = open_itself(path)?;
        let of = |source| FileError::Read {
            path: path.to_owned(),
            source,
        };
        let metadata = file.metadata().map_err(of)?;
        if !metadata.is_file() {
            return Err(FileError::NotRegular(path.to_owned()));
        }
        if metadata.len() == 0 || metadata.len() > MAX_FILE {
            return Err(FileError::Size {
                path: path.to_owned(),
                size: metadata.len(),
            });
        }
        if trust == Trust::Strict {
            check_owner(path, &metadata)?;
            check_directories(path)?;
        }
        let (file, sha256) = match pin {
            None => {
                let sha256 = hash(&file, io::sink()).map_err(of)?;
                (file, sha256)
            }
            Some(pinned) => {
                let (copy, sha256) = sealed_copy(&file).map_err(of)?;
                if !sha256.eq_ignore_ascii_case(pinned) {
                    return Err(FileError::Pin {
                        path: path.to_owned(),
                        found: sha256,
                        pinned: pinned.to_owned(),
                    });
                }
                (copy, sha256)
            }
        };
        let facts = elf::read(&file).map_err(|source| FileError::Elf {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            sha256,
            facts,
        })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The SHA-256 of its bytes, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What the file says about itself.
    pub fn facts(&self) -> &ElfFacts {
        &self.facts
    }

    /// A second descriptor of exactly this open file, for the dynamic linker.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.file.as_fd().try_clone_to_owned()
    }

    /// Libraries that it needs beyond those that every Rust or C program needs. The dynamic linker
    /// searches for them, also in `LD_LIBRARY_PATH`, without any check.
    pub fn unusual_dependencies(&self) -> Vec<&str> {
        const USUAL: [&str; 7] = [
            "libc.so.",
            "libm.so.",
            "libgcc_s.so.",
            "ld-linux",
            "libpthread.so.",
            "libdl.so.",
            "librt.so.",
        ];
        let unusual = |name: &&str| !USUAL.iter().any(|usual| name.starts_with(usual));
        self.facts
            .needed
            .iter()
            .map(String::as_str)
            .filter(unusual)
            .collect()
    }
}

/// Opens the file, not what a symbolic link points to; does not wait for a pipe's other end.
fn open_itself(path: &Path) -> Result<File, FileError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => Ok(File::from(descriptor)),
        Err(rustix::io::Errno::LOOP) => Err(FileError::Symlink(path.to_owned())),
        Err(errno) => Err(FileError::Open {
            path: path.to_owned(),
            source: errno.into(),
        }),
    }
}

fn check_owner(path: &Path, metadata: &std::fs::Metadata) -> Result<(), FileError> {
    check_owner_for(path, metadata, rustix::process::geteuid().as_raw())
}

fn check_owner_for(path: &Path, metadata: &std::fs::Metadata, user: u32) -> Result<(), FileError> {
    let owner = metadata.uid();
    if owner != 0 && owner != user {
        return Err(FileError::Owner {
            path: path.to_owned(),
            owner,
            user,
        });
    }
    let mode = metadata.mode() & 0o7777;
    // In a sticky directory such as /tmp others cannot replace what is not theirs.
    let sticky = metadata.is_dir() && mode & 0o1000 != 0;
    if mode & 0o022 != 0 && !sticky {
        return Err(FileError::Writable {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

/// Checks every directory above the file, symbolic links resolved.
fn check_directories(path: &Path) -> Result<(), FileError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let of = |source| FileError::Open {
        path: parent.to_owned(),
        source,
    };
    let parent = parent.canonicalize().map_err(of)?;
    for directory in parent.ancestors() {
        let metadata = std::fs::metadata(directory).map_err(|source| FileError::Open {
            path: directory.to_owned(),
            source,
        })?;
        check_owner(directory, &metadata)?;
    }
    Ok(())
}

/// Copies the file into sealed memory, which nobody can change, and hashes the copy.
fn sealed_copy(file: &File) -> io::Result<(File, String)> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory: OwnedFd = rustix::fs::memfd_create("callmeter-plugin", flags)?;
    let mut copy = File::from(memory);
    let sha256 = hash(file, &mut copy)?;
    copy.flush()?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(copy.as_fd(), seals)?;
    Ok((copy, sha256))
}

fn hash(mut file: &File, mut copy: impl io::Write) -> io::Result<String> {
    file.rewind()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
        copy.write_all(bytes)?;
    }
    Ok(hasher
        .finalize()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a String does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::{FileError, PluginFile, Trust, check_owner_for};

    fn refusal(path: &Path) -> String {
        let error = PluginFile::open(path, None, Trust::Strict)
            .unwrap_err()
            .to_string();
        match path.parent() {
            Some(parent) if parent != Path::new("") => {
                error.replace(&parent.display().to_string(), "DIR")
            }
            _ => error,
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        insta::assert_snapshot!(refusal(Path::new("libcsv.so")), @"give the plugin's absolute path; `libcsv.so` is relative");
        insta::assert_snapshot!(refusal(&at("none.so")), @"cannot open DIR/none.so: No such file or directory (os error 2)");

        std::fs::create_dir(at("directory.so")).unwrap();
        insta::assert_snapshot!(refusal(&at("directory.so")), @"DIR/directory.so is not a regular file");

        std::fs::write(at("empty.so"), "").unwrap();
        insta::assert_snapshot!(refusal(&at("empty.so")), @"DIR/empty.so has 0 bytes; a plugin must not be empty or larger than 1 GiB");

        std::fs::write(at("text.so"), "hello").unwrap();
        insta::assert_snapshot!(refusal(&at("text.so")), @"DIR/text.so: it is not a shared library (no ELF header)");

        std::os::unix::fs::symlink(at("text.so"), at("link.so")).unwrap();
        insta::assert_snapshot!(refusal(&at("link.so")), @"DIR/link.so is a symbolic link; give the file itself, so that nobody can point it elsewhere");

        std::fs::set_permissions(at("text.so"), std::fs::Permissions::from_mode(0o664)).unwrap();
        insta::assert_snapshot!(refusal(&at("text.so")), @"DIR/text.so can be written by its group or by everybody (mode 664): run `chmod go-w DIR/text.so`");
    }

    #[test]
    fn a_directory_that_others_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        std::fs::write(open.join("text.so"), "hello").unwrap();
        assert!(refusal(&open.join("text.so")).contains("chmod go-w"));
    }

    #[test]
    fn a_pin_that_does_not_fit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text.so");
        std::fs::write(&path, "hello").unwrap();
        let open = |pin: &str| {
            PluginFile::open(&path, Some(pin), Trust::Strict)
                .unwrap_err()
                .to_string()
        };
        let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert!(open(&hello.replace('2', "3")).contains("but the configuration pins"));
        // The right pin leads on to the next check.
        assert!(open(&hello.to_uppercase()).contains("no ELF header"));
    }

    #[test]
    fn another_users_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text.so");
        std::fs::write(&path, "hello").unwrap();
        let user = rustix::process::geteuid();
        if user.is_root() {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            assert!(refusal(&path).starts_with("DIR/text.so belongs to user 12345"));
        } else {
            // Only root can give a file away: check this user's file as another user.
            let metadata = std::fs::metadata(&path).unwrap();
            let error = check_owner_for(&path, &metadata, user.as_raw() + 1).unwrap_err();
            assert!(matches!(error, FileError::Owner { .. }), "{error}");
        }
    }
}
