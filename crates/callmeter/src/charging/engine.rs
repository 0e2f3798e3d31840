//! The thread of an entry: reads calls behind the polls, and appends their charges.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use callmeter_error_chain::chain;
use callmeter_journal::{BatchSeq, DeckExtent, NewCharges, StoredBatch};
use callmeter_records::{CallsView, ChargesView, Stream};
use jiff::Timestamp;
use tracing::{info, warn};

use super::charges::{BatchCharges, EarlierCharges, charge_batch};
use super::current_deck::CurrentDeck;
use super::cursor::{cursor_of, deck_account};
use super::deck_file;
use super::error::ChargingError;
use crate::config::{Charging, Deck};
use crate::context::AppContext;
use crate::sources::OwnedDeck;

/// How long the thread waits for calls before it looks whether it has to stop.
const WAIT: Duration = Duration::from_millis(500);
/// How often the file of a deck is looked at.
const LOOK_AT_FILE: Duration = Duration::from_secs(5);
/// How long the thread waits after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Charges the calls of an entry.
pub(super) struct Engine {
    app: AppContext,
    entry: Charging,
    cursor: String,
    stopped: Arc<AtomicBool>,
    /// The last batch of calls that was charged or skipped.
    position: BatchSeq,
    /// The last batch that the journal knows to be charged.
    acknowledged: BatchSeq,
    deck: Option<CurrentDeck>,
    file: FollowedFile,
    /// What was logged last: why calls wait.
    waiting: Option<String>,
}

/// The file of a deck, as it was read last.
#[derive(Default)]
struct FollowedFile {
    looked_at: Option<Instant>,
    read: Option<(SystemTime, u64)>,
}

impl Engine {
    pub(super) fn new(app: AppContext, entry: Charging, stopped: Arc<AtomicBool>) -> Self {
        Self {
            cursor: cursor_of(&entry.name),
            app,
            entry,
            stopped,
            position: BatchSeq::START,
            acknowledged: BatchSeq::START,
            deck: None,
            file: FollowedFile::default(),
            waiting: None,
        }
    }

