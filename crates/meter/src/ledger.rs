//! All totals and gauges, changed by one writer: records in, figures out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::family::FamilyId;
use crate::polled::{AllowanceUse, Billing, Client, Polled, RateDeck};
use crate::snapshot::{Part, Snapshot};
use crate::table::{Amounts, Columns, Floats, Table};
use crate::totals::AccountTotals;

/// Bounds on what the ledger holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Label sets to a family and account; those beyond it are counted together under `client_id="other"`.
    pub label_sets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { label_sets: 10_000 }
    }
}

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

/// How the account's polls stand. Times are microseconds since 1970; what is `None` is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountGauges {
    /// Whether the last poll succeeded.
    pub up: Option<bool>,
    /// Whether polls failed so often that what the last good one said is not to be shown any more.
    pub stale: bool,
    /// When a poll last succeeded.
    pub last_success: Option<i64>,
    /// Up to when calls have been read.
    pub watermark: Option<i64>,
    /// Calls that came late, since the journal began.
    pub late: u64,
    /// Records that were read again unchanged, since the journal began.
    pub duplicate: u64,
    /// Records outside the window asked for, since the journal began.
    pub outside_window: u64,
}

/// All totals and gauges.
///
/// [`Meter`](crate::Meter) holds one behind a lock and gives out [`Snapshot`]s of it; tests and tools may hold their own.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(crate) limits: Limits,
    pub(crate) applied: Applied,
    pub(crate) accounts: BTreeMap<Box<str>, Account>,
    /// Gauges of clients and rate types that were folded. Not part of the totals.
    folded_gauges: u64,
}

/// Which batches have been counted: all up to one, and some beyond it. Accounts append and apply on their own, so that a batch can
/// be applied before one with a lower number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) through: u64,
    pub(crate) beyond: BTreeSet<u64>,
}

impl Applied {
    pub(crate) fn contains(&self, batch: u64) -> bool {
        batch <= self.through || self.beyond.contains(&batch)
    }

    pub(crate) fn insert(&mut self, batch: u64) {
        self.beyond.insert(batch);
        self.close_up();
    }

    fn skip_before(&mut self, batch: u64) {
        self.through = self.through.max(batch.saturating_sub(1));
        self.beyond = self.beyond.split_off(&self.through.saturating_add(1));
        self.close_up();
    }

    fn close_up(&mut self) {
        while let Some(next) = self.through.checked_add(1) {
            if !self.beyond.remove(&next) {
                break;
            }
            self.through = next;
        }
    }
}

