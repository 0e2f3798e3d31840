//! The ledger: the totals and gauges of all accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::applied::Applied;
use crate::client_facts::{AllowanceUse, Client};
use crate::families::FamilyId;
use crate::folding::{Folded, Limits};
use crate::operators::{self, Operators};
use crate::polled::{Billing, Polled, RateDeck};
use crate::rules::Settings;
use crate::snapshot::{Part, Snapshot};
use crate::table::{Amounts, Chunk, Columns, Floats, Table};
use crate::totals::AccountTotals;
use crate::view::View;

/// Which API an account is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// HostedSuite.
    HostedSuite,
    /// PortSIP PBX.
    PortSip,
}

impl Api {
    /// The value of the label `api`.
    pub fn label(self) -> &'static str {
        match self {
            Self::HostedSuite => "hostedsuite",
            Self::PortSip => "portsip",
        }
    }
}

/// The state of an account's polls. Times are microseconds since 1970; `None` is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountGauges {
    /// Whether the last poll succeeded.
    pub up: Option<bool>,
    /// Whether polls failed so often that the values of the last successful one are no longer
    /// shown.
    pub stale: bool,
    /// When a poll last succeeded.
    pub last_success: Option<i64>,
    /// The time up to which calls have been read.
    pub watermark: Option<i64>,
    /// Late calls since the journal was created.
    pub late: u64,
    /// Records read again unchanged since the journal was created.
    pub duplicate: u64,
    /// Records outside the requested window since the journal was created.
    pub outside_window: u64,
    /// Records older than what retention kept, since the journal was created.
    pub forgotten: u64,
}

/// All totals and gauges.
///
/// [`Meter`](crate::Meter) shares one behind a lock.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(crate) settings: Settings,
    pub(crate) applied: Applied,
    pub(crate) accounts: BTreeMap<Box<str>, Account>,
    view: Arc<View>,
    /// Folded gauges of clients and rate types. Not part of the totals.
    folded_gauges: u64,
}

/// An account's totals, and the state and values of its last polls.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) totals: AccountTotals,
    /// `None` while the account is not configured: it is then counted but not shown.
    api: Option<Api>,
    state: AccountGauges,
    polled: Polled,
    /// The last published part, until something changes.
    published: Option<Arc<Part>>,
}

impl Account {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            totals: AccountTotals::new(name),
            api: None,
            state: AccountGauges::default(),
            polled: Polled::default(),
            published: None,
        }
    }
}

impl Ledger {
    /// An empty ledger.
    pub fn new(limits: Limits) -> Self {
        Self {
            settings: Settings::new(limits),
            ..Self::default()
        }
    }

