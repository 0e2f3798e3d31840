//! What of a configuration this instance works on: the accounts, outputs and charges whose leases
//! it holds.

use std::collections::BTreeMap;

use callmeter_journal::{JOURNAL_LEASE, account_lease, output_lease};

use crate::charging;
use crate::config::{Account, Charging, Config, Output};

/// The leases that this instance holds and works under. Each has a number, which is another one
/// when the lease was lost and got again in between.
pub(crate) type Shares = BTreeMap<String, u64>;

/// The leases that a configuration needs.
pub(super) fn wanted(config: &Config) -> Vec<String> {
    let accounts = config.accounts.iter().map(account);
    let outputs = config.outputs.iter().map(output);
    let charges = config.charges.iter().map(charges);
    let all = accounts.chain(outputs).chain(charges);
    all.chain([JOURNAL_LEASE.to_owned()]).collect()
}

/// The part of a configuration whose leases are held.
pub(super) fn part(config: &Config, held: &Shares) -> Config {
    let mut part = config.clone();
    part.accounts.retain(|one| held.contains_key(&account(one)));
    part.outputs.retain(|one| held.contains_key(&output(one)));
    part.charges.retain(|one| held.contains_key(&charges(one)));
    part
}

/// What is held both before and now, without a time in between.
pub(super) fn kept(before: &Shares, now: &Shares) -> Shares {
    let is_same = |(name, number): &(&String, &u64)| now.get(*name) == Some(*number);
    let kept = before.iter().filter(is_same);
    kept.map(|(name, number)| (name.clone(), *number)).collect()
}

fn account(account: &Account) -> String {
    account_lease(&account.name)
}

fn output(output: &Output) -> String {
    output_lease(&output.name)
}

fn charges(entry: &Charging) -> String {
    output_lease(&charging::cursor_of(entry))
}
