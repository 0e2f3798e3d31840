//! Compresses finished files, piece by piece and outside of callmeter's calls. The state knows how
//! much of a file is compressed, so that a stop costs one piece.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::archive::Archive;
use crate::config::Place;
use crate::error::{Context as _, CsvError, Result};
use crate::names;
use crate::part::publish;
use crate::state::{Packed, Packing, create_new, inode_at, open_file, sync_directory};

/// Bytes of a file that are compressed in one piece. Each piece is a member of the gzip file.
const PIECE: u64 = 16 << 20;

/// A piece of work: the file, and the one that it is compressed into.
struct Piece {
    stream: String,
    job: Packing,
    packed: Packed,
    directory: PathBuf,
}

/// What became of a piece.
enum Done {
    /// So many bytes were read in all, and take so many bytes.
    Bytes { read: u64, written: u64 },
    /// The compressed file is not the one that was begun.
    PackedLost,
    /// The file is not the one that was finished.
    SourceLost,
}

/// Compresses one piece of the oldest file that waits. Returns whether there was one. The archive
/// is locked only while the state changes.
pub(crate) fn pack_next(archive: &Mutex<Option<Archive>>) -> Result<bool> {
    pack_piece(archive, PIECE)
}

fn pack_piece(archive: &Mutex<Option<Archive>>, size: u64) -> Result<bool> {
    let lock = || archive.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(piece) = lock()
        .as_mut()
        .map(Archive::next_piece)
        .transpose()?
        .flatten()
    else {
        return Ok(false);
    };
    let done = piece.compress(size)?;
    if let Some(archive) = lock().as_mut() {
        archive.packed(&piece, &done)?;
    }
    Ok(true)
}

impl Archive {
    /// The next piece, with a file to compress it into.
    fn next_piece(&mut self) -> Result<Option<Piece>> {
        let directory = self.place.directory().to_owned();
        let waiting = self
            .state
            .streams
            .iter_mut()
            .find_map(|(stream, known)| Some((stream.clone(), known.packing.first_mut()?)));
        let Some((stream, job)) = waiting else {
            return Ok(None);
        };
        if let Some(packed) = job.packed.clone() {
            let job = job.clone();
            return Ok(Some(Piece {
                stream,
                job,
                packed,
                directory,
            }));
        }
        let packed = begin(&directory, &job.name)?;
        job.packed = Some(packed.clone());
        let job = job.clone();
        self.save()?;
        Ok(Some(Piece {
            stream,
            job,
            packed,
            directory,
        }))
    }

    /// Notes what became of a piece, and publishes the compressed file when it is complete.
    fn packed(&mut self, piece: &Piece, done: &Done) -> Result<()> {
        let source = piece.source();
        let Some(job) = self
            .state
            .streams
            .get_mut(&piece.stream)
            .and_then(|known| known.packing.first_mut())
            .filter(|job| job.name == piece.job.name)
        else {
            return Ok(());
        };
        match (done, &mut job.packed) {
            (Done::Bytes { read, written }, Some(packed)) => {
                (packed.read, packed.written) = (*read, *written);
                let complete = *read == job.bytes;
                // Before the name is given, so that a crash in between is recognised.
                self.save()?;
                if complete {
                    self.publish_packed(piece)?;
                }
                Ok(())
            }
            (Done::PackedLost | Done::Bytes { .. }, packed) => {
                *packed = None;
                self.save()
            }
            (Done::SourceLost, _) => {
                self.host.error(format_args!(
                    "{} is not the file that was written here; it is left as it is, and not \
                     compressed",
                    source.display()
                ));
                self.drop_first(&piece.stream)
            }
        }
    }

