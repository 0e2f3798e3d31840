//! Reads a file without waiting, if the system has it in memory and it is on a drive of this
//! machine. A network drive may make even the opening of such a file wait.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// The paths that led to a drive of this machine when they were read last.
static LOCAL: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

fn local() -> MutexGuard<'static, HashSet<PathBuf>> {
    LOCAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes where a file is that was opened on a thread that may wait. To open a pipe would let its
/// writer begin.
pub(crate) fn note(path: &Path, file: &File) {
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if is_file && system::is_local(file) {
        local().insert(path.to_owned());
    } else {
        local().remove(path);
    }
}

/// The content of a file of at most `most` bytes; `None` if reading it may have to wait, or fails.
pub(crate) fn read(path: &Path, most: u64) -> Option<Vec<u8>> {
    if !local().contains(path) {
        return None;
    }
    let content = system::read(path, most);
    if content.is_none() {
        local().remove(path);
    }
    content
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io::IoSliceMut;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstatfs, openat2};
    use rustix::io::{ReadWriteFlags, preadv2};

    /// ext2 to ext4, XFS, Btrfs, F2FS, ZFS, tmpfs, ramfs: the numbers of `statfs(2)`.
    const LOCAL_FILE_SYSTEMS: [u32; 7] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0xf2f5_2010,
        0x2fc1_2fc1,
        0x0102_1994,
        0x8584_58f6,
    ];
    /// Room for most secrets; longer files take more reads.
    const ROOM: usize = 512;

    pub(super) fn is_local(file: &File) -> bool {
        let kind = fstatfs(file).ok().map(|stat| u32::try_from(stat.f_type));
        kind.is_some_and(|kind| kind.is_ok_and(|kind| LOCAL_FILE_SYSTEMS.contains(&kind)))
    }

    pub(super) fn read(path: &Path, most: u64) -> Option<Vec<u8>> {
        // A pipe must not wait for its writer; reading at a place of it fails.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
        let mut content = vec![0; ROOM];
        let mut end = 0;
        loop {
            let room = content.get_mut(end..)?;
            let mut room = [IoSliceMut::new(room)];
            let read = preadv2(&file, &mut room, end as u64, ReadWriteFlags::NOWAIT).ok()?;
            if read == 0 {
                content.truncate(end);
                return Some(content);
            }
            end += read;
            if end as u64 > most {
                return None;
            }
            if end == content.len() {
                content.resize(end * 2, 0);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::File;
    use std::path::Path;

    pub(super) fn is_local(_: &File) -> bool {
        false
    }

    pub(super) fn read(_: &Path, _: u64) -> Option<Vec<u8>> {
        None
    }
}
