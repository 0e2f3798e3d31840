//! Removes the secrets that this process has read from every text that leaves it.

use std::sync::{Arc, Mutex, PoisonError};

use api_client::{Scrubber, Secret, SecretError};
use arc_swap::ArcSwap;

use crate::config::SecretSource;

/// Remembers every secret that is read, and removes it from log lines, status texts and pages.
///
/// API clients already scrub what their server sends. This covers all other text.
#[derive(Default)]
pub struct SecretRedactor {
    known: Mutex<Vec<Secret>>,
    scrubber: ArcSwap<Scrubber>,
}

/// The number of secrets that are remembered. Passwords are rotated a few times a year.
const MAX_KNOWN: usize = 10_000;

impl SecretRedactor {
    /// An empty redactor.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a secret. It is scrubbed from now on.
    pub fn remember(&self, secret: &Secret) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if secret.is_empty() || known.contains(secret) {
            return;
        }
        if known.len() >= MAX_KNOWN {
            known.remove(0);
        }
        known.push(secret.clone());
        self.scrubber.store(Arc::new(Scrubber::new(known.iter())));
    }

    /// Reads a secret from its source and remembers it. Other tasks of the runtime continue while a
    /// disk is slow.
    ///
    /// # Errors
    /// As [`SecretSource::read`].
    pub fn read(&self, source: &SecretSource) -> Result<Secret, SecretError> {
        let secret = aside(|| source.read())?;
        self.remember(&secret);
        Ok(secret)
    }

    /// The source for an API client. It is read at each use, and each value is remembered.
    pub fn source(self: &Arc<Self>, source: &SecretSource) -> api_client::SecretSource {
        let redactor = Arc::clone(self);
        let source = source.clone();
        api_client::SecretSource::provider(move || redactor.read(&source))
    }

    /// The text without any secret that this process has read.
    pub fn scrub(&self, text: &str) -> String {
        self.scrubber.load().scrub(text).into_owned()
    }
}

/// Runs work that may wait for a disk. On a worker of the runtime, the other tasks of this worker
/// move to another one.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(work)
        }
        _ => work(),
    }
}

impl std::fmt::Debug for SecretRedactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretRedactor")
    }
}
