//! The leases that this process holds, as far as it knows.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::database::connection::Connection;
use crate::leases::fence::{Fence, InstanceId};
use crate::leases::names::account_lease;
use crate::random;

/// How an instance takes part in sharing the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceOptions {
    /// Its name for people.
    pub name: String,
    /// How long a lease lasts if it is not renewed. All instances should have the same.
    pub lease: Duration,
}

impl InstanceOptions {
    /// How long a lease lasts if it is not renewed.
    pub const LEASE: Duration = Duration::from_secs(10);
    /// How often a round is due. Three of them may fail before a lease is lost.
    pub const ROUND: Duration = Duration::from_millis(2500);

    /// An instance with the usual times.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            lease: Self::LEASE,
        }
    }
}

/// This process as an instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) options: InstanceOptions,
}

/// What this process knows of its leases.
#[derive(Default)]
pub(crate) struct Leases {
    known: Mutex<Known>,
    /// The connection of the rounds. Only one round runs at a time.
    pub(super) rounds: Mutex<Rounds>,
    released: Mutex<u64>,
    has_released: Condvar,
}

#[derive(Default)]
struct Known {
    /// `None`: this process shares no work.
    instance: Option<Instance>,
    /// The leases of accounts that do not have their own.
    leases: HashMap<String, String>,
    /// The leases that the last round wanted.
    wanted: Vec<String>,
    /// Those that the others are to leave to this process, and for how many claims.
    claims: BTreeMap<String, usize>,
    /// The epoch of each lease.
    held: HashMap<String, i64>,
    /// What the other instances are told of the work.
    state: Vec<u8>,
    /// When the leases end by this machine's clock, if no further round succeeds.
    until: Option<Instant>,
}

/// What the rounds keep.
#[derive(Default)]
pub(crate) struct Rounds {
    pub(super) conn: Option<Connection>,
    /// The state that the row of this instance has.
    pub(super) told: Option<Vec<u8>>,
    /// In how many rounds each lease was seen without a holder.
    pub(super) unheld: HashMap<String, u32>,
    /// The oldest batch, and the sequence of the oldest call.
    pub(super) oldest: Option<(i64, i64)>,
}

impl Leases {
    /// Makes this process an instance, unless it is one.
    pub(crate) fn join(&self, options: impl FnOnce() -> InstanceOptions) -> Instance {
        let join = || Instance {
            id: random::bytes(),
            options: options(),
        };
        self.known().instance.get_or_insert_with(join).clone()
    }

    /// This process as an instance; `None` if it shares no work.
    pub(crate) fn instance(&self) -> Option<Instance> {
        self.known().instance.clone()
    }

    /// What a write that needs a lease checks.
    pub(crate) fn fence(&self, lease: String) -> Fence {
        let known = self.known();
        match (&known.instance, known.held.get(&lease)) {
            (None, _) => Fence::Alone { lease },
            (Some(_), None) => Fence::NotHeld { lease },
            (Some(instance), Some(epoch)) => Fence::Held {
                lease,
                holder: instance.id,
                epoch: *epoch,
            },
        }
    }

    /// The lease of an account.
    pub(crate) fn lease_of(&self, account: &str) -> String {
        let known = self.known();
        let other = known.leases.get(account).cloned();
        other.unwrap_or_else(|| account_lease(account))
    }

    /// Sets that an account has another lease than its own.
    pub(crate) fn set_lease(&self, account: &str, lease: String) {
        self.known().leases.insert(account.to_owned(), lease);
    }

    /// Sets what the other instances are told of the work.
    pub(super) fn tell(&self, state: Vec<u8>) {
        self.known().state = state;
    }

    /// What the other instances are told of the work.
    pub(super) fn state(&self) -> Vec<u8> {
        self.known().state.clone()
    }

    /// Sets what a round wants; returns what is claimed.
    pub(super) fn want(&self, wanted: &[String]) -> Vec<String> {
        let mut known = self.known();
        wanted.clone_into(&mut known.wanted);
        known.claims.keys().cloned().collect()
    }

    /// Claims a lease. False if the last round did not want it.
    pub(super) fn add_claim(&self, lease: &str) -> bool {
        let mut known = self.known();
        if !known.wanted.iter().any(|wanted| wanted == lease) {
            return false;
        }
        *known.claims.entry(lease.to_owned()).or_default() += 1;
        drop(known);
        // The next round is due now.
        self.note_release();
        true
    }

    /// Takes a claim back.
    pub(super) fn remove_claim(&self, lease: &str) {
        let mut known = self.known();
        if let Some(claims) = known.claims.get_mut(lease) {
            *claims -= 1;
            if *claims == 0 {
                known.claims.remove(lease);
            }
        }
    }

    /// The names of the leases that are held, and did not end since the last round.
    pub(crate) fn held(&self) -> Vec<String> {
        let known = self.known();
        if known.until.is_none_or(|until| until <= Instant::now()) {
            return Vec::new();
        }
        let mut names: Vec<_> = known.held.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Replaces what is held by the result of a round that began at `began`. Returns what was held
    /// before.
    pub(super) fn replace(
        &self,
        held: HashMap<String, i64>,
        began: Instant,
    ) -> HashMap<String, i64> {
        let mut known = self.known();
        let lease = known.instance.as_ref().map(|me| me.options.lease);
        known.until = lease.and_then(|lease| began.checked_add(lease));
        std::mem::replace(&mut known.held, held)
    }

    /// Forgets a lease before it is released. Returns its epoch.
    pub(super) fn forget(&self, lease: &str) -> Option<i64> {
        self.known().held.remove(lease)
    }

    /// Notes that some instance has released a lease.
    pub(crate) fn note_release(&self) {
        let mut released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        *released = released.wrapping_add(1);
        self.has_released.notify_all();
    }

    /// Waits until some instance releases a lease, but not longer than `time`. True if one did
    /// since `seen`, which becomes the number of releases so far.
    pub(crate) fn wait_for_release(&self, seen: &mut u64, time: Duration) -> bool {
        let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        let (released, _) = self
            .has_released
            .wait_timeout_while(released, time, |released| *released == *seen)
            .unwrap_or_else(PoisonError::into_inner);
        let is_new = *released != *seen;
        *seen = *released;
        is_new
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // No panic leaves it half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