/// An account's totals, which stay, and what the exporter last said of it.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) totals: AccountTotals,
    /// Set while the account is configured; others are counted but not shown.
    api: Option<Api>,
    state: AccountGauges,
    polled: Polled,
    /// What was last published, until something changes.
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
            limits,
            ..Self::default()
        }
    }

    /// The number of the last batch up to which every one has been counted; 0 when none has.
    pub fn applied_through(&self) -> u64 {
        self.applied.through
    }

    /// Whether a batch has been counted. It may have been also when its number lies above [`applied_through`](Self::applied_through).
    pub fn has_applied(&self, batch: u64) -> bool {
        self.applied.contains(batch)
    }

    /// Says that there is no batch before this one that is still to come: at a start, when retention has removed old batches from the
    /// journal. Without it the numbers of all batches behind the gap would have to be remembered one by one.
    pub fn skip_before(&mut self, batch: u64) {
        self.applied.skip_before(batch);
    }

    /// Shows an account: it is configured. Its totals, if any were counted before, show from now on.
    pub fn configure(&mut self, name: &str, api: Api) {
        let account = self.account(name);
        account.api = Some(api);
        account.published = None;
    }

    /// Hides an account that is not configured any more. Its totals are kept, since its records stay in the journal and are not
    /// counted again should it come back.
    pub fn unconfigure(&mut self, name: &str) {
        let account = self.account(name);
        account.api = None;
        account.state = AccountGauges::default();
        account.polled = Polled::default();
        account.published = None;
    }

    /// The names of the accounts that are shown.
    pub fn configured(&self) -> impl Iterator<Item = &str> {
        let shown = self.accounts.values().filter(|one| one.api.is_some());
        shown.map(|account| account.totals.name.as_str())
    }

    /// Changes what is known of an account's polls.
    pub fn set_gauges(&mut self, name: &str, change: impl FnOnce(&mut AccountGauges)) {
        let account = self.account(name);
        change(&mut account.state);
        account.published = None;
    }

    /// Replaces what is known of the clients' use of their allowances.
    ///
    /// `period` is start and end of the current period, `now` the time of the poll, in microseconds since 1970.
    pub fn set_allowances(
        &mut self,
        name: &str,
        period: (i64, i64),
        now: i64,
        uses: Vec<AllowanceUse>,
    ) {
        let cap = self.limits.label_sets;
        let account = self.account(name);
        for row in &uses {
            account.totals.know(&row.client_id, None, now, cap);
        }
        let period = (period.0, period.1, now);
        let folded = account.polled.set_allowances(name, period, uses, cap);
        account.published = None;
        self.folded_gauges += folded as u64;
    }

    /// Replaces the client list. The calls of each client are shown from now on, at 0 until there is one.
    pub fn set_clients(&mut self, name: &str, now: i64, clients: Vec<Client>) {
        let cap = self.limits.label_sets;
        let account = self.account(name);
        let folded = account.polled.set_clients(name, clients, cap);
        for client in account.polled.clients() {
            let center = client.center_id.as_deref();
            account.totals.know(&client.client_id, center, now, cap);
        }
        account.published = None;
        self.folded_gauges += folded as u64;
    }

    /// Replaces a tenant's billing settings and balance.
    pub fn set_billing(&mut self, name: &str, billing: &Billing) {
        let account = self.account(name);
        account.polled.set_billing(name, billing);
        account.published = None;
    }

    /// Replaces the figures of a tenant's rate deck.
    pub fn set_rates(&mut self, name: &str, deck: &RateDeck) {
        let cap = self.limits.label_sets;
        let account = self.account(name);
        let folded = account.polled.set_rates(name, deck, cap);
        account.published = None;
        self.folded_gauges += folded as u64;
    }

    /// Bytes of memory that series and their index take, and how many of them are label text.
    pub fn resident_bytes(&self) -> (usize, usize) {
        let mut bytes = 0;
        let mut text = 0;
        for account in self.accounts.values() {
            let totals = &account.totals;
            bytes += totals.index_bytes()
                + totals.counts.table.resident_bytes()
                + totals.times.table.resident_bytes();
            let counts = totals.counts.table.chunks().iter().map(|one| &one.labels);
            let times = totals.times.table.chunks().iter().map(|one| &one.labels);
            text += counts
                .chain(times)
                .map(|labels| labels.resident_bytes())
                .sum::<usize>();
        }
        (bytes, text)
    }

    pub(crate) fn account(&mut self, name: &str) -> &mut Account {
        // Two look-ups, but no allocation for an account that is there.
        if !self.accounts.contains_key(name) {
            self.accounts.insert(name.into(), Account::new(name));
        }
        self.accounts
            .entry(name.into())
            .or_insert_with(|| Account::new(name))
    }

    /// Gives an account's totals to be changed by rows.
    pub(crate) fn totals(&mut self, name: &str) -> &mut AccountTotals {
        let account = self.account(name);
        account.published = None;
        &mut account.totals
    }

    /// A picture of everything that is shown. Only what changed since the last one is made anew.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut parts = Vec::with_capacity(self.accounts.len() + 1);
        for account in self.accounts.values_mut() {
            if let Some(api) = account.api {
                let part = match account.published.take() {
                    Some(part) => part,
                    None => Arc::new(account.part(api)),
                };
                parts.push(Arc::clone(account.published.insert(part)));
            }
        }
        parts.push(Arc::new(self.global_part()));
        Snapshot { parts }
    }

    fn global_part(&self) -> Part {
        use FamilyId as F;
        let sum = |pick: fn(&crate::totals::Folded) -> u64| -> u64 {
            let accounts = self.accounts.values();
            accounts.map(|account| pick(&account.totals.folded)).sum()
        };
        let begun = self
            .accounts
            .values()
            .filter_map(|one| one.totals.begun)
            .min();
        let family = F::SeriesFolded.family();
        let mut table = Table::<Amounts>::default();
        for (folded, updates) in [
            (F::Calls, sum(|folded| folded.counts)),
            (F::CallDuration, sum(|folded| folded.times)),
            (
                F::CallCorrectionsSeconds,
                sum(|folded| folded.corrected_times),
            ),
            (
                F::CallCorrectionsCalls,
                sum(|folded| folded.corrected_counts),
            ),
            (F::CallRatesChanged, sum(|folded| folded.rates_changed)),
            (F::AllowanceUsedCalls, self.folded_gauges),
        ] {
            let row = table.push(family.labels, &[folded.family().name], begun.unwrap_or(0));
            table.add(row, updates.into());
        }
        Part {
            amounts: vec![(F::SeriesFolded, chunks(&table))],
            ..Part::default()
        }
    }
}

