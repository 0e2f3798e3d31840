//! The watermark of an account: stored with its state, compared with the end of each call.

use callmeter_records::{Call, Reading};

use crate::error::Result;
use crate::ingest::account_memory::SharedMemory;
use crate::ingest::options::{PollOptions, Purpose};
use crate::log::accounts::AccountState;
use crate::log::append::Append;
use crate::log::shared::SharedLog;
use crate::utc_day::SECOND;

/// The watermark as it was when a poll started, and the time that calls take to settle.
pub(crate) struct Watermark {
    /// `None` if no call of the poll can be late: in a backfill, or before the first complete poll.
    late_until: Option<i64>,
    settle: i64,
}

impl Watermark {
    pub(crate) fn new(state: AccountState, options: &PollOptions) -> Self {
        Self {
            late_until: match options.purpose {
                Purpose::Regular => state.watermark,
                Purpose::Backfill => None,
            },
            settle: i64::try_from(options.settle.as_micros()).unwrap_or(i64::MAX),
        }
    }

    /// When the call settles: its end plus the settle time. `None` without a start time.
    pub(crate) fn settled_at(&self, call: &Call<'_>) -> Option<i64> {
        let end = call.start_time.known()?.saturating_add(length(call));
        Some(end.saturating_add(self.settle))
    }

    /// Whether the last complete poll should have returned a call that settled at this time.
    pub(crate) fn is_late(&self, settled_at: Option<i64>) -> bool {
        self.late_until
            .zip(settled_at)
            .is_some_and(|(watermark, settled_at)| settled_at <= watermark)
    }
}

/// The earliest start time that polls will ask for from now on, if this poll moves it.
pub(crate) fn horizon(options: &PollOptions) -> Option<i64> {
    match options.purpose {
        Purpose::Regular => Some(options.range.start),
        Purpose::Backfill => None,
    }
}

/// Stores the state of an account without records. It is durable when this returns.
pub(crate) fn store_state(
    log: &SharedLog,
    memory: &SharedMemory,
    state: AccountState,
) -> Result<()> {
    let mut memory = memory.lock();
    if memory.row.state == state {
        return Ok(());
    }
    let (_, row) = log.append(Append {
        account: &memory.row,
        state: Some(state),
        horizon: None,
        observed_at: 0,
        batches: Vec::new(),
        latest: Vec::new(),
    })?;
    memory.row = row;
    Ok(())
}

/// How long a call lasted, in microseconds: its duration, or the sum of its known parts.
fn length(call: &Call<'_>) -> i64 {
    let millis = call.duration_ms.known().unwrap_or_else(|| {
        [call.ring_ms, call.hold_ms, call.talk_ms, call.transfer_ms]
            .into_iter()
            .filter_map(Reading::known)
            .fold(0, i64::saturating_add)
    });
    millis.saturating_mul(SECOND / 1000)
}