    pub(super) fn run(mut self) {
        let mut seen = BatchSeq::START;
        while !self.is_stopped() {
            match self.round() {
                Ok(()) => {
                    seen = self.app.journal.wait_beyond(seen, WAIT);
                }
                Err(error) => {
                    // Everything is read again: the journal says what is charged.
                    self.deck = None;
                    let reason = chain(&error);
                    if self.waiting.as_ref() != Some(&reason) {
                        warn!(charge = self.entry.name, reason, "calls wait to be charged");
                    }
                    self.waiting = Some(reason);
                    self.pause();
                }
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn pause(&self) {
        let end = Instant::now() + AFTER_FAILURE;
        while !self.is_stopped() && Instant::now() < end {
            std::thread::sleep(WAIT.min(AFTER_FAILURE));
        }
    }

    /// Charges the calls that have come.
    fn round(&mut self) -> Result<(), ChargingError> {
        let file = self.follow_file();
        let mut journal = self.app.journal.clone();
        if self.deck.is_none() {
            let cursor = journal.cursor(&self.cursor, Stream::Calls)?;
            self.acknowledged = cursor.map_or(BatchSeq::START, |cursor| cursor.batch);
            // An entry that was renamed, or removed for a while, has a new cursor.
            let charged = journal.last_charged(&self.entry.account)?;
            self.position = self.acknowledged.max(charged);
            self.deck = Some(CurrentDeck::new(
                &mut journal,
                deck_account(&self.entry),
                self.entry.currency.as_deref(),
                &self.entry.rating,
                self.position,
            )?);
        }
        let mut waits = false;
        while !self.is_stopped()
            && let Some(batch) = journal.next_batch(Stream::Calls, self.position)?
        {
            if *batch.meta.account == *self.entry.account && !self.charge(&batch)? {
                waits = true;
                break;
            }
            self.position = batch.meta.seq;
        }
        // Calls of other accounts are not kept for this entry.
        if self.position > self.acknowledged {
            journal.acknowledge(&self.cursor, Stream::Calls, self.position)?;
            self.acknowledged = self.position;
        }
        self.show_waiting(waits)?;
        let why = match &self.entry.deck {
            Deck::Account(account) => format!("the deck of account {account} was not read yet"),
            Deck::File(path) => format!("the deck {} was not read yet", path.display()),
        };
        self.log_waiting(waits.then_some(why));
        file
    }

    /// Charges a batch of calls; false if the deck was not read yet.
    fn charge(&mut self, batch: &StoredBatch) -> Result<bool, ChargingError> {
        let mut journal = self.app.journal.clone();
        let calls = batch.meta.seq;
        let Some(deck) = &mut self.deck else {
            return Ok(false);
        };
        let Some(priced) = deck.for_calls(&mut journal, calls)? else {
            return Ok(false);
        };
        let mut earlier = EarlierCharges::new(&journal.revised_rows(calls)?);
        for seq in earlier.batches() {
            let found = journal.charges_of(&self.entry.account, seq)?;
            if let Some(found) = found {
                earlier.add(seq, &ChargesView::new(&found.records)?);
            }
        }
        let view = CallsView::new(&batch.records)?;
        let BatchCharges { charges, span } = charge_batch(&view, &self.entry, priced, &earlier);
        if charges.is_empty() {
            return Ok(true);
        }
        let appended = journal.append_charges(NewCharges {
            account: &self.entry.account,
            cursor: &self.cursor,
            calls,
            observed_at: batch.meta.observed_at,
            span,
            charges,
        })?;
        self.acknowledged = calls;
        self.app.count(Stream::Charges, appended.as_slice())?;
        Ok(true)
    }

    fn show_waiting(&self, waits: bool) -> Result<(), ChargingError> {
        let mut calls = 0;
        let mut after = self.position;
        while waits && let Some(meta) = self.app.journal.next_meta(Stream::Calls, after)? {
            after = meta.seq;
            if *meta.account == *self.entry.account {
                calls += i64::from(meta.rows);
            }
        }
        self.app
            .metrics
            .calls_waiting_for_deck
            .with_label_values(&[&self.entry.account])
            .set(calls);
        Ok(())
    }

    /// Logs a change of the reason why calls wait.
    fn log_waiting(&mut self, reason: Option<String>) {
        if self.waiting == reason {
            return;
        }
        if let Some(reason) = &reason {
            info!(charge = self.entry.name, reason, "calls wait to be charged");
        } else {
            info!(charge = self.entry.name, "calls are charged");
        }
        self.waiting = reason;
    }

    /// Journals the rates of the deck's file if it has changed.
    fn follow_file(&mut self) -> Result<(), ChargingError> {
        let Deck::File(path) = &self.entry.deck else {
            return Ok(());
        };
        let now = Instant::now();
        if self
            .file
            .looked_at
            .is_some_and(|last| now - last < LOOK_AT_FILE)
        {
            return Ok(());
        }
        self.file.looked_at = Some(now);
        let path = path.clone();
        let state = file_state(&path);
        if state.is_some() && state == self.file.read {
            return Ok(());
        }
        let file = deck_file::read(&path)?;
        if let Some(first) = file.unreadable.first() {
            warn!(
                deck = %path.display(),
                unreadable = file.unreadable.len(),
                first,
                "rows of the deck cannot be read"
            );
        }
        let extent = if file.unreadable.is_empty() {
            DeckExtent::Whole
        } else {
            DeckExtent::Part
        };
        let deck = OwnedDeck::new(file.rates.into_iter());
        let changes = self.app.journal.record_rates(
            &self.entry.name,
            Timestamp::now().as_microsecond(),
            &deck.records(),
            extent,
        )?;
        self.app.count(Stream::Rates, changes.batch.as_slice())?;
        self.file.read = state;
        Ok(())
    }
}

fn file_state(path: &PathBuf) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
