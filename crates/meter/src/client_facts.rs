//! What is known of each client: the client list and the balances, joined.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::amount::{Amount, Scale};
use crate::counted_call::UNKNOWN_ID;

/// A client's use of one of its allowances in the current period. Decimals are in units of 10⁻⁹.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowanceUse {
    /// The client's id; `None` if the API left it out.
    pub client_id: Option<String>,
    /// The allowance in words; `None` if the API left it out.
    pub allowance: Option<String>,
    /// The client's name.
    pub client_name: Option<String>,
    /// The client's id in the operator's own accounts.
    pub third_party_account_id: Option<String>,
    /// Balance as the API reports it.
    pub balance_nano: Option<i128>,
    /// Calls billed.
    pub calls_nano: Option<i128>,
    /// Minutes billed.
    pub minutes_nano: Option<i128>,
    /// The client's calls in the period that were counted here.
    pub counted_calls: Option<i128>,
}

/// A client of the client list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The client's id.
    pub client_id: String,
    /// The client's name.
    pub client_name: Option<String>,
    /// The center that the client belongs to.
    pub center_id: Option<String>,
    /// The client's id in the operator's own accounts.
    pub third_party_account_id: Option<String>,
    /// The allowance; `None` if the client is not billable or the API does not report it.
    pub allowance: Option<Allowance>,
}

/// The calls or minutes included in an allowance per period, in units of 10⁻⁹.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// A number of calls.
    Calls(i128),
    /// A number of minutes.
    Minutes(i128),
}

/// A client's data.
#[derive(Default)]
pub(crate) struct ClientFacts<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) third_party: Option<&'a str>,
    /// The allowance of the client list.
    pub(crate) limit: Option<Allowance>,
    /// What is used of each allowance, by its words.
    pub(crate) uses: BTreeMap<&'a str, UseSum<'a>>,
}

/// What is used of an allowance, in units of 10⁻⁹: the sum over the accounts in another system that
/// share it.
#[derive(Default)]
pub(crate) struct UseSum<'a> {
    pub(crate) balance: Option<i128>,
    pub(crate) calls: Option<i128>,
    pub(crate) minutes: Option<i128>,
    pub(crate) counted_calls: Option<i128>,
    accounts: Vec<Option<&'a str>>,
}

impl ClientFacts<'_> {
    /// How many label sets show it.
    pub(crate) fn label_sets(&self) -> usize {
        self.uses.len().max(1)
    }

    /// The calls that the API bills minus those that were counted here. With several allowances, it
    /// is not known how calls are divided among them.
    pub(crate) fn reconciliation_difference(&self) -> Option<f64> {
        let mut uses = self.uses.values();
        let (Some(use_of), None) = (uses.next(), uses.next()) else {
            return None;
        };
        let counted = use_of.counted_calls?.saturating_mul(1_000_000_000);
        let difference = Amount {
            units: use_of.calls?.saturating_sub(counted),
            scale: Scale::Nano,
        };
        Some(difference.to_f64())
    }

    /// The used share of the allowance. With several allowances it is not known which of them the
    /// client list means.
    pub(crate) fn used_ratio(&self) -> Option<f64> {
        let mut uses = self.uses.values();
        let (Some(use_of), None) = (uses.next(), uses.next()) else {
            return None;
        };
        let (used, limit) = match self.limit? {
            Allowance::Calls(limit) => (use_of.calls?, limit),
            Allowance::Minutes(limit) => (use_of.minutes?, limit),
        };
        let nano = |units| Amount {
            units,
            scale: Scale::Nano,
        };
        // An allowance of 0 is one: each call exceeds it. Clients without an allowance have no
        // limit.
        match (used, limit) {
            (_, 1..) => Some(nano(used).to_f64() / nano(limit).to_f64()),
            (1.., 0) => Some(f64::INFINITY),
            (0, 0) => Some(0.0),
            _ => None,
        }
    }
}

/// Adds to a sum; what is unknown changes nothing.
pub(crate) fn add(sum: &mut Option<i128>, value: Option<i128>) {
    if let Some(value) = value {
        *sum = Some(sum.unwrap_or(0).saturating_add(value));
    }
}

/// Joins both lists by client. A balance that is the same as an earlier one in client, account and
/// allowance is a repetition, which is not added.
pub(crate) fn client_facts<'a>(
    clients: &'a [Client],
    uses: &'a [AllowanceUse],
) -> BTreeMap<Cow<'a, str>, ClientFacts<'a>> {
    let mut facts: BTreeMap<Cow<'_, str>, ClientFacts<'_>> = BTreeMap::new();
    for client in clients {
        let entry = facts.entry(client.client_id.as_str().into()).or_default();
        entry.name = client.client_name.as_deref();
        entry.third_party = client.third_party_account_id.as_deref();
        entry.limit = client.allowance;
    }
    for row in uses {
        let entry = facts.entry(client_label(row)).or_default();
        entry.name = entry.name.or(row.client_name.as_deref());
        let third_party = row.third_party_account_id.as_deref();
        entry.third_party = entry.third_party.or(third_party);
        let allowance = words(row.allowance.as_deref()).unwrap_or(UNKNOWN_ID);
        let sum = entry.uses.entry(allowance).or_default();
        if !sum.accounts.contains(&third_party) {
            sum.accounts.push(third_party);
            add(&mut sum.balance, row.balance_nano);
            add(&mut sum.calls, row.calls_nano);
            add(&mut sum.minutes, row.minutes_nano);
            sum.counted_calls = row.counted_calls;
        }
    }
    facts
}

/// The client's id. Without one, `unknown` and what else distinguishes it.
fn client_label(row: &AllowanceUse) -> Cow<'_, str> {
    if let Some(id) = row.client_id.as_deref().filter(|id| !id.is_empty()) {
        return id.into();
    }
    let third_party = words(row.third_party_account_id.as_deref());
    match third_party.or_else(|| words(row.client_name.as_deref())) {
        Some(other) => format!("{UNKNOWN_ID}: {other}").into(),
        None => UNKNOWN_ID.into(),
    }
}

fn words(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}
