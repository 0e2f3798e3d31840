//! What an instance takes and gives up, so that all live instances have even shares.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::leases::fence::InstanceId;
use crate::leases::names::Kind;

/// A lease that was seen so often without a holder is taken by anyone who wants it.
const PATIENCE: u32 = 3;

/// A live instance.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: InstanceId,
    pub(crate) name: String,
    pub(crate) wanted: HashSet<String>,
    /// What it says of its work.
    pub(crate) state: Vec<u8>,
}

/// A lease as a round sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Who holds it.
    pub(crate) holder: Option<InstanceId>,
    /// In how many rounds before this one it had no holder.
    pub(crate) unheld: u32,
}

/// What a round changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) take: Vec<String>,
    pub(crate) give_up: Vec<String>,
}

/// What `me` takes and gives up. `live` has all live instances, with `me`.
pub(crate) fn plan(me: InstanceId, live: &[Peer], leases: &BTreeMap<String, Seen>) -> Plan {
    let mut plan = Plan::default();
    let Some(own) = live.iter().position(|peer| peer.id == me) else {
        return plan;
    };
    for kind in Kind::ALL {
        plan_kind(own, live, leases, kind, &mut plan);
    }
    plan
}

/// The leases of a kind that at least two live instances want.
fn contested(live: &[Peer], kind: Kind) -> BTreeSet<&str> {
    let mut once = HashSet::new();
    let mut twice = BTreeSet::new();
    let names = live.iter().flat_map(|peer| &peer.wanted);
    for name in names.filter(|name| Kind::of(name) == kind) {
        if !once.insert(name.as_str()) {
            twice.insert(name.as_str());
        }
    }
    twice
}

/// What is to be had for an instance, and what it has, of the leases that others want, too.
struct Account {
    share: usize,
    count: usize,
}

impl Account {
    fn of(
        peer: &Peer,
        live: &[Peer],
        contested: &BTreeSet<&str>,
        leases: &BTreeMap<String, Seen>,
    ) -> Self {
        let wanted: Vec<&str> = contested
            .iter()
            .copied()
            .filter(|name| peer.wanted.contains(*name))
            .collect();
        let wants_one = |other: &&Peer| wanted.iter().any(|name| other.wanted.contains(*name));
        let rivals = live.iter().filter(wants_one).count();
        let is_held = |name: &&&str| {
            leases
                .get(**name)
                .is_some_and(|seen| seen.holder == Some(peer.id))
        };
        Self {
            share: wanted.len().div_ceil(rivals.max(1)),
            count: wanted.iter().filter(is_held).count(),
        }
    }

    fn room(&self) -> usize {
        self.share.saturating_sub(self.count)
    }
}

fn plan_kind(
    own: usize,
    live: &[Peer],
    leases: &BTreeMap<String, Seen>,
    kind: Kind,
    plan: &mut Plan,
) {
    let Some(me) = live.get(own) else {
        return;
    };
    let contested = contested(live, kind);
    let seen = |name: &str| leases.get(name).copied().unwrap_or_default();
    let is_mine = |name: &str| seen(name).holder == Some(me.id);
    let all_of_kind = leases.keys().filter(|name| Kind::of(name) == kind);
    // Held, but no longer wanted.
    let unwanted = all_of_kind.filter(|name| is_mine(name) && !me.wanted.contains(*name));
    plan.give_up.extend(unwanted.cloned());
    let mut free: Vec<&String> = me
        .wanted
        .iter()
        .filter(|name| Kind::of(name) == kind && seen(name).holder.is_none())
        .collect();
    free.sort_unstable();
    // Instances that start at once begin at different places, and get into each other's way less.
    if !free.is_empty() {
        let start = usize::from(me.id[0]) * free.len() / 256;
        free.rotate_left(start);
    }
    let mine = Account::of(me, live, &contested, leases);
    let mut room = mine.room();
    for name in &free {
        let is_contested = contested.contains(name.as_str());
        if is_contested && room == 0 && seen(name).unheld < PATIENCE {
            continue;
        }
        if is_contested {
            room = room.saturating_sub(1);
        }
        plan.take.push((*name).clone());
    }
    let others = live.iter().enumerate().filter(|(index, _)| *index != own);
    let mut rooms: Vec<(&Peer, usize)> = others
        .map(|(_, peer)| (peer, Account::of(peer, live, &contested, leases).room()))
        .collect();
    // What is free already fills the others' shares first.
    let free = free.iter().filter(|name| contested.contains(name.as_str()));
    let all_room: usize = rooms.iter().map(|(_, room)| room).sum();
    let mut excess = mine
        .count
        .saturating_sub(mine.share)
        .min(all_room.saturating_sub(free.count()));
    for name in contested.iter().rev().filter(|name| is_mine(name)) {
        if excess == 0 {
            break;
        }
        let taker = rooms
            .iter_mut()
            .find(|(peer, room)| *room > 0 && peer.wanted.contains(*name));
        if me.wanted.contains(*name)
            && let Some((_, room)) = taker
        {
            *room -= 1;
            excess -= 1;
            plan.give_up.push((*name).to_owned());
        }
    }
}
