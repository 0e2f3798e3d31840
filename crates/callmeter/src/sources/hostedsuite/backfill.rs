//! Reads past days of an account's calls, apart from its polls.

use std::time::Duration;

use callmeter_journal::Purpose;

use super::days::{Day, span};
use super::reader::{CallsReader, Request, Walked};
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
    /// The cap that ended the reading; `None` if the whole day was read, which is proven.
    pub capped: Option<String>,
}

impl Backfill {
    pub(in crate::sources) fn new(reader: CallsReader) -> Self {
        Self { reader }
    }

    /// Reads a day.
    ///
    /// # Errors
    /// If a request fails, the records fall short of what the server counts, or the journal does
    /// not accept them. Records read before are journaled.
    pub async fn read(&self, day: Day, limit: Duration) -> Result<DayRead, PollError> {
        let mut run = self.reader.begin(Purpose::Backfill, span(&[day])).await?;
        let request = Request::day(day);
        let walked = self.reader.read(&mut run, request, None, limit).await?;
        let capped = match walked {
            Walked::Complete => None,
            Walked::Interrupted { cap, .. } => Some(cap.to_string()),
        };
        Ok(DayRead {
            records: run.counts.total(),
            new: run.counts.new,
            capped,
        })
    }
}
