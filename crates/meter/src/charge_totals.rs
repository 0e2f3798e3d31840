//! What charges add to the totals of an account: money and seconds, exact.

use std::collections::BTreeMap;

use callmeter_records::Change;
use callmeter_records::charges::ChargeRow;

use crate::counted_call::UNKNOWN_ID;
use crate::families::FamilyId;
use crate::folding::{FOLDED_ID, FoldGroup, Folded, Limits};
use crate::label_text::bounded;
use crate::polled::rate_label;
use crate::series_tables::Keyed;

/// Client, rate type and currency.
pub(crate) type ChargeKey = (Box<str>, Box<str>, Box<str>);

/// The charges of an account.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChargeTotals {
    /// Money in units of 10⁻⁹.
    pub(crate) money: Keyed<ChargeKey>,
    pub(crate) seconds: Keyed<ChargeKey>,
    /// The `sequence` of the charge that was counted first under each key. Charges with these
    /// labels that were counted before were folded.
    pub(crate) since: BTreeMap<ChargeKey, i64>,
    pub(crate) corrected_money: Keyed<ChargeKey>,
    pub(crate) corrected_seconds: Keyed<ChargeKey>,
    /// Calls that are not charged, by reason.
    pub(crate) not_charged: Keyed<Box<str>>,
}

/// What is charged under which labels.
#[derive(PartialEq, Eq)]
struct Charged {
    key: ChargeKey,
    amount: i128,
    seconds: i128,
}

impl Charged {
    fn now(row: &ChargeRow<'_, '_>) -> Option<Self> {
        Some(Self {
            key: key(row.client_id(), row.rate_type(), row.currency()),
            amount: row.amount()?,
            seconds: row.billed_seconds().unwrap_or(0).into(),
        })
    }

    fn before(row: &ChargeRow<'_, '_>) -> Option<Self> {
        Some(Self {
            key: key(
                row.previous_client_id(),
                row.previous_rate_type(),
                row.previous_currency(),
            ),
            amount: row.previous_amount()?,
            seconds: row.previous_billed_seconds().unwrap_or(0).into(),
        })
    }
}

fn key(client: Option<&str>, rate_type: Option<&str>, currency: Option<&str>) -> ChargeKey {
    let text = |text: Option<&str>| {
        let text = text.filter(|text| !text.is_empty()).unwrap_or(UNKNOWN_ID);
        Box::from(&*bounded(text))
    };
    (text(client), rate_label(rate_type).into(), text(currency))
}

fn folded_key(key: ChargeKey) -> ChargeKey {
    (FOLDED_ID.into(), FOLDED_ID.into(), key.2)
}

impl ChargeTotals {
    /// Whether any charge was counted.
    pub(crate) fn has_records(&self) -> bool {
        !(self.money.rows.is_empty()
            && self.corrected_money.rows.is_empty()
            && self.not_charged.rows.is_empty())
    }

    /// Counts a charge. A charge that an edit changes is corrected, so that no counter decreases;
    /// one that an edit makes possible is counted like a new one.
    pub(crate) fn count(
        &mut self,
        account: &str,
        row: &ChargeRow<'_, '_>,
        since: Option<i64>,
        folded: &mut Folded,
        limits: Limits,
    ) {
        let is_removed = row.change() == Some(Change::Removed);
        let is_new = row.change() == Some(Change::New);
        let before = Charged::before(row).filter(|_| !is_new).map(|before| {
            // Without a sequence, the charge before is taken as one that is not folded.
            let sequence = row.previous_sequence().unwrap_or(i64::MAX);
            let key = self.counted_under(before.key, sequence);
            Charged { key, ..before }
        });
        let after = Charged::now(row).filter(|_| !is_removed).map(|after| {
            let key = self.place(after.key, row.sequence(), folded, limits);
            Charged { key, ..after }
        });
        match (before, after) {
            (None, Some(after)) => {
                self.add(account, &after.key, since, after.amount, after.seconds);
            }
            (Some(before), Some(after)) if before == after => {}
            (Some(before), after) => {
                self.correct(account, &before.key, -before.amount, -before.seconds);
                if let Some(after) = after {
                    self.add(account, &after.key, since, 0, 0);
                    self.correct(account, &after.key, after.amount, after.seconds);
                }
            }
            (None, None) => {
                if let Some(reason) = row.reason().filter(|_| is_new) {
                    self.add_not_charged(account, reason, since, 1);
                }
            }
        }
    }

    /// The key, or the one that label sets beyond the cap share. Currencies stay apart.
    fn place(
        &mut self,
        key: ChargeKey,
        sequence: i64,
        folded: &mut Folded,
        limits: Limits,
    ) -> ChargeKey {
        let is_known = || self.since.contains_key(&key);
        let key = if folded.folds(FoldGroup::Charges, limits, self.since.len(), is_known) {
            folded_key(key)
        } else {
            key
        };
        self.since.entry(key.clone()).or_insert(sequence);
        key
    }

    /// The key that the charge with this `sequence` was counted under.
    fn counted_under(&self, key: ChargeKey, sequence: i64) -> ChargeKey {
        match self.since.get(&key) {
            Some(since) if *since <= sequence => key,
            _ => folded_key(key),
        }
    }

    pub(crate) fn add(
        &mut self,
        account: &str,
        key: &ChargeKey,
        since: Option<i64>,
        amount: i128,
        seconds: i128,
    ) {
        let labels = [account, &key.0, &key.1, &key.2];
        self.money
            .add(key, FamilyId::Charges, &labels, since, amount);
        self.seconds
            .add(key, FamilyId::ChargedSeconds, &labels, since, seconds);
    }

    pub(crate) fn correct(&mut self, account: &str, key: &ChargeKey, amount: i128, seconds: i128) {
        let labels = [account, &key.0, &key.1, &key.2];
        self.corrected_money
            .add(key, FamilyId::ChargeCorrections, &labels, None, amount);
        self.corrected_seconds.add(
            key,
            FamilyId::ChargeCorrectionsSeconds,
            &labels,
            None,
            seconds,
        );
    }

    pub(crate) fn add_not_charged(
        &mut self,
        account: &str,
        reason: &str,
        since: Option<i64>,
        calls: i128,
    ) {
        let labels = [account, reason];
        self.not_charged.add(
            &reason.into(),
            FamilyId::CallsNotCharged,
            &labels,
            since,
            calls,
        );
    }
}