    /// Gives the compressed file its name, and only then removes the other one. It can be repeated
    /// after a crash at any point.
    fn publish_packed(&mut self, piece: &Piece) -> Result<()> {
        let (from, source) = (piece.target(), piece.source());
        let mut part = piece.job.part;
        let Place::Directory { prefix, .. } = &self.place else {
            return Ok(());
        };
        loop {
            let name = names::file(prefix, &piece.stream, &piece.job.period, part);
            let to = piece.directory.join(format!("{name}{}", names::PACKED));
            // It was published before a crash.
            if inode_at(&to)? == Some(piece.packed.inode) {
                break;
            }
            let free = part == piece.job.part
                || names::is_free(&piece.directory, &name).on("look into", &piece.directory)?;
            if free && publish(&from, &to)? {
                break;
            }
            part += 1;
        }
        sync_directory(&piece.directory)?;
        let found = inode_at(&source)?;
        if found.is_some() && (piece.job.inode.is_none() || found == piece.job.inode) {
            fs::remove_file(&source).on("remove", &source)?;
        }
        self.drop_first(&piece.stream)
    }

    fn drop_first(&mut self, stream: &str) -> Result<()> {
        if let Some(known) = self.state.streams.get_mut(stream)
            && !known.packing.is_empty()
        {
            known.packing.remove(0);
        }
        self.save()
    }
}

/// Creates a hidden file to compress into.
fn begin(directory: &Path, source: &str) -> Result<Packed> {
    let base = source.trim_end_matches(names::PARTIAL);
    for number in 1_u32.. {
        let name = format!(".{base}{}.{number}", names::PACKED);
        let path = directory.join(&name);
        match create_new(&path) {
            Ok(file) => {
                let inode = file.metadata().on("look at", &path)?.ino();
                return Ok(Packed {
                    name,
                    inode,
                    read: 0,
                    written: 0,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).on("create", &path),
        }
    }
    Err(CsvError::Foreign {
        path: directory.join(source),
    })
}

impl Piece {
    fn source(&self) -> PathBuf {
        self.directory.join(&self.job.name)
    }

    fn target(&self) -> PathBuf {
        self.directory.join(&self.packed.name)
    }

    /// Compresses up to `size` bytes durably.
    fn compress(&self, size: u64) -> Result<Done> {
        let (source_path, target_path) = (self.source(), self.target());
        let Packed {
            read,
            written,
            inode,
            ..
        } = self.packed;
        if read == self.job.bytes {
            // Complete, and perhaps published before a crash.
            return Ok(Done::Bytes { read, written });
        }
        let Some(target) = open_file(&target_path)? else {
            return Ok(Done::PackedLost);
        };
        let about = target.metadata().on("look at", &target_path)?;
        if about.ino() != inode || about.len() < written {
            return Ok(Done::PackedLost);
        }
        let Some(source) = open_file(&source_path)? else {
            return Ok(Done::SourceLost);
        };
        let about = source.metadata().on("look at", &source_path)?;
        let same = self.job.inode.is_none_or(|inode| inode == about.ino());
        if !same || about.len() < self.job.bytes {
            return Ok(Done::SourceLost);
        }
        let size = size.min(self.job.bytes - read);
        let mut text = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        source
            .read_exact_at(&mut text, read)
            .on("read", &source_path)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let member = encoder.write_all(&text).and_then(|()| encoder.finish());
        let member = member.on("compress", &source_path)?;
        // What follows was not noted in the state.
        target.set_len(written).on("cut", &target_path)?;
        target
            .write_all_at(&member, written)
            .on("write", &target_path)?;
        target.sync_all().on("sync", &target_path)?;
        Ok(Done::Bytes {
            read: read + size,
            written: written + member.len() as u64,
        })
    }
}

/// Compresses everything that waits, in pieces of this size.
#[cfg(test)]
pub(crate) fn pack_all(archive: Archive, size: u64) -> Archive {
    let archive = Mutex::new(Some(archive));
    while pack_piece(&archive, size).unwrap() {}
    archive.into_inner().unwrap().unwrap()
}

/// Compresses one piece.
#[cfg(test)]
pub(crate) fn pack_one(archive: Archive, size: u64) -> Archive {
    let archive = Mutex::new(Some(archive));
    assert!(pack_piece(&archive, size).unwrap());
    archive.into_inner().unwrap().unwrap()
}
