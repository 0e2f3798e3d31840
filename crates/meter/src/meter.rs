//! The meter: a ledger that writers share, and snapshots that readers get without waiting.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::folding::Limits;
use crate::ledger::Ledger;
use crate::snapshot::Snapshot;

/// The interval of snapshots while writers follow each other without a gap. Each snapshot makes the
/// next change copy what they share, so that one per page would copy nearly everything each time.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);

/// The shared ledger: accounts change it, `/metrics` reads snapshots of it.
#[derive(Debug)]
pub struct Meter {
    current: Mutex<Current>,
    published: ArcSwap<Snapshot>,
}

#[derive(Debug)]
struct Current {
    ledger: Ledger,
    published_at: Instant,
    /// Whether the ledger has changed since the last snapshot.
    changed: bool,
}

impl Meter {
    /// Shares a ledger: an empty one, or one that was decoded and brought up to date.
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

    /// A meter whose totals are not known yet: its snapshots have no series at all, not even one at
    /// 0, which would make a counter decrease.
    pub fn starting() -> Self {
        let meter = Self::new(Ledger::new(Limits::default()));
        meter.published.store(Arc::default());
        meter
    }

    /// Sets the totals of a meter that is [`starting`](Self::starting).
    pub fn restore(&self, ledger: Ledger) {
        self.update(|current| *current = ledger);
    }

    /// Changes the ledger. A snapshot has either all of the change or nothing of it.
    ///
    /// Writers wait for each other; [`snapshot`](Self::snapshot) does not wait.
    pub fn update<R>(&self, change: impl FnOnce(&mut Ledger) -> R) -> R {
        let mut current = self.lock();
        let due = current.published_at.elapsed() >= PUBLISH_EVERY;
        // Readers get this snapshot while the change is made.
        let before = due.then(|| self.publish(&mut current));
        current.changed = true;
        let result = change(&mut current.ledger);
        drop(current);
        // Freeing the old snapshot may take a while, so the lock is released first.
        drop(before);
        result
    }

    /// Reads the ledger.
    pub fn inspect<R>(&self, look: impl FnOnce(&Ledger) -> R) -> R {
        let mut current = self.lock();
        // `look` may take long; readers get this snapshot meanwhile.
        drop(self.publish(&mut current));
        look(&current.ledger)
    }

    /// The current values; while a writer is active, those of up to 250 ms before it started.
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

    /// Ignores poisoning: a batch is checked before its first row is counted, so that a panic does
    /// not leave it half counted.
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a snapshot if anything has changed. Returns the one that it replaces.
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
    use crate::ledger::Api;

    #[test]
    fn a_meter_without_its_totals_shows_none() {
        let meter = Meter::starting();
        assert_eq!(meter.snapshot().series(), 0);
        let ledger = || Ledger::new(Limits::default());
        meter.restore(ledger());
        let series = Meter::new(ledger()).snapshot().series();
        assert_eq!(meter.snapshot().series(), series);
    }

    #[test]
    fn readers_do_not_wait_for_writers_and_see_whole_changes() {
        let meter = Meter::new(Ledger::new(Limits::default()));
        let none = meter.snapshot().series();
        meter.update(|ledger| ledger.configure("a", Api::HostedSuite));
        let one = meter.snapshot().series();
        assert!(one > none);
        let (started, seen) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                meter.update(|ledger| {
                    ledger.configure("b", Api::HostedSuite);
                    started.wait();
                    seen.wait();
                });
            });
            started.wait();
            // The writer holds the ledger: a reader that waits would never return.
            assert_eq!(meter.snapshot().series(), one);
            seen.wait();
        });
        assert_eq!(meter.snapshot().series() - none, 2 * (one - none));
        // `inspect` publishes first.
        meter.update(|ledger| ledger.unconfigure("b"));
        meter.inspect(|_| assert_eq!(meter.snapshot().series(), one));
    }
}
