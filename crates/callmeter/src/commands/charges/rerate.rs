//! Reads what was charged, rates the calls again, and compares the two.

use std::collections::{BTreeMap, HashMap, HashSet};

use callmeter_journal::{BatchSeq, Filter, Reader, StoredBatch};
use callmeter_rating::Amount;
use callmeter_records::calls::CallRow;
use callmeter_records::charges::ChargeRow;
use callmeter_records::{CallsView, CanonicalId, Change, ChargesView, Stream};
use jiff::Timestamp;

use super::decks::{Decks, Used};
use super::report::{Cost, Difference, Outcome, Report, Why};
use crate::charging::{charge_call, is_selected};
use crate::cli::ChargeGroup;
use crate::commands::progress::progress;
use crate::config::{Charging, Rule};
use crate::exit::Failure;
use crate::pipeline::journal_failure;

/// A call and a rule.
type Key = (Vec<u8>, String);

/// What the last charge of a call by a rule says.
struct Charged {
    entry: String,
    deck: String,
    cost: Outcome,
    was_removed: bool,
    group: String,
    id: String,
    start: i64,
    revision: i32,
}

/// The last version of a call by a rule, rated again.
struct Rated {
    group: String,
    id: String,
    cost: Outcome,
    /// By the deck of then: its fingerprint, and the cost. `None` while there is none.
    then: Option<(String, Outcome)>,
    /// Whether it was rated by a deck.
    has_deck: bool,
    revision: i32,
}

pub(super) struct Run<'c> {
    reader: Reader,
    /// The last batch that is read.
    through: BatchSeq,
    entry: &'c Charging,
    window: std::ops::Range<i64>,
    group: ChargeGroup,
    charged: HashMap<Key, Charged>,
    rated: BTreeMap<Key, Rated>,
    /// The calls in the window that the journal holds.
    held: HashSet<Vec<u8>>,
}

impl<'c> Run<'c> {
    pub(super) fn new(
        reader: Reader,
        entry: &'c Charging,
        window: std::ops::Range<i64>,
        group: ChargeGroup,
    ) -> Self {
        Self {
            reader,
            through: BatchSeq::START,
            entry,
            window,
            group,
            charged: HashMap::new(),
            rated: BTreeMap::new(),
            held: HashSet::new(),
        }
    }

    pub(super) fn report(mut self, mut decks: Decks) -> Result<Report, Failure> {
        // The exporter may be running: calls and charges are those of one moment.
        let head = self.reader.head().map_err(journal_failure)?;
        self.through = head;
        let bar = progress(head.0);
        self.read_charged()?;
        self.rate_again(&mut decks, &bar)?;
        bar.finish_and_clear();
        Ok(self.compare())
    }

    /// Reads what was charged last for each call by each rule.
    fn read_charged(&mut self) -> Result<(), Failure> {
        let mut after = BatchSeq::START;
        let filter = self.filter(Stream::Charges);
        while let Some(batch) = self.next(&filter, after)? {
            after = batch.meta.seq;
            let view = ChargesView::new(&batch.records).map_err(Failure::failed)?;
            for row in view.rows() {
                let sequence = row.call_sequence().unwrap_or_default();
                let key = key(row.call_id(), sequence, row.rule().unwrap_or_default());
                self.charged.insert(key, charged(&row, self.group));
            }
        }
        Ok(())
    }

    /// Rates the last version of each call.
    fn rate_again(
        &mut self,
        decks: &mut Decks,
        bar: &indicatif::ProgressBar,
    ) -> Result<(), Failure> {
        let mut after = BatchSeq::START;
        let filter = self.filter(Stream::Calls);
        while let Some(batch) = self.next(&filter, after)? {
            after = batch.meta.seq;
            bar.set_position(after.0);
            let view = CallsView::new(&batch.records).map_err(Failure::failed)?;
            for call in view.rows() {
                self.rate_call(decks, after, &call)?;
            }
        }
        Ok(())
    }

    fn rate_call(
        &mut self,
        decks: &mut Decks,
        batch: BatchSeq,
        call: &CallRow<'_, '_>,
    ) -> Result<(), Failure> {
        let start = call.start_time().unwrap_or(call.observed_at());
        let (id, _) = key(call.id(), call.sequence(), "");
        if self.window.contains(&start) {
            self.held.insert(id);
        } else {
            self.held.remove(&id);
        }
        for rule in &self.entry.rules {
            let key = key(call.id(), call.sequence(), &rule.name);
            // An edit may have moved the call out of the window, or from the rule.
            self.rated.remove(&key);
            if !self.window.contains(&start) || !is_selected(call, rule) {
                continue;
            }
            let charged = self.charged.get(&key);
            let charged_by = charged.map(|charged| charged.entry.as_str());
            let then = match decks.of_then(&mut self.reader, batch, charged_by)? {
                Some(used) => {
                    let fingerprint = used.fingerprint.to_owned();
                    let cost = cost(call, rule, self.entry, &used);
                    cost.map(|cost| (fingerprint, cost))
                }
                None => None,
            };
            let given = decks.given(&mut self.reader, batch)?;
            let given = given.and_then(|used| cost(call, rule, self.entry, &used));
            let rated_cost = given.or_else(|| then.as_ref().map(|(_, cost)| cost.clone()));
            let rated = Rated {
                group: match self.group {
                    ChargeGroup::Client => named(call.client_id()),
                    ChargeGroup::Center => named(call.center_id()),
                    ChargeGroup::Day => day_of(start),
                },
                id: call.id().unwrap_or_default().to_owned(),
                has_deck: rated_cost.is_some(),
                cost: rated_cost.unwrap_or(Outcome::Nothing(None)),
                then,
                revision: call.revision(),
            };
            self.rated.insert(key, rated);
        }
        Ok(())
    }