    /// A ledger that counts by the same settings, and has counted nothing.
    #[must_use]
    pub fn without_totals(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            ..Self::default()
        }
    }

    /// Counts by these limits from the next call on. Edits of earlier calls take back what was
    /// counted under the limits before. Names of operators are forgotten if they are no longer
    /// counted.
    ///
    /// Returns whether anything changes. Then store the totals: they hold the limits, and a start
    /// counts the calls that are not in the stored totals by the stored limits.
    pub fn set_limits(&mut self, limits: Limits) -> bool {
        if limits == self.settings.limits {
            return false;
        }
        self.settings.change(limits);
        if !limits.operators {
            for account in self.accounts.values_mut() {
                account.totals.operators = Operators::new(&account.totals.name);
                account.published = None;
            }
        }
        true
    }

    /// Takes over totals that were counted further, such as by another process. What is shown, and
    /// the state of polls, stays.
    pub fn take_totals(&mut self, totals: Self) {
        let before = std::mem::replace(&mut self.accounts, totals.accounts);
        for (name, old) in before {
            let account = self
                .accounts
                .entry(name)
                .or_insert_with_key(|name| Account::new(name));
            account.api = old.api;
            account.state = old.state;
            account.polled = old.polled;
        }
        self.settings = totals.settings;
        self.applied = totals.applied;
    }

    /// The last batch up to which all batches have been counted; 0 for none.
    pub fn applied_through(&self) -> u64 {
        self.applied.through
    }

    /// Whether a batch has been counted, which it may be even above
    /// [`applied_through`](Self::applied_through).
    pub fn has_applied(&self, batch: u64) -> bool {
        self.applied.contains(batch)
    }

    /// Takes all batches before this one as counted. Call it at a start, since retention may have
    /// removed old batches from the journal.
    pub fn skip_before(&mut self, batch: u64) {
        self.applied.skip_before(batch);
    }

    /// Takes all calls up to this `sequence` as counted: settings that change apply to the calls
    /// after it.
    pub fn skip_calls_through(&mut self, sequence: i64) {
        self.settings.counted(sequence);
    }

    /// Shows an account, with the totals counted before.
    pub fn configure(&mut self, name: &str, api: Api) {
        let account = self.account(name);
        account.api = Some(api);
        account.published = None;
    }

    /// Hides an account that is no longer configured. Its totals are kept, because its records are
    /// not counted again if the account is configured again.
    pub fn unconfigure(&mut self, name: &str) {
        let account = self.account(name);
        account.api = None;
        account.state = AccountGauges {
            late: account.state.late,
            duplicate: account.state.duplicate,
            outside_window: account.state.outside_window,
            forgotten: account.state.forgotten,
            ..AccountGauges::default()
        };
        account.polled = Polled::default();
        account.published = None;
    }

    /// The names of the accounts that are shown.
    pub fn configured(&self) -> impl Iterator<Item = &str> {
        let shown = self.accounts.values().filter(|one| one.api.is_some());
        shown.map(|account| account.totals.name.as_str())
    }

    /// Changes the state of an account's polls.
    pub fn set_gauges(&mut self, name: &str, change: impl FnOnce(&mut AccountGauges)) {
        let account = self.account(name);
        change(&mut account.state);
        account.published = None;
    }

    /// Replaces the clients' use of their allowances.
    ///
    /// `period` is the start and end of the current period and `now` the time of the poll, in
    /// microseconds since 1970.
    pub fn set_allowances(
        &mut self,
        name: &str,
        period: (i64, i64),
        now: i64,
        uses: Vec<AllowanceUse>,
    ) {
        let limits = self.settings.limits;
        let account = self.account(name);
        let period = (period.0, period.1, now);
        let folded = account.polled.set_allowances(name, period, uses, limits);
        let uses = account.polled.uses().iter();
        let clients = uses.filter_map(|row| row.client_id.as_deref());
        for client in clients.filter(|client| !client.is_empty()) {
            account.totals.know(client, None, now, limits);
        }
        account.published = None;
        self.folded_gauges += folded as u64;
    }

    /// Replaces the client list. Each client's call counters are shown from now on, starting at 0.
    pub fn set_clients(&mut self, name: &str, now: i64, clients: Vec<Client>) {
        let limits = self.settings.limits;
        let account = self.account(name);
        let folded = account.polled.set_clients(name, clients, limits);
        for client in account.polled.clients() {
            let center = client.center_id.as_deref();
            account.totals.know(&client.client_id, center, now, limits);
        }
        account.published = None;
        self.folded_gauges += folded as u64;
    }

    /// Replaces a tenant's billing settings and balance.
    pub fn set_billing(&mut self, name: &str, billing: &Billing) {
        let limits = self.settings.limits;
        let account = self.account(name);
        let folded = account.polled.set_billing(name, billing, limits);
        account.published = None;
        self.folded_gauges += folded as u64;
    }

    /// Replaces the summary of a tenant's rate deck.
    pub fn set_rates(&mut self, name: &str, deck: &RateDeck) {
        let limits = self.settings.limits;
        let account = self.account(name);
        let folded = account.polled.set_rates(name, deck, limits);
        account.published = None;
        self.folded_gauges += folded as u64;
    }

    /// Changes what snapshots show. Nothing that is counted changes.
    pub fn set_view(&mut self, view: View) {
        if *self.view == view {
            return;
        }
        self.view = Arc::new(view);
        for account in self.accounts.values_mut() {
            account.published = None;
        }
    }

    /// Memory of the series and their index, and the share of label text in it, in bytes.
    pub fn resident_bytes(&self) -> (usize, usize) {
        let accounts = self.accounts.values();
        let of_each = accounts.map(|account| account.totals.calls.resident_bytes());
        of_each.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    pub(crate) fn account(&mut self, name: &str) -> &mut Account {
        // Two look-ups, but no allocation for an account that exists.
        if !self.accounts.contains_key(name) {
            self.accounts.insert(name.into(), Account::new(name));
        }
        self.accounts
            .entry(name.into())
            .or_insert_with(|| Account::new(name))
    }

    /// The totals of an account, to be changed.
    pub(crate) fn totals(&mut self, name: &str) -> &mut AccountTotals {
        let account = self.account(name);
        account.published = None;
        &mut account.totals
    }

    /// A snapshot of everything that is shown. Unchanged accounts are shared with the last one.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut parts = Vec::with_capacity(self.accounts.len() + 1);
        for account in self.accounts.values_mut() {
            if let Some(api) = account.api {
                let part = account.published.take();
                let part = part.unwrap_or_else(|| Arc::new(account.part(api, &self.view)));
                parts.push(Arc::clone(account.published.insert(part)));
            }
        }
        parts.push(Arc::new(self.global_part()));
        Snapshot {
            parts,
            view: Arc::clone(&self.view),
        }
    }

    fn global_part(&self) -> Part {
        use FamilyId as F;
        let mut updates = [0; Folded::FAMILIES.len()];
        for account in self.accounts.values() {
            for (sum, folded) in updates.iter_mut().zip(account.totals.folded.0) {
                *sum += folded;
            }
        }
        let counting_since = self
            .accounts
            .values()
            .filter_map(|one| one.totals.counting_since)
            .min();
        let family = F::SeriesFolded.family();
        let mut table = Table::<Amounts>::default();
        let totals = Folded::FAMILIES.into_iter().zip(updates);
        for (folded, updates) in totals.chain([(F::AllowanceUsedCalls, self.folded_gauges)]) {
            let created = counting_since.unwrap_or(0);
            let row = table.push(family.labels, &[folded.family().name], created);
            table.add(row, updates.into());
        }
        let parts = self
            .accounts
            .values()
            .filter_map(|one| one.published.as_ref());
        let shortened: u64 = parts.map(|part| part.shortened()).sum();
        let family = F::SeriesShortened.family();
        let mut gauge = Table::<Floats>::default();
        #[expect(clippy::cast_precision_loss, reason = "a number of series")]
        gauge.push_value(family.labels, &[], shortened as f64);
        Part {
            amounts: vec![(F::SeriesFolded, chunks(&table))],
            floats: vec![(F::SeriesShortened, chunks(&gauge))],
            ..Part::default()
        }
    }
}

