//! Centers, their clients, and the people who answer and make calls.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::names;
use crate::options::Options;
use crate::random::{Purpose, draw, generator};

/// Talk and hold of an average call.
const MINUTES_A_CALL: f64 = 2.4;

/// All centers, clients and people.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) centers: Vec<Center>,
    pub(crate) clients: Vec<Client>,
    /// Increasing: the probability that a call is for the client or one before it.
    pub(super) cumulative_share: Vec<f64>,
    /// First and last names of everybody who calls or answers.
    pub(super) names: Vec<String>,
    pub(super) receptionists: u16,
}

/// A location of the customer.
#[derive(Debug)]
pub(crate) struct Center {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A business that has its calls answered.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// Not unique: several businesses may have the same name.
    pub(crate) name: String,
    /// Index of its center.
    pub(crate) center: usize,
    /// Several clients may belong to one account, some to none.
    pub(crate) account: Option<String>,
    pub(crate) allowance: Allowance,
    pub(crate) screen_pop: Option<&'static str>,
    pub(crate) modified: String,
}

/// What a client has paid for in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    NotBillable,
    Minutes(u32),
    Calls(u32),
}

impl People {
    pub(super) fn new(options: &Options) -> Self {
        let Options {
            seed,
            clients,
            centers,
            ..
        } = *options;
        let mut rng = generator(seed, Purpose::People, 0);
        let centers: Vec<_> = (0..centers)
            .map(|index| Center {
                id: format!("c{:07x}", draw(seed, Purpose::Id, u64::from(index)) >> 36),
                name: format!("{} {}", pick(&mut rng, &names::CITY), index + 1),
            })
            .collect();
        let cumulative_share = shares(clients);
        let usage = Usage {
            calls_a_month: calls_a_month(options),
            cumulative_share: &cumulative_share,
        };
        let clients = clients_of(seed, clients, centers.len(), &usage, &mut rng);
        let names = (0..2_000)
            .map(|_| {
                let first = pick(&mut rng, &names::FIRST);
                format!("{first} {}", pick(&mut rng, &names::LAST))
            })
            .collect();
        Self {
            cumulative_share,
            centers,
            clients,
            names,
            receptionists: 60,
        }
    }

    /// The client for a draw between 0 and 1.
    pub(super) fn client_at(&self, share: f64) -> u32 {
        let index = self.cumulative_share.partition_point(|end| *end <= share);
        u32::try_from(index.min(self.clients.len().saturating_sub(1))).unwrap_or(0)
    }
}

/// What clients are expected to use, so that their allowances fit.
struct Usage<'a> {
    calls_a_month: f64,
    cumulative_share: &'a [f64],
}

impl Usage<'_> {
    /// The calls of a month that a client is expected to have.
    fn calls(&self, client: u32) -> f64 {
        let end = |index: Option<usize>| {
            let share = index.and_then(|index| self.cumulative_share.get(index));
            share.copied().unwrap_or(0.0)
        };
        let index = client as usize;
        self.calls_a_month * (end(Some(index)) - end(index.checked_sub(1)))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of calls are far below 2^53"
)]
fn calls_a_month(options: &Options) -> f64 {
    match (options.calls_per_day, options.calls) {
        (None, Some(calls)) => calls as f64 * 30.0 / f64::from(options.days.max(1)),
        _ => options.calls_per_day() as f64 * 26.0,
    }
}

fn clients_of(
    seed: u64,
    count: u32,
    centers: usize,
    usage: &Usage<'_>,
    rng: &mut ChaCha8Rng,
) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::with_capacity(count as usize);
    for index in 0..count {
        let name = match clients.last() {
            Some(before) if index % 9 == 8 => before.name.clone(),
            _ => format!(
                "{} {} {}",
                pick(rng, &names::LAST),
                pick(rng, &names::TRADE),
                pick(rng, &names::FORM)
            ),
        };
        // Between half and nearly twice of what the client is expected to use in a month.
        let calls = usage.calls(index) * rng.random_range(0.5..1.9);
        let allowance = match index % 5 {
            0 | 3 => Allowance::Minutes(rounded(calls * MINUTES_A_CALL, 50)),
            1 | 4 => Allowance::Calls(rounded(calls, 25)),
            _ => Allowance::NotBillable,
        };
        let account = match index % 6 {
            5 => None,
            // Every fourth shares the account of the client before it.
            4 => Some(1_000 + index - 1),
            _ => Some(1_000 + index),
        };
        clients.push(Client {
            id: format!(
                "{:012x}",
                draw(seed, Purpose::Id, 1 << 32 | u64::from(index)) >> 16
            ),
            name,
            center: index as usize % centers.max(1),
            account: account.map(|number| format!("A-{number}")),
            allowance,
            screen_pop: (index % 3 == 0).then_some("main"),
            modified: format!(
                "2025-0{}-{:02} {:02}:15:00",
                rng.random_range(1..=9),
                rng.random_range(1..=28),
                rng.random_range(7..=18)
            ),
        });
    }
    clients
}

/// The next multiple of a step, and one step at least.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and bounded by the options"
)]
fn rounded(amount: f64, step: u32) -> u32 {
    (amount as u32).max(1).next_multiple_of(step)
}

/// A few clients have most of the calls: the share falls with the rank.
fn shares(clients: u32) -> Vec<f64> {
    let weights = (1..=clients).map(|rank| 1.0 / (f64::from(rank) + 3.0).powf(0.7));
    let total: f64 = weights.clone().sum();
    let mut sum = 0.0;
    weights
        .map(|weight| {
            sum += weight / total;
            sum
        })
        .collect()
}

fn pick<'a>(rng: &mut ChaCha8Rng, words: &[&'a str]) -> &'a str {
    words
        .get(rng.random_range(0..words.len().max(1)))
        .copied()
        .unwrap_or_default()
}