impl Account {
    fn part(&self, api: Api) -> Part {
        use FamilyId as F;
        let totals = &self.totals;
        let state = &self.state;
        let name = totals.name.as_str();
        let mut amounts = vec![
            (
                F::CallCorrectionsSeconds,
                chunks(&totals.corrected_times.table),
            ),
            (
                F::CallCorrectionsCalls,
                chunks(&totals.corrected_counts.table),
            ),
            (F::CallRatesChanged, chunks(&totals.rates_changed.table)),
        ];
        if api == Api::HostedSuite {
            amounts.push((F::CallValuesMissing, chunks(&totals.missing.table)));
            for (family, number) in [
                (F::CallRecordsLate, state.late),
                (F::CallRecordsRevised, totals.revised),
                (F::CallRecordsDuplicate, state.duplicate),
                (F::CallRecordsOutsideWindow, state.outside_window),
                (F::CallRecordsWithoutId, totals.without_id),
            ] {
                let mut table = Table::<Amounts>::default();
                let begun = totals.begun.unwrap_or(0);
                let row = table.push(family.family().labels, &[name], begun);
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
        Part {
            counts: chunks(&totals.counts.table),
            times: chunks(&totals.times.table),
            amounts,
            floats,
        }
    }
}

fn chunks<C: Columns>(table: &Table<C>) -> Vec<Arc<crate::table::Chunk<C>>> {
    table.chunks().to_vec()
}

/// Microseconds since 1970 in seconds.
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

    fn applied(through: u64, beyond: &[u64]) -> Applied {
        Applied {
            through,
            beyond: beyond.iter().copied().collect(),
        }
    }

    #[test]
    fn batches_are_remembered_once_in_any_order() {
        let mut seen = Applied::default();
        for batch in [2, 4, 1, 7] {
            assert!(!seen.contains(batch));
            seen.insert(batch);
            assert!(seen.contains(batch));
        }
        assert_eq!(seen, applied(2, &[4, 7]));
        seen.insert(3);
        assert_eq!(seen, applied(4, &[7]));
    }

    #[test]
    fn what_is_gone_from_the_journal_is_not_waited_for() {
        let mut seen = applied(2, &[4, 7, 9]);
        seen.skip_before(6);
        assert_eq!(seen, applied(5, &[7, 9]));
        seen.skip_before(7);
        assert_eq!(seen, applied(7, &[9]));
        seen.skip_before(3);
        assert_eq!(seen, applied(7, &[9]));
    }
}
