//! What the servers share: the world, its clock and the faults.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;
use crate::error::SimulatorError;
use crate::faults::{Faults, RequestFaults};
use crate::ledger::{Ledger, LedgerQuery};
use crate::options::Options;
use crate::portsip::pbx::Pbx;
use crate::requests::RequestLog;
use crate::world::{RecordFaults, View, World};

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) request_faults: RequestFaults,
    pub(crate) requests: RequestLog,
    pub(crate) pbx: Pbx,
    /// PEM of the certificate, when one of the servers speaks TLS.
    pub(crate) certificate: Option<String>,
    world: RwLock<World>,
    faults: RwLock<RecordFaults>,
}

impl State {
    pub(crate) fn new(
        options: Options,
        certificate: Option<String>,
    ) -> Result<Self, SimulatorError> {
        options.check()?;
        let start = options.start.unwrap_or_else(|| {
            let now = Timestamp::now();
            if options.speed > 1.0 {
                now.saturating_sub(SignedDuration::from_hours(24))
                    .unwrap_or(now)
            } else {
                now
            }
        });
        let world = World::new(&options, start)?;
        Ok(Self {
            clock: Clock::new(start, options.speed, options.ahead),
            request_faults: RequestFaults::default(),
            requests: RequestLog::default(),
            pbx: Pbx::new(&options, start),
            certificate,
            world: RwLock::new(world),
            faults: RwLock::new(RecordFaults::new(options.faults.clone())),
            options,
        })
    }

    /// Gives a view of the world as it is now.
    pub(crate) fn view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let now = self.clock.now();
        if read(&self.world).is_behind(now) {
            write(&self.world).extend(now);
        }
        let world = read(&self.world);
        let faults = read(&self.faults);
        look(&View {
            world: &world,
            faults: &faults,
            now,
            requests: self.request_faults.since_change(),
        })
    }

    pub(crate) fn faults(&self) -> Faults {
        read(&self.faults).now.clone()
    }

    /// Replaces the active faults.
    pub(crate) fn set_faults(&self, faults: Faults) {
        write(&self.faults).set(self.clock.now(), faults);
        self.request_faults.reset();
    }

    pub(crate) fn ledger(&self, query: &LedgerQuery) -> Ledger {
        self.view(|view| Ledger::new(view, query, self.pbx.truth(view.now)))
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
