//! How many leases of each kind every live instance has, and how many it should have.
//!
//! All instances compute the same from what they see. Where all want the same leases, an instance
//! should have the floor or the ceiling of an even share of each kind, and the totals differ by at
//! most one. Who has one more already keeps it if that is possible, so an even state stays as it
//! is.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::leases::fence::InstanceId;
use crate::leases::names::Kind;

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

/// The leases of a kind that at least two live instances want.
#[derive(Debug)]
pub(super) struct Contested<'p> {
    pub(super) kind: Kind,
    pub(super) names: BTreeSet<&'p str>,
    /// In the order of the instances.
    pub(super) standings: Vec<Standing>,
    /// The even share, rounded down, if all who want one of the leases want all of them.
    floor: Option<usize>,
}

/// What an instance has of the contested leases of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// How many of them it wants.
    wanted: usize,
    /// How many it holds of those that it wants.
    pub(super) count: usize,
    /// How many it should hold.
    pub(super) share: usize,
}

impl Standing {
    pub(super) fn room(self) -> usize {
        self.share.saturating_sub(self.count)
    }

    pub(super) fn excess(self) -> usize {
        self.count.saturating_sub(self.share)
    }
}

/// The contested leases of all kinds.
pub(super) fn of_all<'p>(
    live: &'p [Peer],
    leases: &BTreeMap<String, Seen>,
) -> [Contested<'p>; Kind::ALL.len()] {
    let mut kinds = Kind::ALL.map(|kind| Contested::new(kind, live, leases));
    let all = live.len();
    for at in 0..kinds.len() {
        fill(&mut kinds, at, all);
    }
    even_out(&mut kinds, all);
    kinds
}

impl<'p> Contested<'p> {
    fn new(kind: Kind, live: &'p [Peer], leases: &BTreeMap<String, Seen>) -> Self {
        let names = wanted_twice(live, kind);
        let mut standings: Vec<Standing> = live
            .iter()
            .map(|peer| {
                let mut standing = Standing::default();
                for name in names.iter().filter(|name| peer.wanted.contains(**name)) {
                    let holder = leases.get(*name).and_then(|seen| seen.holder);
                    standing.wanted += 1;
                    standing.count += usize::from(holder == Some(peer.id));
                }
                standing
            })
            .collect();
        let wanting = standings.iter().filter(|one| one.wanted > 0);
        let rivals = wanting.clone().count();
        let all_want_all = wanting.clone().all(|one| one.wanted == names.len());
        let floor = (rivals > 0 && all_want_all).then(|| names.len() / rivals);
        for (standing, peer) in standings.iter_mut().zip(live) {
            standing.share = match floor {
                Some(floor) if standing.wanted > 0 => floor + usize::from(standing.count > floor),
                Some(_) => 0,
                None => standing.wanted.div_ceil(rivals_of(peer, live, &names)),
            };
        }
        Self {
            kind,
            names,
            standings,
            floor,
        }
    }

    /// Whether an instance should have one more than the even share.
    fn has_more(&self, at: usize) -> bool {
        let standing = self.standings.get(at).copied().unwrap_or_default();
        self.floor.is_some_and(|floor| standing.share > floor)
    }

    /// Whether it could.
    fn may_have_more(&self, at: usize) -> bool {
        let standing = self.standings.get(at).copied().unwrap_or_default();
        self.floor
            .is_some_and(|floor| standing.wanted > 0 && standing.share == floor)
    }

    fn set_more(&mut self, at: usize, has_more: bool) {
        if let (Some(floor), Some(standing)) = (self.floor, self.standings.get_mut(at)) {
            standing.share = floor + usize::from(has_more);
        }
    }
}

fn wanted_twice(live: &[Peer], kind: Kind) -> BTreeSet<&str> {
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

/// How many instances want one of the contested leases that an instance wants.
fn rivals_of(peer: &Peer, live: &[Peer], names: &BTreeSet<&str>) -> usize {
    let wants_one = |other: &&Peer| {
        let both = |name: &&str| peer.wanted.contains(*name) && other.wanted.contains(*name);
        names.iter().any(both)
    };
    live.iter().filter(wants_one).count().max(1)
}

/// The leases of all kinds that an instance should have.
fn total(kinds: &[Contested<'_>], at: usize) -> usize {
    let of_kind = |kind: &Contested<'_>| kind.standings.get(at).map_or(0, |one| one.share);
    kinds.iter().map(of_kind).sum()
}

/// Makes the shares of a kind add up to its leases.
fn fill(kinds: &mut [Contested<'_>], at: usize, instances: usize) {
    while let Some((index, has_more)) = unfilled(kinds, at, instances) {
        if let Some(kind) = kinds.get_mut(at) {
            kind.set_more(index, has_more);
        }
    }
}

/// Who should get one more of a kind, or give it up, so that its shares add up. Those with the
/// smallest total get one first, and those with the largest one give it up first.
fn unfilled(kinds: &[Contested<'_>], at: usize, instances: usize) -> Option<(usize, bool)> {
    let kind = kinds.get(at)?;
    kind.floor?;
    let shared: usize = kind.standings.iter().map(|one| one.share).sum();
    let of_total = |index: &usize| total(kinds, *index);
    match shared.cmp(&kind.names.len()) {
        Ordering::Less => {
            let may = (0..instances).filter(|index| kind.may_have_more(*index));
            may.min_by_key(of_total).map(|index| (index, true))
        }
        Ordering::Greater => {
            let may = (0..instances).filter(|index| kind.has_more(*index));
            may.max_by_key(of_total).map(|index| (index, false))
        }
        Ordering::Equal => None,
    }
}

/// Moves what some have more of from the largest totals to the smallest. Each step makes the sum of
/// the squares of the totals smaller, so this ends.
fn even_out(kinds: &mut [Contested<'_>], instances: usize) {
    while let Some((kind, from, to)) = uneven(kinds, instances) {
        if let Some(kind) = kinds.get_mut(kind) {
            kind.set_more(from, false);
            kind.set_more(to, true);
        }
    }
}

/// A kind, who should give up one of it, and who should get it.
fn uneven(kinds: &[Contested<'_>], instances: usize) -> Option<(usize, usize, usize)> {
    let totals: Vec<usize> = (0..instances).map(|at| total(kinds, at)).collect();
    let mut order: Vec<usize> = (0..instances).collect();
    order.sort_by_key(|at| totals.get(*at));
    for from in order.iter().rev() {
        for to in &order {
            let (most, least) = (totals.get(*from)?, totals.get(*to)?);
            if *most < least + 2 {
                break;
            }
            // The last kinds move at the least cost.
            let kind = (0..kinds.len()).rev().find(|at| {
                let kind = kinds.get(*at);
                kind.is_some_and(|kind| kind.has_more(*from) && kind.may_have_more(*to))
            });
            if let Some(kind) = kind {
                return Some((kind, *from, *to));
            }
        }
    }
    None
}
