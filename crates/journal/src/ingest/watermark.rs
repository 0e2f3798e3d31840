//! The watermark of an account: stored with its state, compared with the end of each call.

use callmeter_records::{Call, Reading};

use crate::error::Result;
use crate::ingest::account_memory::SharedMemory;
use crate::ingest::options::{PollOptions, Purpose};
use crate::log::accounts::AccountState;
use crate::log::append::Append;
use crate::log::coverage::CoverageChange;
use crate::log::shared::SharedLog;
use crate::utc_day::{DAY, SECOND};

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
                Purpose::Regular | Purpose::Tail => state.watermark,
                Purpose::Backfill => None,
            },
            settle: i64::try_from(options.settle.as_micros()).unwrap_or(i64::MAX),
        }
    }

    /// When the call settles: its end plus the settle time. `None` without a start time.
    ///
    /// A call that does not show that it has ended settles a day after its start, unless it
    /// `is_counted`: then it had ended. So does one that says it lasted longer than a day: nothing
    /// else tells when it would count.
    pub(crate) fn settled_at(&self, call: &Call<'_>, is_counted: bool) -> Option<i64> {
        let length = match length(call) {
            Some(length) => length.min(DAY),
            None if is_counted => 0,
            None => DAY,
        };
        let end = call.start_time.known()?.saturating_add(length);
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
        Purpose::Regular | Purpose::Tail => Some(options.range.start),
        Purpose::Backfill => None,
    }
}

/// Stores the state of an account and the coverage of its days, without records. Both are durable
/// when this returns.
pub(crate) fn store_state(
    log: &SharedLog,
    memory: &SharedMemory,
    state: AccountState,
    coverage: CoverageChange,
) -> Result<()> {
    let mut memory = memory.lock();
    if memory.row.state == state && coverage.is_empty() {
        return Ok(());
    }
    let (_, row) = log.append(Append {
        fence: memory.fence(),
        account: &memory.row,
        state: Some(state),
        horizon: None,
        coverage,
        observed_at: 0,
        batches: Vec::new(),
        latest: Vec::new(),
        cursor: None,
    })?;
    memory.row = row;
    Ok(())
}

/// How long a call lasted, in microseconds: its duration, or the sum of its known parts if someone
/// has talked. `None` if it may go on: a call that still rings or waits has parts, too.
fn length(call: &Call<'_>) -> Option<i64> {
    let has_talked = call.talk_ms.known().is_some_and(|talk| talk > 0);
    let millis = match call.duration_ms.known() {
        Some(millis) => millis,
        None if has_talked => [call.ring_ms, call.hold_ms, call.talk_ms, call.transfer_ms]
            .into_iter()
            .filter_map(Reading::known)
            .fold(0, i64::saturating_add),
        None => return None,
    };
    Some(millis.saturating_mul(SECOND / 1000))
}
