//! The file of a deck, whose rates are journaled when it has changed.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use callmeter_journal::DeckExtent;
use callmeter_records::Stream;
use jiff::Timestamp;
use tracing::warn;

use super::deck_file::{self, DeckFile};
use super::error::ChargingError;
use crate::config::{Charging, Deck};
use crate::context::AppContext;
use crate::sources::OwnedDeck;
use crate::status::Task;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// The file of a deck, as it was read last.
#[derive(Default)]
pub(super) struct FollowedFile {
    looked_at: Option<Instant>,
    read: Option<(SystemTime, u64)>,
    problem: Option<String>,
}

impl FollowedFile {
    /// Why it cannot be read; `None` if it can.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Journals the rates of the entry's file if it has changed. They are those of an account with
    /// the name of the entry, and so are its metrics.
    pub(super) fn follow(
        &mut self,
        app: &AppContext,
        entry: &Charging,
    ) -> Result<(), ChargingError> {
        let Deck::File(path) = &entry.deck else {
            return Ok(());
        };
        let now = Instant::now();
        if self.looked_at.is_some_and(|last| now - last < LOOK) {
            return Ok(());
        }
        self.looked_at = Some(now);
        let state = file_state(path);
        if state.is_none() || state != self.read {
            let read = deck_file::read(path);
            let reason = read.as_ref().err().map(deck_file::DeckFileError::reason);
            app.metrics.deck_file_read(&entry.name, reason);
            match read {
                Ok(file) => journal(app, entry, path, file)?,
                Err(error) => {
                    self.problem = Some(error.to_string());
                    return Ok(());
                }
            }
            self.read = state;
        } else if self.problem.is_some() {
            app.metrics.deck_file_read(&entry.name, None);
        }
        self.problem = None;
        Ok(())
    }
}

fn journal(
    app: &AppContext,
    entry: &Charging,
    path: &Path,
    file: DeckFile,
) -> Result<(), ChargingError> {
    let unreadable = file.unreadable.len();
    app.status
        .accounts()
        .records_unreadable(&entry.name, Task::Rates, unreadable as u64);
    if let Some(first) = file.unreadable.first() {
        warn!(
            deck = %path.display(),
            unreadable,
            first,
            "rows of the deck cannot be read; prefixes that it had before keep their rates"
        );
    }
    let extent = match unreadable {
        0 => DeckExtent::Whole,
        _ => DeckExtent::Part,
    };
    let deck = OwnedDeck::new(file.rates.into_iter());
    let now = Timestamp::now().as_microsecond();
    let changes = app
        .journal
        .record_rates(&entry.name, now, &deck.records(), extent)?;
    Ok(app.count(Stream::Rates, changes.batch.as_slice())?)
}

fn file_state(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
