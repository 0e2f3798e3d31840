//! A journal and one entry of `charges` for tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use callmeter_journal::{DeckExtent, Journal, Options, PollOptions, Purpose, RetentionPolicy};
use callmeter_plugin_host::Outputs;
use callmeter_records::{Billing, Call, CallField, ChargesView, Direction, Rate, Reading, Stream};

use super::engine::Engine;
use super::set;
use crate::config::{Charging, Deck, NumberColumn, Numbers, OutputFrom, Rule};
use crate::context::AppContext;
use crate::status::ChargingStatus;

const DAY: i64 = 86_400_000_000;
/// 2026-08-06T12:00:00Z.
const NOON: i64 = 1_786_017_600_000_000;

/// A program with a journal and one entry of `charges`.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) app: AppContext,
    pub(crate) entry: Charging,
    engine: Engine,
    polls: i64,
}

impl Rig {
    pub(crate) fn new(deck: impl FnOnce(PathBuf) -> Deck, currency: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("j.db"), &Options::default()).unwrap();
        let outputs = Outputs::new(Arc::new(journal.clone())).unwrap();
        let app = AppContext::of(journal, Arc::new(outputs));
        let entry = Charging {
            name: "spend".to_owned(),
            account: "acme".to_owned(),
            deck: deck(dir.path().join("deck.csv")),
            currency: currency.map(str::to_owned),
            from: OutputFrom::Oldest,
            rules: vec![Rule {
                name: "outgoing".to_owned(),
                directions: vec![Direction::Outgoing],
                centers: Vec::new(),
                number: NumberColumn::Caller,
                times: vec![CallField::Talk],
            }],
            numbers: Numbers {
                country_code: None,
                trunk_prefix: None,
                international_prefixes: Vec::new(),
                internal_digits: 3,
                internal_prefixes: Vec::new(),
            },
            rating: callmeter_rating::Options::default(),
        };
        register(&app, &entry);
        Self {
            engine: engine(&app, &entry),
            dir,
            app,
            entry,
            polls: 0,
        }
    }

    /// The rates of the PBX `hq`.
    pub(crate) fn of_account(currency: Option<&str>) -> Self {
        Self::new(|_| Deck::Account("hq".to_owned()), currency)
    }

    pub(crate) fn restart(&mut self) {
        self.engine = engine(&self.app, &self.entry);
    }

    /// Polls this call.
    pub(crate) fn call(&mut self, id: &str, direction: &str, minutes: i64) {
        self.call_of("c1", Some(id), direction, minutes);
    }

    /// Polls a call of a client.
    pub(crate) fn call_of(
        &mut self,
        client: &str,
        id: Option<&str>,
        direction: &str,
        minutes: i64,
    ) {
        self.polls += 1;
        let now = NOON + self.polls * 60_000_000;
        let options = PollOptions {
            purpose: Purpose::Regular,
            range: now - DAY..now,
            settle: Duration::from_mins(2),
        };
        let mut poll = self.app.journal.ingest_session("acme", options).unwrap();
        let mut page = poll.page(now - DAY..now, now).unwrap();
        page.add(&Call {
            id,
            client_id: Some(client),
            start_time: Reading::Known(NOON - DAY / 4),
            duration_ms: Reading::Known(minutes * 60_000),
            talk_ms: Reading::Known(minutes * 60_000),
            call_type: Some(direction),
            caller_number: Some("+4144555"),
            answered_by: Some("Eve"),
            ..Call::default()
        })
        .unwrap();
        page.commit(None).unwrap();
    }

    pub(crate) fn rates(&self, rates: &[Rate<'_>]) {
        self.app
            .journal
            .record_rates("hq", NOON, rates, DeckExtent::Whole)
            .unwrap();
    }

    pub(crate) fn currency(&self, currency: &str) {
        let billing = Billing {
            currency: Some(currency),
            ..Billing::default()
        };
        self.app
            .journal
            .record_billing("hq", NOON, &billing)
            .unwrap();
    }

    pub(crate) fn file(&mut self, text: &str) {
        std::fs::write(self.dir.path().join("deck.csv"), text).unwrap();
        self.restart();
    }

    /// Deletes what nobody needs. Returns the number of batches.
    pub(crate) fn retain_nothing(&self) -> u64 {
        let journal = &self.app.journal;
        let head = journal.head();
        journal.store_snapshot(head, b"totals").unwrap();
        let policy = RetentionPolicy {
            max_bytes: Some(1),
            ..RetentionPolicy::default()
        };
        let report = journal.retain(&policy, NOON + DAY).unwrap();
        report.batches
    }

    /// Gives the entry another name.
    pub(crate) fn rename(&mut self, name: &str) {
        self.app.status.remove_charging(&self.entry.name);
        self.entry.name = name.to_owned();
        register(&self.app, &self.entry);
        self.restart();
    }

    /// One round: what waits, and the charges so far.
    pub(crate) fn round(&mut self) -> (ChargingStatus, Vec<String>) {
        self.engine.round().unwrap();
        let status = self.app.status.status().charges.remove(0);
        let mut charges = Vec::new();
        let mut after = callmeter_journal::BatchSeq::START;
        let journal = &self.app.journal;
        while let Some(batch) = journal.next_batch(Stream::Charges, after).unwrap() {
            after = batch.meta.seq;
            for row in ChargesView::new(&batch.records).unwrap().rows() {
                let hundredths = row.amount().map(|amount| amount / 10_000_000);
                charges.push(format!(
                    "{} {} {}",
                    row.call_id().unwrap_or("-"),
                    hundredths.map_or(row.reason().unwrap_or("-").to_owned(), |it| it.to_string()),
                    row.currency().unwrap_or("-")
                ));
            }
        }
        let gauge = self
            .app
            .metrics
            .calls_waiting_for_deck
            .with_label_values(&["acme"]);
        assert_eq!(u64::try_from(gauge.get()).unwrap(), status.waiting);
        (status, charges)
    }
}

fn register(app: &AppContext, entry: &Charging) {
    let cursors = set::cursors(&app.journal, std::slice::from_ref(entry)).unwrap();
    for (cursor, stream, start) in cursors {
        app.journal.register_output(&cursor, stream, start).unwrap();
    }
}

fn engine(app: &AppContext, entry: &Charging) -> Engine {
    Engine::new(app.clone(), entry.clone(), Arc::new(AtomicBool::new(false)))
}

/// Hundredths a minute for numbers with +41.
pub(crate) fn rate(hundredths: i128) -> Rate<'static> {
    let price = Reading::Known(hundredths * 10_000_000);
    Rate {
        prefix: Some("41"),
        rate_type: Some("LOCAL"),
        free_seconds: Reading::Known(0),
        grace_period: Reading::Known(0),
        interval_1: Reading::Known(60),
        interval_n: Reading::Known(60),
        connect_fee: Reading::Known(0),
        postcall_surcharge: Reading::Known(0),
        price_1: price,
        price_n: price,
        ..Rate::default()
    }
}

/// The header of a deck file.
pub(crate) const HEADER: &str = "prefix,type,connect_fee,interval_1,price_1,free_seconds,interval_n,price_n,grace_period,postcall_surcharge\n";