    fn next(&mut self, filter: &Filter, after: BatchSeq) -> Result<Option<StoredBatch>, Failure> {
        let found = self.reader.next_matching(filter, after);
        let found = found.map_err(journal_failure)?;
        Ok(found.filter(|batch| batch.meta.seq <= self.through))
    }

    fn filter(&self, stream: Stream) -> Filter {
        Filter {
            stream: Some(stream),
            account: Some(self.entry.account.clone()),
            ..Filter::default()
        }
    }

    fn compare(mut self) -> Report {
        let mut report = Report::default();
        for (key, rated) in std::mem::take(&mut self.rated) {
            let charged = self.charged.remove(&key);
            let why = why(&rated, charged.as_ref());
            if !rated.has_deck {
                report.without_deck += 1;
            }
            let was = charged.map_or(Outcome::Nothing(None), |charged| charged.cost);
            report.add(&rated.group, rated.cost.cost(), was.cost());
            if rated.cost.cost() != was.cost() {
                report
                    .differences
                    .push(Difference::new(rated.id, key.1, rated.cost, was, why));
            }
        }
        // What is left was charged by a rule that the configuration does not have, or that does
        // not select the call.
        let mut gone: Vec<_> = self.charged.into_iter().collect();
        gone.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for ((id, rule), charged) in gone {
            if !self.window.contains(&charged.start)
                || !self.held.contains(&id)
                || charged.was_removed
            {
                continue;
            }
            let Some(cost) = charged.cost.cost() else {
                continue;
            };
            report.add(&charged.group, None, Some(cost));
            let nothing = Outcome::Nothing(None);
            let why = Why::RuleGone;
            let difference = Difference::new(charged.id, rule, nothing, charged.cost, why);
            report.differences.push(difference);
        }
        report
    }
}

/// What a call costs by a deck; `None` if the rule does not select it.
fn cost(call: &CallRow<'_, '_>, rule: &Rule, entry: &Charging, used: &Used<'_>) -> Option<Outcome> {
    let charged = charge_call(call, rule, entry, used.deck)?;
    Some(match charged.charge {
        Ok(charge) => Outcome::Costs(Cost {
            amount: charge.amount,
            seconds: i64::try_from(charge.billed_seconds).unwrap_or(i64::MAX),
            currency: used.currency.clone(),
        }),
        Err(reason) => Outcome::Nothing(Some(reason.to_owned())),
    })
}

/// Why a call is rated otherwise than it was charged.
fn why(rated: &Rated, charged: Option<&Charged>) -> Why {
    match (&rated.then, charged) {
        (None, _) | (_, None) => Why::NotCharged,
        (_, Some(charged)) if charged.revision != rated.revision => Why::NotCharged,
        // By the deck of then it costs what was charged, so the difference is that of the decks.
        (Some((_, then)), Some(charged)) if then.cost() == charged.cost.cost() => Why::GivenDeck,
        (Some((deck, _)), Some(charged)) if *deck != charged.deck => Why::OtherDeck,
        _ => Why::OtherRules,
    }
}

/// A call without an id has one version, which its place in the stream identifies.
fn key(id: Option<&str>, sequence: i64, rule: &str) -> Key {
    let id = match id {
        Some(id) => CanonicalId::new(id).as_bytes().to_vec(),
        None => format!("sequence {sequence}").into_bytes(),
    };
    (id, rule.to_owned())
}

fn charged(row: &ChargeRow<'_, '_>, group: ChargeGroup) -> Charged {
    let was_removed = row.change() == Some(Change::Removed);
    let amount = row
        .amount()
        .filter(|_| !was_removed)
        .and_then(|units| Amount::from_parts(units, 9).ok());
    let start = row.start_time().unwrap_or(row.observed_at());
    Charged {
        entry: row.charge().unwrap_or_default().to_owned(),
        deck: row.deck().unwrap_or_default().to_owned(),
        cost: match amount {
            Some(amount) => Outcome::Costs(Cost {
                amount,
                seconds: row.billed_seconds().unwrap_or_default().into(),
                currency: row.currency().unwrap_or_default().to_owned(),
            }),
            None => Outcome::Nothing(row.reason().map(str::to_owned)),
        },
        was_removed,
        group: match group {
            ChargeGroup::Client => named(row.client_id()),
            ChargeGroup::Center => named(row.center_id()),
            ChargeGroup::Day => day_of(start),
        },
        id: row.call_id().unwrap_or_default().to_owned(),
        start,
        revision: row.call_revision().unwrap_or_default(),
    }
}

/// The UTC day of a time.
fn day_of(micros: i64) -> String {
    let time = Timestamp::from_microsecond(micros).unwrap_or_default();
    time.strftime("%Y-%m-%d").to_string()
}

/// As in the figures, an id that is empty is one that is not known.
fn named(id: Option<&str>) -> String {
    id.filter(|id| !id.is_empty())
        .unwrap_or("unknown")
        .to_owned()
}
