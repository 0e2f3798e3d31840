//! Reading past days of an account outside its loop.

use std::time::Duration;

use callmeter_journal::Purpose;

use super::account::calls_reader;
use super::days::{Day, span};
use super::error::PollError;
use super::hostedsuite::CallsReader;
use crate::config::Account;
use crate::context::AppContext;
use crate::stop::Stop;

/// Reads past days of a HostedSuite account's calls.
pub struct Backfill {
    reader: CallsReader,
}

/// What a day came to.
#[derive(Debug, Clone)]
pub struct DayRead {
    /// Records that came.
    pub records: u64,
    /// Calls among them that the journal did not have.
    pub new: u64,
    /// The cap at which the day was left, in words; nothing when all of it was read.
    pub capped: Option<String>,
}

impl Backfill {
    /// A reader of this account's calls that rests for `pause` after each page.
    ///
    /// # Errors
    /// When the account reads no calls, or its client cannot be made.
    pub fn new(
        account: &Account,
        app: &AppContext,
        stop: Stop,
        pause: Duration,
    ) -> Result<Self, String> {
        let reader = calls_reader(account, app, stop, pause)
            .ok_or_else(|| format!("account {:?} reads no calls", account.name))?
            .map_err(|error| error.to_string())?;
        Ok(Self { reader })
    }

    /// Reads a day.
    ///
    /// # Errors
    /// As a poll fails. What came before is journaled.
    pub async fn read(&self, day: Day, limit: Duration) -> Result<DayRead, PollError> {
        let mut walk = self.reader.begin(Purpose::Backfill, span(&[day])).await?;
        let capped = self.reader.read_past_day(&mut walk, day, limit).await?;
        Ok(DayRead {
            records: walk.counts.total(),
            new: walk.counts.new,
            capped,
        })
    }
}
