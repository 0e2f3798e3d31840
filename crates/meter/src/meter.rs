//! The ledger behind a lock for its writers, and snapshots of it for readers, who never wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::ledger::Ledger;
use crate::snapshot::Snapshot;

/// While writers follow each other without a gap, a snapshot is made this often. What a snapshot shares with the ledger
/// is copied when it changes next: one for each page of a poll would copy nearly everything for each.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);

/// The ledger, shared: accounts change it, `/metrics` reads snapshots of it.
#[derive(Debug)]
pub struct Meter {
    current: Mutex<Current>,
    published: ArcSwap<Snapshot>,
}

#[derive(Debug)]
struct Current {
    ledger: Ledger,
    published_at: Instant,
    /// Whether the ledger has changed since.
    changed: bool,
}

impl Meter {
    /// Takes over a ledger: empty, or read from a blob and brought up to date.
    pub fn new(mut ledger: Ledger) -> Self {
        let snapshot = ledger.snapshot();
        let current = Current {
            ledger,
            published_at: Instant::now(),
            changed: false,
        };
        Self {
            current: Mutex::new(current),
            published: ArcSwap::from_pointee(snapshot),
        }
    }

    /// Changes the ledger, in one step for readers: a snapshot has all of the change or nothing.
    ///
    /// Writers wait for each other; readers of [`snapshot`](Self::snapshot) wait for nobody.
    pub fn update<R>(&self, change: impl FnOnce(&mut Ledger) -> R) -> R {
        let mut current = self.lock();
        let due = current.published_at.elapsed() >= PUBLISH_EVERY;
        // What readers get while the change goes on.
        let before = due.then(|| self.publish(&mut current));
        current.changed = true;
        let result = change(&mut current.ledger);
        drop(current);
        // Freeing what only the old snapshot held may take a while; nobody waits for it here.
        drop(before);
        result
    }

    /// Looks at the ledger without changing anything.
    pub fn inspect<R>(&self, look: impl FnOnce(&Ledger) -> R) -> R {
        let mut current = self.lock();
        // A look may take long: readers go on with the figures that it looks at.
        drop(self.publish(&mut current));
        look(&current.ledger)
    }

    /// The figures as they are now; while a writer is at work, as they were up to 250 ms before it began.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let current = match self.current.try_lock() {
            Ok(current) => Some(current),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(mut current) = current {
            let before = self.publish(&mut current);
            drop(current);
            drop(before);
        }
        self.published.load_full()
    }

    /// A panic in a writer cannot leave a batch half counted: batches are checked before the first row is counted.
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a snapshot, if anything has changed since the last; gives that back.
    fn publish(&self, current: &mut Current) -> Option<Arc<Snapshot>> {
        if !current.changed {
            return None;
        }
        current.changed = false;
        current.published_at = Instant::now();
        Some(self.published.swap(Arc::new(current.ledger.snapshot())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::Limits;

    #[test]
    fn readers_wait_for_no_writer_and_see_no_half() {
        let meter = Meter::new(Ledger::new(Limits::default()));
        let none = meter.snapshot().series();
        meter.update(|ledger| ledger.configure("a", crate::Api::HostedSuite));
        let one = meter.snapshot().series();
        assert!(one > none);
        let (begun, seen) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                meter.update(|ledger| {
                    ledger.configure("b", crate::Api::HostedSuite);
                    begun.wait();
                    seen.wait();
                });
            });
            begun.wait();
            // The writer holds the ledger: a reader that waited would wait for ever.
            assert_eq!(meter.snapshot().series(), one);
            seen.wait();
        });
        assert_eq!(meter.snapshot().series() - none, 2 * (one - none));
        // What is looked at for long is published before.
        meter.update(|ledger| ledger.unconfigure("b"));
        meter.inspect(|_| assert_eq!(meter.snapshot().series(), one));
    }
}
