//! The journal's interface for instances that share the work.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::journal::Journal;
use crate::leases::claims::Claim;
use crate::leases::held::{InstanceOptions, Rounds};
use crate::leases::names::account_of;
use crate::leases::round::{self, Done, State};

/// What an instance holds after a round, and what it has to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// All leases that it holds, in order.
    pub held: Vec<String>,
    /// Those that it has got in this round: the work begins.
    pub acquired: Vec<String>,
    /// Those that it has lost since the last round: the work ends. One that was lost and got again
    /// is in both.
    pub lost: Vec<String>,
    /// Those that it holds and has to give up: the work ends, then they are released.
    pub give_up: Vec<String>,
    /// All live instances, by name.
    pub instances: Vec<String>,
    /// All leases, each with the name of the instance that holds it.
    pub holders: Vec<(String, Option<String>)>,
    /// What the other live instances say of their work, by their names.
    pub states: Vec<(String, Vec<u8>)>,
}

impl Journal {
    /// Whether other processes may use the journal at the same time.
    pub fn is_shared(&self) -> bool {
        self.location().file().is_none()
    }

    /// Makes this process an instance that shares the work, under a name for people. From now on it
    /// writes only what it holds the lease for.
    pub fn join(&self, options: InstanceOptions) {
        self.log.leases().join(|| options);
    }

    /// Sets what the other instances get to read of this one's work, from the next round on.
    pub fn tell(&self, state: Vec<u8>) {
        self.log.leases().tell(state);
    }

    /// Sets that an account's records are appended under another lease than its own, such as the
    /// rates of a file under that of the charges that use them.
    pub fn append_under(&self, account: &str, lease: String) {
        self.log.leases().set_lease(account, lease);
    }

    /// Says that this instance lives, renews its leases, and takes its share of what it wants. Has
    /// to be called every [`InstanceOptions::ROUND`], and when
    /// [`wait_for_release`](Self::wait_for_release) says so.
    ///
    /// A process that has not joined joins under the name of its process id.
    pub fn round(&self, wanted: &[String]) -> Result<Round> {
        let leases = self.log.leases();
        let me = leases.join(|| InstanceOptions::new(format!("process {}", std::process::id())));
        let mut rounds = leases.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        // Before it is sent: a lease must not seem to last longer here than there.
        let began = Instant::now();
        let claims = leases.want(wanted);
        let (done, before) = {
            let Rounds {
                conn, unheld, told, ..
            } = &mut *rounds;
            let conn = self.log.connection(conn)?;
            let state = State {
                text: leases.state(),
                told,
                claims,
            };
            let done = round::run(conn, &me, wanted, state, unheld)
                .map_err(|source| conn.failed("share the work of", source))?;
            let before = leases.replace(done.held.clone(), began);
            (done, before)
        };
        let calls = rounds.oldest.map_or(0, |(_, calls)| done.oldest.1 - calls);
        let is_newer = rounds.oldest.is_none_or(|(seq, _)| seq < done.oldest.0);
        rounds.oldest = Some(done.oldest);
        drop(rounds);
        let round = report(&done, &before);
        for lease in round.lost.iter().chain(&round.acquired) {
            if let Some(account) = account_of(lease) {
                self.memories.forget(account);
            }
        }
        if is_newer {
            // Another instance's retention has deleted what was older.
            self.log.clear_tail();
            self.memories.forget_deleted(
                done.oldest.0.cast_unsigned(),
                u64::try_from(calls).unwrap_or(0),
            );
        }
        Ok(round)
    }

    /// Gets a lease from the instance that holds it, and keeps it, until the claim is dropped. It
    /// takes a round of both. `None` if this instance does not want the lease: its last round did
    /// not, or it shares no work.
    pub fn claim(&self, lease: &str) -> Option<Claim> {
        Claim::new(&self.log, lease)
    }

    /// Gives up leases, and tells the others. The work on them must have ended.
    pub fn release(&self, names: &[String]) -> Result<()> {
        let leases = self.log.leases();
        let Some(me) = leases.instance() else {
            return Ok(());
        };
        let mut rounds = leases.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let forget = |name: &String| Some((name.clone(), leases.forget(name)?));
        let held: Vec<(String, i64)> = names.iter().filter_map(forget).collect();
        for account in names.iter().filter_map(|name| account_of(name)) {
            self.memories.forget(account);
        }
        let conn = self.log.connection(&mut rounds.conn)?;
        round::release(conn, me.id, &held)
    }

    /// Gives up all leases, and takes this instance off the list of those that share the work. The
    /// work must have ended.
    pub fn leave(&self) -> Result<()> {
        let leases = self.log.leases();
        let Some(me) = leases.instance() else {
            return Ok(());
        };
        let mut rounds = leases.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let held = leases.replace(HashMap::new(), Instant::now());
        let conn = self.log.connection(&mut rounds.conn)?;
        round::leave(conn, me.id)?;
        let mut held: Vec<_> = held.into_iter().collect();
        held.sort_unstable();
        round::release(conn, me.id, &held)
    }

    /// The leases that this instance holds. None if no round has succeeded for the time of a lease:
    /// then others may have them.
    pub fn held_leases(&self) -> Vec<String> {
        self.log.leases().held()
    }

    /// Waits until some instance releases leases, but not longer than `time`. True if one did since
    /// `seen`, which becomes the number of releases so far.
    pub fn wait_for_release(&self, seen: &mut u64, time: Duration) -> bool {
        self.log.leases().wait_for_release(seen, time)
    }
}

fn report(done: &Done, before: &HashMap<String, i64>) -> Round {
    let sorted = |names: Vec<&String>| {
        let mut names: Vec<String> = names.into_iter().cloned().collect();
        names.sort_unstable();
        names
    };
    let differs = |one: &HashMap<String, i64>, other: &HashMap<String, i64>| {
        let changed = one
            .iter()
            .filter(|(name, epoch)| other.get(*name) != Some(*epoch));
        sorted(changed.map(|(name, _)| name).collect())
    };
    let name_of = |id| {
        let peer = done.live.iter().find(|peer| Some(peer.id) == id);
        peer.map(|peer| peer.name.clone())
    };
    let mut instances: Vec<String> = done.live.iter().map(|peer| peer.name.clone()).collect();
    instances.sort_unstable();
    let others = done.live.iter().filter(|peer| peer.id != done.me);
    let mut states: Vec<_> = others
        .map(|peer| (peer.name.clone(), peer.state.clone()))
        .collect();
    states.sort_unstable();
    Round {
        held: sorted(done.held.keys().collect()),
        acquired: differs(&done.held, before),
        lost: differs(before, &done.held),
        give_up: done.give_up.clone(),
        instances,
        holders: done
            .leases
            .iter()
            .map(|(name, holder)| (name.clone(), name_of(*holder)))
            .collect(),
        states,
    }
}
