//! Reads past days of an account's calls that an operator asked for, apart from its polls.

use std::time::Duration;

use callmeter_journal::PageCounts;
use jiff::civil::Date;
use tokio::time::Instant;

use super::calls::CallsTask;
use super::reader::CallsReader;
use crate::sources::error::PollError;

/// Reads past days of a HostedSuite account's calls.
pub struct Backfill {
    task: CallsTask,
}

/// The result of reading one day.
#[derive(Debug, Clone, Copy)]
pub struct DayRead {
    /// How the records were classified.
    pub counts: PageCounts,
    /// Whether the whole day was read, which is proven. Otherwise the next reading continues.
    pub is_proven: bool,
}

impl Backfill {
    pub(in crate::sources) fn new(reader: CallsReader) -> Self {
        Self {
            task: CallsTask::new(reader),
        }
    }

    /// Notes in the journal that these days are to be read; returns those that have not been read
    /// yet, or all of them if they are to be read `again`.
    ///
    /// # Errors
    /// If the journal does not accept it.
    pub async fn ask(&mut self, days: &[Date], again: bool) -> Result<Vec<Date>, PollError> {
        let mut poll = self.task.begin().await?;
        poll.ask(days, again).await
    }

    /// Reads a day for at most `limit`.
    ///
    /// # Errors
    /// If a request fails, the records fall short of what the server counts, or the journal does
    /// not accept them. Records read before are journaled.
    pub async fn read(&mut self, date: Date, limit: Duration) -> Result<DayRead, PollError> {
        let mut poll = self.task.begin().await?;
        poll.last_send = Instant::now() + limit;
        poll.deadline = poll.last_send;
        let Some(day) = poll.memory.coverage.day(date) else {
            return Err(PollError::Internal(format!(
                "{date} is not in the calendar"
            )));
        };
        let read = poll.read_one(day).await;
        poll.store().await?;
        read?;
        let counts = poll.summary.counts;
        let is_proven = poll
            .memory
            .coverage
            .entry(date)
            .is_none_or(|entry| entry.proven_at.is_some());
        let failure = poll.memory.failing.get(&date).cloned();
        // Its error may be that of another day.
        let _ended = poll.finish();
        match failure {
            Some(error) => Err(PollError::Day(error)),
            None => Ok(DayRead { counts, is_proven }),
        }
    }
}
