//! Balances: the clients' use of their allowances.

use super::dates::{self, Edge};
use super::listing::lasts;
use super::members::{Members, Unbindable};
use super::wire::{BalanceRow, Decimal};
use crate::world::{Allowance, Facts, View};

const MINUTE_MS: u64 = 60_000;

/// A request for balances.
#[derive(Debug)]
pub(super) struct Query {
    from: i64,
    until: i64,
    client: Option<String>,
    billed: Vec<Part>,
    /// Each call is rounded up to a multiple of this, in milliseconds.
    rounding: u64,
    least_talk: f64,
    most_talk: f64,
}

/// A part of a call that can be billed.
#[derive(Clone, Copy, Debug)]
enum Part {
    Hold,
    Talk,
    Transfer,
    Ring,
}

#[derive(Clone, Copy, Default)]
struct Used {
    calls: u64,
    ms: u64,
}

impl Query {
    pub(super) fn read(members: &Members, view: &View<'_>) -> Result<Self, Unbindable> {
        let zone = &view.world.zone;
        let date =
            |name, edge| (members.filter(name)).and_then(|text| dates::read(&text, zone, edge));
        let roundings = [
            ("None", 1),
            ("NextMinute", MINUTE_MS),
            ("Next30Seconds", 30_000),
        ];
        let mut billed = Vec::new();
        for (name, part) in [
            ("BillHold", Part::Hold),
            ("BillTalk", Part::Talk),
            ("BillTransfer", Part::Transfer),
            ("BillRing", Part::Ring),
        ] {
            if members.truth(name)? {
                billed.push(part);
            }
        }
        Ok(Self {
            from: date("StartDate", Edge::Start).unwrap_or(i64::MIN),
            until: date("EndDate", Edge::End).unwrap_or(i64::MAX),
            client: members.filter("ClientId"),
            billed,
            rounding: members.choice("CallRounding", &roundings)?.unwrap_or(1),
            least_talk: members.number("MinCallDuration")?,
            most_talk: members.number("MaxCallDuration")?,
        })
    }

    /// A row for each client, also for those without calls.
    pub(super) fn balances(&self, view: &View<'_>) -> Vec<BalanceRow> {
        let clients = &view.world.people.clients;
        let mut used = vec![Used::default(); clients.len()];
        for (index, call) in view.visible(self.from, self.until) {
            if lasts(call.talk, self.least_talk, self.most_talk)
                && let Some(used) = used.get_mut(call.client as usize)
            {
                used.calls += 1;
                used.ms += self.billed(&view.facts(index, call));
            }
        }
        (clients.iter().zip(used))
            .filter(|(client, _)| self.client.as_ref().is_none_or(|id| *id == client.id))
            .map(|(client, used)| {
                let (description, balance, unit) = remaining(client.allowance, used);
                BalanceRow {
                    client_id: client.id.clone(),
                    third_party_account_id: client.account.clone(),
                    client_name: client.name.clone(),
                    allowance_description: description,
                    num_calls: used.calls,
                    num_mins: minutes(used.ms),
                    balance,
                    balance_description: match unit {
                        "" => "Not billable".to_owned(),
                        unit if balance.units < 0 => format!("{} {unit} over", balance.abs()),
                        unit => format!("{balance} {unit} remaining"),
                    },
                }
            })
            .collect()
    }

    /// The billed time of a call, rounded up.
    fn billed(&self, facts: &Facts) -> u64 {
        (self.billed.iter())
            .map(|part| match part {
                Part::Hold => facts.hold,
                Part::Talk => facts.talk,
                Part::Transfer => facts.transfer,
                Part::Ring => facts.ring,
            })
            .map(u64::from)
            .sum::<u64>()
            .next_multiple_of(self.rounding)
    }
}

/// What the allowance is, what is left of it, and in what.
fn remaining(allowance: Allowance, used: Used) -> (String, Decimal, &'static str) {
    match allowance {
        Allowance::NotBillable => ("Not billable".to_owned(), hundredths(0), ""),
        Allowance::Minutes(amount) => {
            let left = i64::from(amount) * 100 - minutes(used.ms).units;
            (format!("{amount} minutes"), hundredths(left), "minutes")
        }
        Allowance::Calls(amount) => {
            let left = i64::from(amount) - used.calls.cast_signed();
            (format!("{amount} calls"), hundredths(left * 100), "calls")
        }
    }
}

/// Minutes with two decimals, rounded half up.
fn minutes(ms: u64) -> Decimal {
    hundredths(((ms * 100 + MINUTE_MS / 2) / MINUTE_MS).cast_signed())
}

fn hundredths(units: i64) -> Decimal {
    Decimal {
        units,
        units_per_one: 100,
    }
}
