//! What an instance takes and gives up, so that all live instances have even shares.

use std::collections::BTreeMap;

use crate::leases::fence::InstanceId;
use crate::leases::names::Kind;
use crate::leases::standings::{self, Contested, Peer, Seen};

/// A lease that was seen so often without a holder is taken by anyone who wants it.
const PATIENCE: u32 = 3;

/// What a round changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) take: Vec<String>,
    pub(crate) give_up: Vec<String>,
}

/// What `me` takes and gives up. `live` has all live instances, with `me`, in the same order for
/// all of them.
pub(crate) fn plan(me: InstanceId, live: &[Peer], leases: &BTreeMap<String, Seen>) -> Plan {
    let mut plan = Plan::default();
    let Some(own) = live.iter().position(|peer| peer.id == me) else {
        return plan;
    };
    for contested in &standings::of_all(live, leases) {
        plan_kind(own, live, leases, contested, &mut plan);
    }
    plan
}

fn plan_kind(
    own: usize,
    live: &[Peer],
    leases: &BTreeMap<String, Seen>,
    contested: &Contested<'_>,
    plan: &mut Plan,
) {
    let (Some(me), Some(mine)) = (live.get(own), contested.standings.get(own)) else {
        return;
    };
    let seen = |name: &str| leases.get(name).copied().unwrap_or_default();
    let is_mine = |name: &str| seen(name).holder == Some(me.id);
    let is_of_kind = |name: &&String| Kind::of(name) == contested.kind;
    // Held, but no longer wanted.
    let unwanted = leases
        .keys()
        .filter(is_of_kind)
        .filter(|name| is_mine(name) && !me.wanted.contains(*name));
    plan.give_up.extend(unwanted.cloned());
    let mut free: Vec<&String> = me
        .wanted
        .iter()
        .filter(is_of_kind)
        .filter(|name| seen(name).holder.is_none())
        .collect();
    free.sort_unstable();
    // Instances that start at once begin at different places, and get into each other's way less.
    if !free.is_empty() {
        let start = usize::from(me.id[0]) * free.len() / 256;
        free.rotate_left(start);
    }
    let mut room = mine.room();
    for name in &free {
        let is_contested = contested.names.contains(name.as_str());
        if is_contested && room == 0 && seen(name).unheld < PATIENCE {
            continue;
        }
        if is_contested {
            room = room.saturating_sub(1);
        }
        plan.take.push((*name).clone());
    }
    let others = live.iter().zip(&contested.standings).enumerate();
    let mut rooms: Vec<(&Peer, usize)> = others
        .filter(|(index, _)| *index != own)
        .map(|(_, (peer, standing))| (peer, standing.room()))
        .collect();
    // What is free already fills the others' shares first.
    let is_contested = |name: &&&String| contested.names.contains(name.as_str());
    let free = free.iter().filter(is_contested).count();
    let all_room: usize = rooms.iter().map(|(_, room)| room).sum();
    let mut excess = mine.excess().min(all_room.saturating_sub(free));
    for name in contested.names.iter().rev().filter(|name| is_mine(name)) {
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::leases::names::{JOURNAL_LEASE, account_lease, output_lease};

    /// After so many rounds of all instances, each in its turn, nothing is left to change.
    const ROUNDS: usize = 12;

    /// Instances and leases, without a server.
    #[derive(Clone, Debug)]
    struct World {
        live: Vec<Peer>,
        leases: BTreeMap<String, Seen>,
    }

    impl World {
        /// Each instance, in this order, does what it plans. Returns how many leases changed hands.
        fn round(&mut self, order: &[usize]) -> usize {
            let mut changes = 0;
            for index in order {
                let me = self.live[*index].id;
                let plan = plan(me, &self.live, &self.leases);
                changes += plan.take.len() + plan.give_up.len();
                for name in &plan.take {
                    assert!(self.live[*index].wanted.contains(name));
                    let seen = self.leases.get_mut(name).unwrap();
                    assert_eq!(seen.holder, None, "{name}");
                    seen.holder = Some(me);
                }
                for name in &plan.give_up {
                    let seen = self.leases.get_mut(name).unwrap();
                    assert_eq!(seen.holder, Some(me), "{name}");
                    seen.holder = None;
                }
            }
            for seen in self.leases.values_mut() {
                let is_held = seen.holder.is_some();
                seen.unheld = if is_held { 0 } else { seen.unheld + 1 };
            }
            changes
        }

        fn settle(&mut self, order: &[usize]) {
            for _ in 0..ROUNDS {
                self.round(order);
            }
            assert_eq!(self.round(order), 0, "not settled: {self:#?}");
        }

        /// How many leases of each kind an instance holds.
        fn counts(&self, index: usize) -> [usize; 3] {
            let me = self.live[index].id;
            let held = self
                .leases
                .iter()
                .filter(|(_, seen)| seen.holder == Some(me));
            let names: Vec<&String> = held.map(|(name, _)| name).collect();
            Kind::ALL.map(|kind| names.iter().filter(|name| Kind::of(name) == kind).count())
        }

        /// Whether each has the floor or the ceiling of an even share of each kind, and totals
        /// differ by at most one.
        fn is_even(&self) -> bool {
            let counts: Vec<[usize; 3]> = (0..self.live.len()).map(|at| self.counts(at)).collect();
            let is_close = |of: &dyn Fn(&[usize; 3]) -> usize| {
                let (least, most) = (counts.iter().map(of).min(), counts.iter().map(of).max());
                most <= least.map(|least| least + 1)
            };
            (0..3).all(|kind| is_close(&|counts: &[usize; 3]| counts[kind]))
                && is_close(&|counts: &[usize; 3]| counts.iter().sum())
        }
    }

    fn names(accounts: usize, outputs: usize, with_journal: bool) -> Vec<String> {
        let accounts = (0..accounts).map(|number| account_lease(&number.to_string()));
        let outputs = (0..outputs).map(|number| output_lease(&number.to_string()));
        let journal = with_journal.then(|| JOURNAL_LEASE.to_owned());
        accounts.chain(outputs).chain(journal).collect()
    }

    /// Instances, all leases, each with who holds it at first, and an order of rounds. `differ`:
    /// each instance wants some of the leases only.
    fn world(differ: bool) -> impl Strategy<Value = (World, Vec<usize>)> {
        let sizes = (2..6_usize, 0..14_usize, 0..7_usize, any::<bool>());
        let world = sizes.prop_flat_map(move |(instances, accounts, outputs, with_journal)| {
            let names = names(accounts, outputs, with_journal);
            let holders = proptest::collection::vec(0..=instances, names.len());
            let wanted = proptest::collection::vec(any::<bool>(), names.len() * instances);
            let order = Just((0..instances).collect::<Vec<_>>()).prop_shuffle();
            (Just((instances, names)), holders, wanted, order)
        });
        world.prop_map(move |((instances, names), holders, wanted, order)| {
            let id = |index: usize| [u8::try_from(index * 51).unwrap(); 8];
            let peer = |index: usize| Peer {
                id: id(index),
                name: index.to_string(),
                state: Vec::new(),
                wanted: names
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| !differ || wanted[index * names.len() + at])
                    .map(|(_, name)| name.clone())
                    .collect(),
            };
            let live: Vec<Peer> = (0..instances).map(peer).collect();
            let seen = |holder: &usize| Seen {
                holder: (*holder < instances).then(|| id(*holder)),
                unheld: 0,
            };
            let leases = names
                .iter()
                .cloned()
                .zip(holders.iter().map(seen))
                .collect();
            (World { live, leases }, order)
        })
    }

    proptest! {
        /// Where all want the same, everything is held soon, evenly by kind and in total, and then
        /// nothing moves.
        #[test]
        fn shares_even_out((mut world, order) in world(false)) {
            world.settle(&order);
            prop_assert!(world.is_even(), "{world:#?}");
            prop_assert!(world.leases.values().all(|seen| seen.holder.is_some()));
        }

        /// No lease moves if shares are even already, whoever has one more of what.
        #[test]
        fn an_even_state_stays((mut world, order) in world(false)) {
            world.settle(&order);
            // As if each instance were another one.
            let ids: Vec<InstanceId> = world.live.iter().map(|peer| peer.id).collect();
            let other = |id: InstanceId| ids[order[ids.iter().position(|of| *of == id).unwrap()]];
            for seen in world.leases.values_mut() {
                seen.holder = seen.holder.map(other);
            }
            prop_assert_eq!(world.round(&order), 0);
        }

        /// One who comes or goes moves no more than what it gets or had, but for what evens out the
        /// totals: one lease of each kind for each instance.
        #[test]
        fn little_moves_when_an_instance_goes((mut world, order) in world(false)) {
            world.settle(&order);
            let gone = world.live.pop().unwrap();
            let mut had = 0;
            for seen in world.leases.values_mut().filter(|seen| seen.holder == Some(gone.id)) {
                seen.holder = None;
                had += 1;
            }
            let before = world.leases.clone();
            let order: Vec<usize> = order.into_iter().filter(|at| *at < world.live.len()).collect();
            world.settle(&order);
            let moved = before.iter().filter(|(name, seen)| world.leases[*name].holder != seen.holder);
            prop_assert!(moved.count() <= had + 3 * world.live.len());
            prop_assert!(world.is_even(), "{world:#?}");
        }

        /// Instances with different configurations hold all that someone wants, and nothing else.
        #[test]
        fn what_is_wanted_is_held((mut world, order) in world(true)) {
            world.settle(&order);
            for (name, seen) in &world.leases {
                let holder = world.live.iter().find(|peer| Some(peer.id) == seen.holder);
                let is_wanted = world.live.iter().any(|peer| peer.wanted.contains(name));
                prop_assert_eq!(holder.is_some_and(|peer| peer.wanted.contains(name)), is_wanted);
            }
        }
    }

    /// What was seen with three instances: by kinds alone, they rested at 5, 4 and 1.
    #[test]
    fn the_rest_of_each_kind_goes_to_another_instance() {
        let wanted: HashSet<String> = names(5, 4, true).into_iter().collect();
        let ids = [[0; 8], [100; 8], [200; 8]];
        let live = ids.map(|id| Peer {
            id,
            name: String::new(),
            wanted: wanted.clone(),
            state: Vec::new(),
        });
        let mut world = World {
            live: live.to_vec(),
            leases: wanted
                .into_iter()
                .map(|name| (name, Seen::default()))
                .collect(),
        };
        world.settle(&[0, 1, 2]);
        let mut totals: Vec<usize> = (0..3).map(|at| world.counts(at).iter().sum()).collect();
        totals.sort_unstable();
        assert_eq!(totals, [3, 3, 4]);
    }
}
