//! The figures of the page of usage, from the snapshot that `/metrics` shows.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use callmeter_meter::{FamilyId, HourFigures, Snapshot, Values, pairs};

use super::usage_spend::{Spend, spend};

/// How many hours the page shows.
pub(super) const HOURS: i64 = 48;

/// Which figures of calls are on the page: those of families that `/metrics` shows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShownCalls {
    pub(super) answered: bool,
    pub(super) abandoned: bool,
}

impl ShownCalls {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let shows = |family| snapshot.view().shows(family);
        let calls = shows(FamilyId::Calls);
        Self {
            answered: calls && shows(FamilyId::CallAnswer),
            abandoned: calls && shows(FamilyId::CallsAbandoned),
        }
    }

    /// The figures without those that are hidden.
    fn only(self, figures: HourFigures) -> HourFigures {
        let of = |shown: bool, calls: i64| if shown { calls } else { 0 };
        HourFigures {
            answered: of(self.answered, figures.answered),
            in_time: of(self.answered, figures.in_time),
            abandoned: of(self.abandoned, figures.abandoned),
        }
    }
}

/// One account on the page.
#[derive(Debug, Default)]
pub(super) struct AccountUsage {
    pub(super) name: String,
    /// By hours since 1970.
    pub(super) hours: BTreeMap<i64, HourFigures>,
    /// The share of the billing period that has passed.
    pub(super) elapsed: Option<f64>,
    /// The clients whose used share is known, by id.
    pub(super) clients: HashMap<String, ClientUsage>,
    /// What its calls cost, if they are charged.
    pub(super) spend: Option<Spend>,
}

/// What a client has used of its allowance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ClientUsage {
    pub(super) used: f64,
    /// What it will have used at the end of the period.
    pub(super) forecast: Option<f64>,
}

impl ClientUsage {
    /// What the worst ones are sorted by.
    pub(super) fn rank(&self) -> f64 {
        self.forecast.unwrap_or(self.used)
    }
}

impl AccountUsage {
    /// The last `hours`, the newest last; an hour without calls is empty.
    pub(super) fn last(
        &self,
        now_hour: i64,
        hours: i64,
    ) -> impl Iterator<Item = (i64, HourFigures)> {
        (now_hour - hours + 1..=now_hour).map(|hour| {
            let figures = self.hours.get(&hour).copied().unwrap_or_default();
            // An edit may have taken away a call of an hour that was forgotten.
            let figures = HourFigures {
                answered: figures.answered.max(0),
                in_time: figures.in_time.max(0),
                abandoned: figures.abandoned.max(0),
            };
            (hour, figures)
        })
    }

    /// The sums over the last `hours`.
    pub(super) fn sums(&self, now_hour: i64, hours: i64) -> HourFigures {
        self.last(now_hour, hours)
            .fold(HourFigures::default(), |sums, (_, one)| HourFigures {
                answered: sums.answered + one.answered,
                in_time: sums.in_time + one.in_time,
                abandoned: sums.abandoned + one.abandoned,
            })
    }

    /// How many clients will exceed their allowance.
    pub(super) fn over(&self) -> usize {
        let clients = self.clients.values();
        clients.filter(|client| client.rank() > 1.0).count()
    }

    /// The clients, the worst first.
    pub(super) fn worst_first(&self) -> Vec<(&str, ClientUsage)> {
        let clients = self.clients.iter();
        let mut clients: Vec<_> = clients.map(|(id, one)| (id.as_str(), *one)).collect();
        clients.sort_unstable_by(|(id, one), (other_id, other)| {
            let by_rank = other.rank().total_cmp(&one.rank());
            by_rank.then_with(|| id.cmp(other_id))
        });
        clients
    }
}

/// The accounts that have calls, allowances or spend.
pub(super) fn accounts(snapshot: &Snapshot) -> BTreeMap<String, AccountUsage> {
    let mut accounts: BTreeMap<String, AccountUsage> = BTreeMap::new();
    let shown = ShownCalls::of(snapshot);
    for (name, hours) in snapshot.accounts() {
        let hours = hours.iter().map(|(hour, one)| (*hour, shown.only(*one)));
        let hours = hours.filter(|_| shown.answered || shown.abandoned);
        let account = AccountUsage {
            name: name.to_owned(),
            hours: hours.collect(),
            ..AccountUsage::default()
        };
        accounts.insert(name.to_owned(), account);
    }
    each(
        snapshot,
        FamilyId::AllowancePeriodElapsedRatio,
        |labels, value| {
            if let Some(account) = accounts.get_mut(labels.account) {
                account.elapsed = Some(value);
            }
        },
    );
    each(snapshot, FamilyId::AllowanceUsedRatio, |labels, used| {
        if let Some(account) = accounts.get_mut(labels.account) {
            let forecast = None;
            let client = labels.client.to_owned();
            account
                .clients
                .insert(client, ClientUsage { used, forecast });
        }
    });
    each(
        snapshot,
        FamilyId::AllowanceForecastRatio,
        |labels, forecast| {
            let account = accounts.get_mut(labels.account);
            let client = account.and_then(|account| account.clients.get_mut(labels.client));
            if let Some(client) = client {
                client.forecast = Some(forecast);
            }
        },
    );
    for (name, spend) in spend(snapshot) {
        if let Some(account) = accounts.get_mut(&name) {
            account.spend = Some(spend);
        }
    }
    accounts.retain(|_, account| {
        !account.hours.is_empty() || !account.clients.is_empty() || account.spend.is_some()
    });
    accounts
}

/// The names of these clients of an account.
pub(super) fn names(
    snapshot: &Snapshot,
    account: &str,
    clients: &[&str],
) -> HashMap<String, String> {
    let mut names = HashMap::new();
    each(snapshot, FamilyId::ClientInfo, |labels, _| {
        if labels.account == account && clients.contains(&labels.client) {
            names.insert(labels.client.to_owned(), labels.name.to_owned());
        }
    });
    names
}

/// The labels of a series that the page needs; empty where it has none.
struct Labels<'a> {
    account: &'a str,
    client: &'a str,
    name: &'a str,
}

fn each(snapshot: &Snapshot, family: FamilyId, mut found: impl FnMut(&Labels<'_>, f64)) {
    for block in snapshot.blocks(family) {
        let Values::Floats(values) = block.values else {
            continue;
        };
        for (row, value) in values.iter().enumerate() {
            let [mut account, mut client, mut name] = [const { Cow::Borrowed("") }; 3];
            for (label, value) in pairs(block.labels.row(row)) {
                match label {
                    "account" => account = value,
                    "client_id" => client = value,
                    "client_name" => name = value,
                    _ => {}
                }
            }
            let labels = Labels {
                account: &account,
                client: &client,
                name: &name,
            };
            found(&labels, *value);
        }
    }
}
