//! The ledger behind a lock for its writers, and the published snapshot for readers, who never wait.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::ledger::Ledger;
use crate::snapshot::Snapshot;

/// The ledger, shared: accounts change it, `/metrics` reads what was last published.
#[derive(Debug)]
pub struct Meter {
    ledger: Mutex<Ledger>,
    published: ArcSwap<Snapshot>,
}

impl Meter {
    /// Takes over a ledger (empty, or read from a blob and brought up to date) and publishes it.
    pub fn new(mut ledger: Ledger) -> Self {
        let snapshot = ledger.snapshot();
        Self {
            ledger: Mutex::new(ledger),
            published: ArcSwap::from_pointee(snapshot),
        }
    }

    /// Changes the ledger and publishes what came of it, in one step for readers.
    ///
    /// Writers wait for each other; readers of [`snapshot`](Self::snapshot) wait for nobody.
    pub fn update<R>(&self, change: impl FnOnce(&mut Ledger) -> R) -> R {
        // A panic in a writer cannot leave a batch half counted: batches are checked before the first row is counted.
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut ledger);
        let snapshot = Arc::new(ledger.snapshot());
        // Stored under the lock, so that an older snapshot never replaces a newer one.
        let before = self.published.swap(snapshot);
        drop(ledger);
        // Freeing what only the old snapshot held may take a while; nobody waits for it here.
        drop(before);
        result
    }

    /// Looks at the ledger without changing or publishing anything.
    pub fn inspect<R>(&self, look: impl FnOnce(&Ledger) -> R) -> R {
        look(&self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was published last.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }
}
