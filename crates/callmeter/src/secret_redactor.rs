//! Removes the secrets that this process has read from every text that leaves it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use api_client::{Scrubber, Secret, SecretError};
use arc_swap::ArcSwap;

use crate::config::SecretSource;

/// Remembers every secret that is read, and removes it from log lines, status texts and pages.
///
/// API clients already scrub what their server sends. This covers all other text.
#[derive(Default)]
pub struct SecretRedactor {
    known: Mutex<Known>,
    /// One for each group of [`Known`].
    scrubbers: ArcSwap<Vec<Scrubber>>,
}

/// The secrets in the order in which they were read.
///
/// The search of a group is prepared once, which takes time in proportion to its size. So groups
/// of one size are joined: each secret is in few groups over time, and there are few groups at any
/// time.
#[derive(Default)]
struct Known {
    all: HashSet<Secret>,
    groups: Vec<Vec<Secret>>,
}

/// A secret that was read so recently is used again. A thread reads each file, which would be a
/// fifth of the cost of a request.
const FRESH: Duration = Duration::from_secs(1);

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
        if secret.is_empty() || known.all.contains(secret) {
            return;
        }
        let mut scrubbers = self.scrubbers.load().as_ref().clone();
        if known.all.len() >= MAX_KNOWN && !known.groups.is_empty() {
            // The oldest ones.
            for secret in known.groups.remove(0) {
                known.all.remove(&secret);
            }
            scrubbers.remove(0);
        }
        known.all.insert(secret.clone());
        let mut group = vec![secret.clone()];
        while let Some(last) = known.groups.pop_if(|last| last.len() <= group.len()) {
            scrubbers.pop();
            group.splice(0..0, last);
        }
        scrubbers.push(Scrubber::new(&group));
        known.groups.push(group);
        self.scrubbers.store(Arc::new(scrubbers));
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

    /// The source for an API client. It is read again when its last value is a second old, and each
    /// value is remembered.
    pub fn source(self: &Arc<Self>, source: &SecretSource) -> api_client::SecretSource {
        let redactor = Arc::clone(self);
        let source = source.clone();
        let last = Mutex::new(None);
        api_client::SecretSource::provider(move || {
            // Not locked while the source is read: a file may take seconds.
            let known: Option<(Instant, Secret)> =
                last.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some((at, secret)) = known
                && at.elapsed() < FRESH
            {
                return Ok(secret);
            }
            let at = Instant::now();
            let secret = redactor.read(&source)?;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, secret.clone()));
            Ok(secret)
        })
    }

    /// The text without any secret that this process has read.
    pub fn scrub(&self, text: &str) -> String {
        Scrubber::scrub_all(&self.scrubbers.load(), text).into_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_removed_and_the_groups_are_few() {
        let redactor = SecretRedactor::new();
        for number in 0..1_000 {
            redactor.remember(&Secret::from(format!("secret-{number:04}!")));
        }
        for number in 0..1_000 {
            let text = redactor.scrub(&format!("x secret-{number:04}! y"));
            assert_eq!(text, "x *** y");
        }
        // As many as the binary number 1000 has ones.
        assert_eq!(redactor.scrubbers.load().len(), 6);
        assert_eq!(redactor.known.lock().unwrap().all.len(), 1_000);
    }
}
