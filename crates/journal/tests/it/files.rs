//! The files of a journal, as a crash would leave them.
//!
//! What a crash can leave is derived from the files before and after an operation. A commit writes
//! only to the write-ahead log, from front to back (the tests check that the database file does not
//! change). So a killed process leaves the log up to some byte, followed by the rest of an older,
//! longer log. A power failure before the sync may also lose any part of what was written. A
//! checkpoint writes pages of the database file in ascending order and leaves the log as it is.
//! Between any two system calls the files are in one of these states, or in a better one.

use std::fs;
use std::path::Path;

use crate::support::Place;

/// Bytes of a database page.
pub(crate) const PAGE: usize = 4096;

/// The bytes of a journal's files at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) database: Vec<u8>,
    pub(crate) log: Vec<u8>,
}

impl Files {
    pub(crate) fn read(path: &Path) -> Self {
        let read = |path: &Path| fs::read(path).unwrap_or_default();
        Self {
            database: read(path),
            log: read(&log_path(path)),
        }
    }

    /// Puts the files in a new place, as after a restart of the machine.
    pub(crate) fn put(&self) -> Place {
        let place = Place::new();
        fs::write(place.path(), &self.database).unwrap();
        if !self.log.is_empty() {
            fs::write(log_path(&place.path()), &self.log).unwrap();
        }
        place
    }

    /// The bytes of the log that `after` wrote since `self`.
    pub(crate) fn written(&self, after: &Self) -> std::ops::Range<usize> {
        let same = self
            .log
            .iter()
            .zip(&after.log)
            .take_while(|(old, new)| old == new)
            .count();
        let end = if after.log.len() > self.log.len() {
            after.log.len()
        } else {
            // An older, longer log was overwritten from its start.
            let behind = self
                .log
                .iter()
                .rev()
                .zip(after.log.iter().rev())
                .take_while(|(old, new)| old == new);
            after.log.len() - behind.count()
        };
        same..end.max(same)
    }

    /// Killed in a commit, after `cut` of the written bytes.
    pub(crate) fn torn_commit(&self, after: &Self, cut: usize) -> Self {
        let written = self.written(after);
        let at = written.start + cut.min(written.len());
        let mut log = after.log[..at].to_vec();
        log.extend_from_slice(self.log.get(at..).unwrap_or_default());
        Self {
            database: self.database.clone(),
            log,
        }
    }

    /// The power failed in a commit: one sector of what was written is lost.
    pub(crate) fn lost_sector(&self, after: &Self, sector: usize) -> Option<Self> {
        let written = self.written(after);
        let sectors = written.len().div_ceil(512).max(1);
        let from = written.start + sector % sectors * 512;
        let to = (from + 512).min(written.end);
        let mut files = Self {
            database: self.database.clone(),
            log: after.log.clone(),
        };
        files.log[from..to].fill(0);
        (files.log != after.log).then_some(files)
    }

    /// Killed in a checkpoint, after `pages` of the pages that it changed and half of the next one.
    pub(crate) fn torn_checkpoint(&self, after: &Self, pages: usize) -> Self {
        let mut database = self.database.clone();
        database.resize(database.len().max(after.database.len()), 0);
        let changed: Vec<usize> = (0..after.database.len() / PAGE)
            .filter(|page| {
                let range = page * PAGE..(page + 1) * PAGE;
                self.database.get(range.clone()) != after.database.get(range)
            })
            .collect();
        let whole = pages % (changed.len() + 1);
        for page in &changed[..whole] {
            database[page * PAGE..(page + 1) * PAGE]
                .copy_from_slice(&after.database[page * PAGE..(page + 1) * PAGE]);
        }
        if let Some(page) = changed.get(whole) {
            let half = page * PAGE..page * PAGE + PAGE / 2;
            database[half.clone()].copy_from_slice(&after.database[half]);
        }
        Self {
            database,
            log: self.log.clone(),
        }
    }
}

fn log_path(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
