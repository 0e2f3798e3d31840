//! Reads past days of an account's calls, apart from its polls.

use std::time::Duration;

use callmeter_journal::Purpose;

use super::calls::CallsReader;
use super::days::{Day, span};
use crate::sources::error::PollError;

/// Reads past days of a HostedSuite account's calls.
pub struct Backfill {
    reader: CallsReader,
}

/// The result of reading one day.
#[derive(Debug, Clone)]
pub struct DayRead {
    /// Records read.
    pub records: u64,
    /// Calls among them that the journal did not have.
    pub new: u64,
    /// The cap that ended the reading; `None` if the whole day was read.
    pub capped: Option<String>,
}

impl Backfill {
    pub(in crate::sources) fn new(reader: CallsReader) -> Self {
        Self { reader }
    }

    /// Reads a day.
    ///
    /// # Errors
    /// If a request fails or the journal does not accept the records. Records read before are
    /// journaled.
    pub async fn read(&self, day: Day, limit: Duration) -> Result<DayRead, PollError> {
        let mut run = self.reader.begin(Purpose::Backfill, span(&[day])).await?;
        let capped = self.reader.read_past_day(&mut run, day, limit).await?;
        Ok(DayRead {
            records: run.counts.total(),
            new: run.counts.new,
            capped,
        })
    }
}
