//! Leases that move at random: each has one holder, shares even out, and no call is lost or stored
//! twice.

use std::collections::{BTreeMap, BTreeSet};

use callmeter_journal::{IngestSession, Journal, JournalError, account_lease, output_lease};
use callmeter_records::CallsView;

use crate::leases::{LEASE, ROUND, advance, instance, place};
use crate::support::{DAY, NOON, all_batches, call, regular};

/// A small generator of random numbers, the same for each seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// An instance in a simulated network, and for how many rounds it says nothing.
struct Simulated {
    journal: Journal,
    paused: usize,
    /// When its last round was, in rounds.
    at: usize,
    held: BTreeSet<String>,
}

/// Instances come, go, die and pause at random. No name has two holders at any moment, what is free
/// is taken soon, and shares even out.
#[test]
fn leases_have_one_holder_and_even_out() {
    /// A lease ends after 4 rounds, and what the share of nobody has is taken after 4 more.
    const UNHELD: usize = 9;
    for seed in 1..=2 {
        let place = place();
        let mut random = Random(seed);
        let mut wanted: Vec<String> = (0..100).map(|n| account_lease(&n.to_string())).collect();
        wanted.extend((0..7).map(|n| output_lease(&n.to_string())));
        wanted.push("journal".to_owned());
        let mut live: Vec<Simulated> = Vec::new();
        let mut unheld = BTreeMap::<&String, usize>::new();
        // Since when no instance came, went, or missed a round.
        let mut calm = 0;
        let mut evened = 0;
        for round in 0..70 {
            if !live.is_empty() {
                advance(&place, ROUND);
            }
            let action = random.below(12);
            if live.is_empty() || (action == 0 && live.len() < 4) {
                live.push(Simulated {
                    journal: instance(&place, &format!("{round}")),
                    paused: 0,
                    at: 0,
                    held: BTreeSet::new(),
                });
                calm = round;
            } else if action < 3 && live.len() > 1 {
                let gone = live.swap_remove(random.below(live.len()));
                if action == 1 && gone.paused == 0 {
                    gone.journal.leave().unwrap();
                }
                calm = round;
            } else if action == 3 {
                let index = random.below(live.len());
                live[index].paused = random.below(8);
            }
            if live.iter().any(|one| one.paused > 0) {
                calm = round;
            }
            for one in &mut live {
                if one.paused > 0 {
                    one.paused -= 1;
                    continue;
                }
                let done = one.journal.round(&wanted).unwrap();
                one.journal.release(&done.give_up).unwrap();
                one.at = round;
                one.held = done.held.into_iter().collect();
                one.held.retain(|name| !done.give_up.contains(name));
            }
            let mut held = BTreeSet::new();
            for one in live.iter().filter(|one| round - one.at < 4) {
                for name in &one.held {
                    assert!(
                        held.insert(name),
                        "seed {seed}, round {round}: {name} twice"
                    );
                }
            }
            for name in &wanted {
                let rounds = unheld.entry(name).or_default();
                let may_be = held.contains(name) || live.iter().all(|one| one.paused > 0);
                *rounds = if may_be { 0 } else { *rounds + 1 };
                assert!(*rounds <= UNHELD, "seed {seed}, round {round}: {name}");
            }
            // A dead instance counts until its row ends.
            if round - calm > 7 {
                evened += 1;
                for one in &live {
                    let count = |kind: &str| {
                        let of_kind = |name: &&String| name.starts_with(kind);
                        one.held.iter().filter(of_kind).count()
                    };
                    let (accounts, outputs) = (count("account/"), count("output/"));
                    let what = format!("seed {seed}, round {round}: {accounts}, {outputs}");
                    let is_even = |count: usize, of: usize| {
                        (of / live.len()..=of.div_ceil(live.len())).contains(&count)
                    };
                    assert!(is_even(accounts, 100), "{what}");
                    assert!(is_even(outputs, 7), "{what}");
                    assert!(is_even(one.held.len(), 108), "{what}");
                }
            }
        }
        assert!(evened > 0, "seed {seed}");
    }
}

/// Three instances poll four accounts while leases move at random. Each call is stored once.
#[test]
fn moving_leases_lose_and_double_nothing() {
    const ACCOUNTS: [&str; 4] = ["a", "b", "c", "d"];
    let wanted: Vec<String> = ACCOUNTS.iter().map(|name| account_lease(name)).collect();
    for seed in 1..=3 {
        let place = place();
        let mut random = Random(seed);
        let instances = ["one", "two", "three"].map(|name| instance(&place, name));
        // Polls stay open while leases move.
        let mut polls: BTreeMap<(usize, usize), IngestSession> = BTreeMap::new();
        let mut listed = ACCOUNTS.map(|_| 0_usize);
        let (mut stored, mut refused) = (0, 0);
        for _ in 0..300 {
            let (index, account) = (random.below(3), random.below(4));
            let journal = &instances[index];
            match random.below(10) {
                0 => advance(&place, ROUND),
                1 => advance(&place, 4 * ROUND),
                2 | 3 => {
                    let round = journal.round(&wanted).unwrap();
                    journal.release(&round.give_up).unwrap();
                }
                4 => drop(polls.remove(&(index, account))),
                _ => {
                    listed[account] += random.below(3);
                    let is_open = polls.contains_key(&(index, account));
                    if !is_open {
                        let poll = journal
                            .ingest_session(ACCOUNTS[account], regular(NOON))
                            .unwrap();
                        polls.insert((index, account), poll);
                    }
                    let poll = polls.get_mut(&(index, account)).unwrap();
                    let from = listed[account].saturating_sub(5);
                    match page_of(poll, from..listed[account]) {
                        Ok(batches) => stored += batches,
                        Err(JournalError::LeaseLost { .. }) => {
                            refused += 1;
                            // Sometimes the poll goes on all the same.
                            if random.below(2) == 0 {
                                polls.remove(&(index, account));
                            }
                        }
                        Err(error) => panic!("seed {seed}: {error}"),
                    }
                }
            }
        }
        assert!(
            stored > 10 && refused > 10,
            "seed {seed}: {stored}, {refused}"
        );
        drop(polls);
        advance(&place, 2 * LEASE);
        let last = &instances[random.below(3)];
        last.round(&wanted).unwrap();
        let mut expected = BTreeSet::new();
        for (account, listed) in ACCOUNTS.iter().zip(listed) {
            let mut poll = last.ingest_session(account, regular(NOON)).unwrap();
            page_of(&mut poll, 0..listed).unwrap();
            expected.extend((0..listed).map(|number| format!("{account} {number}")));
        }
        let mut found = BTreeSet::new();
        for batch in all_batches(last) {
            for row in CallsView::new(&batch.records).unwrap().rows() {
                let id = format!("{} {}", batch.meta.account, row.id().unwrap());
                assert_eq!(row.revision(), 0, "seed {seed}: {id}");
                assert!(found.insert(id.clone()), "seed {seed}: {id} twice");
            }
        }
        assert_eq!(found, expected, "seed {seed}");
        assert!(place.reader().verify(|_| ()).unwrap().is_sound());
    }
}

/// Polls a page with these calls; returns how many batches it made.
fn page_of(
    poll: &mut IngestSession,
    numbers: std::ops::Range<usize>,
) -> Result<usize, JournalError> {
    let mut page = poll.page(NOON - DAY..NOON, NOON)?;
    for number in numbers {
        page.add(&call(&number.to_string()))?;
    }
    Ok(page.commit(None)?.batches.len())
}