impl Account {
    fn part(&mut self, api: Api, view: &View) -> Part {
        use FamilyId as F;
        self.totals.calls.move_recent();
        if view.client_histograms {
            self.totals.calls.add_all_times();
        }
        let totals = &self.totals;
        let state = &self.state;
        let name = totals.name.as_str();
        let mut amounts = vec![
            (
                F::CallCorrectionsSeconds,
                shown(&totals.corrected_times.table, view),
            ),
            (
                F::CallCorrectionsCalls,
                shown(&totals.corrected_counts.table, view),
            ),
            (F::CallRatesChanged, chunks(&totals.rates_changed.table)),
            (F::Charges, chunks(&totals.charges.money.table)),
            (F::ChargedSeconds, chunks(&totals.charges.seconds.table)),
            (
                F::ChargeCorrections,
                chunks(&totals.charges.corrected_money.table),
            ),
            (
                F::ChargeCorrectionsSeconds,
                chunks(&totals.charges.corrected_seconds.table),
            ),
            (
                F::CallsNotCharged,
                chunks(&totals.charges.not_charged.table),
            ),
        ];
        if api == Api::HostedSuite {
            amounts.push((F::CallValuesMissing, chunks(&totals.missing.table)));
            for (family, number) in [
                (F::CallRecordsLate, state.late),
                (F::CallRecordsRevised, totals.revised),
                (F::CallRecordsDuplicate, state.duplicate),
                (F::CallRecordsOutsideWindow, state.outside_window),
                (F::CallsForgotten, state.forgotten),
                (F::CallRecordsWithoutId, totals.without_id),
            ] {
                let mut table = Table::<Amounts>::default();
                let created = totals.counting_since.unwrap_or(0);
                let row = table.push(family.family().labels, &[name], created);
                table.add(row, number.into());
                amounts.push((family, chunks(&table)));
            }
        }
        let mut floats = Vec::new();
        let up = state.up.map(|up| f64::from(u8::from(up)));
        for (family, value) in [
            (F::Up, up),
            (F::LastSuccess, state.last_success.map(seconds)),
            (F::Watermark, state.watermark.map(seconds)),
            (F::LastEvent, totals.last_event.map(seconds)),
        ] {
            if let Some(value) = value {
                let mut table = Table::<Floats>::default();
                table.push_value(family.family().labels, &[name, api.label()], value);
                floats.push((family, chunks(&table)));
            }
        }
        if !state.stale {
            let tables = self.polled.tables.iter();
            floats.extend(tables.map(|(family, table)| (*family, chunks(table))));
        }
        amounts.extend(
            operators::FAMILIES
                .into_iter()
                .zip(&totals.operators.tables)
                .map(|(family, table)| (family, chunks(&table.table))),
        );
        let calls = &totals.calls;
        Part {
            name: name.to_owned(),
            counts: shown(&calls.counts.table, view),
            times: if view.client_histograms {
                shown(&calls.times, view)
            } else {
                Vec::new()
            },
            clients: chunks(&calls.clients.table),
            centers: shown(&calls.centers.table, view),
            hours: totals.hours.0.clone(),
            amounts,
            floats,
        }
    }
}

fn chunks<C: Columns>(table: &Table<C>) -> Vec<Arc<Chunk<C>>> {
    table.chunks().to_vec()
}

/// The chunks of a table of calls, without the labels that are left out.
fn shown<C: Columns>(table: &Table<C>, view: &View) -> Vec<Arc<Chunk<C>>> {
    if view.left_out.is_empty() {
        chunks(table)
    } else {
        chunks(&table.without(&view.left_out))
    }
}

/// Converts microseconds to seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of this millennium are exact in a double"
)]
fn seconds(microseconds: i64) -> f64 {
    microseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_do_not_decrease_when_an_account_is_configured_again() {
        let mut ledger = Ledger::new(Limits::default());
        ledger.configure("acme", Api::HostedSuite);
        ledger.set_gauges("acme", |state| {
            (state.late, state.duplicate, state.outside_window) = (1, 2, 3);
        });
        ledger.unconfigure("acme");
        ledger.configure("acme", Api::HostedSuite);
        let snapshot = ledger.snapshot();
        let shown = [
            FamilyId::CallRecordsLate,
            FamilyId::CallRecordsDuplicate,
            FamilyId::CallRecordsOutsideWindow,
        ]
        .map(|family| snapshot.find(family, "account=\"acme\""));
        assert_eq!(shown, [Some(1), Some(2), Some(3)]);
    }
}
