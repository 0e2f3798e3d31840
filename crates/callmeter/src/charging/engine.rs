//! The thread of an entry: reads calls behind the polls, and appends their charges.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callmeter_error_chain::chain;
use callmeter_journal::{BatchSeq, NewCharges, StoredBatch};
use callmeter_records::{CallsView, ChargesView, Stream};
use tracing::{error, info, warn};

use super::charges::{BatchCharges, EarlierCharges, charge_batch};
use super::current_deck::{CurrentDeck, NoDeck};
use super::cursor::{cursor_of, deck_account};
use super::error::ChargingError;
use super::followed_file::FollowedFile;
use super::waiting::WaitingCalls;
use crate::config::{Charging, Deck};
use crate::context::AppContext;
use crate::status::ChargingStatus;

/// How long the thread waits for calls before it looks at the file of its deck.
const WAIT: Duration = Duration::from_secs(5);
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
    waiting: WaitingCalls,
    /// What was logged last.
    said: Said,
}

/// What is said of an entry when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    /// Why calls wait.
    wait: Option<String>,
    /// Why the file of the deck cannot be read.
    file: Option<String>,
}

impl Engine {
    pub(super) fn new(app: AppContext, entry: Charging, stopped: Arc<AtomicBool>) -> Self {
        Self {
            cursor: cursor_of(&entry),
            app,
            entry,
            stopped,
            position: BatchSeq::START,
            acknowledged: BatchSeq::START,
            deck: None,
            file: FollowedFile::default(),
            waiting: WaitingCalls::default(),
            said: Said::default(),
        }
    }

    pub(super) fn run(mut self) {
        let mut seen = BatchSeq::START;
        while !self.is_stopped() {
            match self.round() {
                Ok(()) => {
                    seen = self.wait_beyond(seen, WAIT);
                }
                Err(error) => {
                    // Everything is read again: the journal says what is charged.
                    self.deck = None;
                    let reason = chain(&error);
                    if self.said.wait.as_ref() != Some(&reason) {
                        warn!(charge = self.entry.name, reason, "calls wait to be charged");
                    }
                    self.said.wait = Some(reason);
                    self.wait_beyond(BatchSeq(u64::MAX), AFTER_FAILURE);
                }
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Waits for a batch after `after`, unless the thread has to stop.
    fn wait_beyond(&self, after: BatchSeq, time: Duration) -> BatchSeq {
        let ends = || self.is_stopped();
        self.app.journal.wait_beyond(after, time, ends)
    }

    /// Charges the calls that have come.
    pub(super) fn round(&mut self) -> Result<(), ChargingError> {
        self.file.follow(&self.app, &self.entry)?;
        let mut journal = self.app.journal.clone();
        if self.deck.is_none() {
            self.find_position()?;
        }
        let mut wait = None;
        while !self.is_stopped()
            && let Some(batch) = journal.next_batch(Stream::Calls, self.position)?
        {
            if *batch.meta.account == *self.entry.account
                && let Err(why) = self.charge(&batch)?
            {
                wait = Some(why);
                break;
            }
            self.position = batch.meta.seq;
        }
        // Calls of other accounts are not kept for this entry.
        if self.position > self.acknowledged {
            journal.acknowledge(&self.cursor, Stream::Calls, self.position)?;
            self.acknowledged = self.position;
        }
        if wait.is_none()
            && self.file.problem().is_some()
            && let Some(deck) = &mut self.deck
        {
            // No call needs a deck now, but the next one will.
            wait = deck.for_calls(&mut journal, self.position)?.err();
        }
        self.show(wait)
    }

    fn find_position(&mut self) -> Result<(), ChargingError> {
        let mut journal = self.app.journal.clone();
        let cursor = journal.cursor(&self.cursor, Stream::Calls)?;
        self.acknowledged = cursor.map_or(BatchSeq::START, |cursor| cursor.batch);
        // The cursor of an account whose entry was removed for a while is new.
        let charged = journal.last_charged(&self.entry.account)?;
        if charged > self.acknowledged {
            info!(
                charge = self.entry.name,
                account = self.entry.account,
                "this account was charged before, perhaps by an entry of another name: calls \
                 that were journaled before its last charge are not charged again"
            );
        }
        self.position = self.acknowledged.max(charged);
        self.deck = Some(CurrentDeck::new(
            &mut journal,
            deck_account(&self.entry),
            self.entry.currency.as_deref(),
            &self.entry.rating,
            self.position,
        )?);
        Ok(())
    }

    /// Charges a batch of calls, or says why it waits.
    fn charge(&mut self, batch: &StoredBatch) -> Result<Result<(), NoDeck>, ChargingError> {
        let mut journal = self.app.journal.clone();
        let calls = batch.meta.seq;
        let Some(deck) = &mut self.deck else {
            return Ok(Err(NoDeck::NotRead));
        };
        let priced = match deck.for_calls(&mut journal, calls)? {
            Ok(priced) => priced,
            Err(why) => return Ok(Err(why)),
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
            return Ok(Ok(()));
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
        Ok(Ok(()))
    }

    /// Shows how many calls wait and why, and logs what has changed.
    fn show(&mut self, wait: Option<NoDeck>) -> Result<(), ChargingError> {
        let calls = match wait {
            Some(_) => {
                let journal = &self.app.journal;
                self.waiting.count(journal, &self.entry, self.position)?
            }
            None => 0,
        };
        self.app
            .metrics
            .calls_waiting_for_deck
            .with_label_values(&[&self.entry.account])
            .set(i64::try_from(calls).unwrap_or(i64::MAX));
        let deck = match &self.entry.deck {
            Deck::Account(account) => format!("the deck of account {account}"),
            Deck::File(path) => format!("the deck {}", path.display()),
        };
        let said = Said {
            wait: wait.map(|why| format!("{deck} {why}")),
            file: self.file.problem().map(str::to_owned),
        };
        self.app.status.set_charging(ChargingStatus {
            name: self.entry.name.clone(),
            account: self.entry.account.clone(),
            waiting: calls,
            reason: said.wait.clone(),
            error: said.file.clone(),
        });
        self.log(said);
        Ok(())
    }

    fn log(&mut self, said: Said) {
        if self.said == said {
            return;
        }
        let charge = &self.entry.name;
        match (&said.wait, &said.file) {
            (None, None) => info!(charge, "calls are charged"),
            (Some(reason), None) => info!(charge, reason, "calls wait to be charged"),
            (Some(_), Some(reason)) => error!(charge, reason, "calls wait to be charged"),
            (None, Some(reason)) => error!(
                charge,
                reason,
                "the deck cannot be read: calls are charged by the rates that were read last"
            ),
        }
        self.said = said;
    }
}
