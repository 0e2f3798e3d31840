//! The texts of calls that the journal has: a record whose text has not changed by a byte since
//! then is known, and nothing else of it is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostedsuite_client::{Hashed, KnownRows, KnownText};

/// The most calls of an account: some 4 MiB. Further ones are read as if they were new.
const MOST: usize = 1 << 16;

/// The texts of an account's calls. Its readings add them, and its client looks them up.
#[derive(Debug, Clone, Default)]
pub(in crate::sources) struct KnownTexts(Arc<Mutex<Texts>>);

/// A call that is known by its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownCall {
    pub(super) text: KnownText,
    /// The hash of its id as the journal has it.
    pub(super) id: u64,
    pub(super) start: Option<i64>,
}

/// By hashes of ids as the server writes them.
#[derive(Debug, Default)]
pub(super) struct Texts(HashMap<u64, KnownCall, Hashed>);

impl KnownTexts {
    pub(super) fn lock(&self) -> MutexGuard<'_, Texts> {
        // A panic cannot leave the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownRows for KnownTexts {
    fn text_of(&self, id: u64) -> Option<KnownText> {
        Some(self.lock().get(id)?.text)
    }
}

impl Texts {
    pub(super) fn get(&self, id: u64) -> Option<KnownCall> {
        self.0.get(&id).copied()
    }

    /// Adds a call that the journal has with these contents.
    pub(super) fn add(&mut self, id: u64, call: KnownCall) {
        // Days that are no longer read leave their calls behind.
        if self.0.len() >= MOST && !self.0.contains_key(&id) {
            self.0.clear();
        }
        self.0.insert(id, call);
    }

    /// Removes a call: the journal has other contents, or may have.
    pub(super) fn remove(&mut self, id: u64) {
        self.0.remove(&id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
