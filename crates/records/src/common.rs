//! What every stream has: the first five columns, and the names of all columns.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::column::{Columns, ViewError};
use crate::{Stream, money};

/// The names of the columns, over all streams.
pub mod columns {
    macro_rules! names {
        ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => { $($(#[$doc])* pub const $name: &str = $text;)* };
    }
    names! {
        /// The account's name in the configuration.
        ACCOUNT = "account";
        /// The record's place in its stream: 1, 2, 3 … over the whole journal.
        SEQUENCE = "sequence";
        /// 0 for a record as first seen, 1 more for each change of it.
        REVISION = "revision";
        /// `new`, `revised` or `removed`.
        CHANGE = "change";
        /// When callmeter read the record.
        OBSERVED_AT = "observed_at";
        /// The id that the API gave.
        ID = "id";
        /// The client that the record belongs to.
        CLIENT_ID = "client_id";
        /// That client's name.
        CLIENT_NAME = "client_name";
        /// The center that the client belongs to.
        CENTER_ID = "center_id";
        /// When the call began.
        START_TIME = "start_time";
        /// The caller's name.
        CALLER_NAME = "caller_name";
        /// The caller's number.
        CALLER_NUMBER = "caller_number";
        /// To whom the call was transferred.
        TRANSFER_TO_NAME = "transfer_to_name";
        /// To which number the call was transferred.
        TRANSFER_TO_NUMBER = "transfer_to_number";
        /// The operator's notes.
        NOTES = "notes";
        /// Length of the call.
        DURATION_MS = "duration_ms";
        /// Time until the call was answered.
        RING_MS = "ring_ms";
        /// Time on hold.
        HOLD_MS = "hold_ms";
        /// Time of talk.
        TALK_MS = "talk_ms";
        /// Time of transfer.
        TRANSFER_MS = "transfer_ms";
        /// Time of work after the call.
        WORK_MS = "work_ms";
        /// How often the caller was put on hold.
        HOLD_COUNT = "hold_count";
        /// What happened during the call.
        INTERACTIONS = "interactions";
        /// Forms that were filled in.
        COMPLETED_FORM_IDS = "completed_form_ids";
        /// Who answered.
        ANSWERED_BY = "answered_by";
        /// The server that took the call.
        SERVER = "server";
        /// The screen that was shown.
        SCREEN_POP = "screen_pop";
        /// Whether the call was flagged.
        FLAGGED = "flagged";
        /// Why it was.
        FLAG_NOTES = "flag_notes";
        /// A call's or a rate's or an interaction's type, as the API wrote it.
        TYPE = "type";
        /// JSON object of the members that could not be read, with their text.
        UNREADABLE = "unreadable";
        /// The record as it was counted before.
        PREVIOUS = "previous";
        /// What an interaction was.
        DESCRIPTION = "description";
        /// Begin of a balance's period.
        PERIOD_START = "period_start";
        /// End of a balance's period.
        PERIOD_END = "period_end";
        /// The account's id at a third party.
        THIRD_PARTY_ACCOUNT_ID = "third_party_account_id";
        /// The allowance in words.
        ALLOWANCE_DESCRIPTION = "allowance_description";
        /// Calls in the period.
        NUM_CALLS = "num_calls";
        /// Minutes in the period.
        NUM_MINS = "num_mins";
        /// The balance as the API states it.
        BALANCE = "balance";
        /// The balance in words.
        BALANCE_DESCRIPTION = "balance_description";
        /// The prefix that a rate is for.
        PREFIX = "prefix";
        /// Seconds that are free after the first interval.
        FREE_SECONDS = "free_seconds";
        /// Calls shorter than this many seconds are free.
        GRACE_PERIOD = "grace_period";
        /// Seconds of the first interval.
        INTERVAL_1 = "interval_1";
        /// Seconds of each further interval.
        INTERVAL_N = "interval_n";
        /// Charged for each answered call.
        CONNECT_FEE = "connect_fee";
        /// Fraction added to the cost.
        POSTCALL_SURCHARGE = "postcall_surcharge";
        /// Price of a minute in the first interval.
        PRICE_1 = "price_1";
        /// Price of a minute in further intervals.
        PRICE_N = "price_n";
        /// Whether calls are billed.
        ENABLED = "enabled";
        /// Which account is billed.
        BILLED_ACCOUNT = "billed_account";
        /// Online or offline charging.
        CHARGING_TYPE = "charging_type";
        /// The currency of the balance, ISO 4217.
        CURRENCY = "currency";
    }
}

/// What a row says about its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Seen for the first time.
    New,
    /// Seen before with other contents.
    Revised,
    /// No longer there (rates).
    Removed,
}

impl Change {
    /// The text in the column `change`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Revised => "revised",
            Self::Removed => "removed",
        }
    }

    /// The change that a text of the column `change` means.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::New, Self::Revised, Self::Removed]
            .into_iter()
            .find(|change| change.as_str() == text)
    }
}

/// What the rows of one batch share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHead<'a> {
    /// The account's name in the configuration.
    pub account: &'a str,
    /// The `sequence` of the first row; each further row has one more.
    pub first_sequence: i64,
    /// When the records were read: UTC, microseconds.
    pub observed_at: i64,
}

/// What a row says about its record beside the record itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowMark {
    /// 0 for a record as first seen, 1 more for each change of it.
    pub revision: i32,
    /// What happened to the record.
    pub change: Change,
}

impl RowMark {
    /// A record that was never seen before.
    pub const NEW: Self = Self {
        revision: 0,
        change: Change::New,
    };
}

/// The time zone of every timestamp column.
pub(crate) const UTC: &str = "+00:00";

pub(crate) fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

pub(crate) fn money_type() -> DataType {
    DataType::Decimal128(money::PRECISION, money::SCALE)
}

pub(crate) fn schema_of(stream: Stream, own: Vec<Field>) -> arrow_schema::SchemaRef {
    let mut fields = vec![
        Field::new(columns::ACCOUNT, DataType::Utf8, false),
        Field::new(columns::SEQUENCE, DataType::Int64, false),
        Field::new(columns::REVISION, DataType::Int32, false),
        Field::new(columns::CHANGE, DataType::Utf8, false),
        Field::new(columns::OBSERVED_AT, timestamp_type(), false),
    ];
    fields.extend(own);
    let metadata = [(
        Stream::SCHEMA_KEY.to_owned(),
        stream.schema_name().to_owned(),
    )];
    Arc::new(arrow_schema::Schema::new_with_metadata(fields, metadata))
}

/// Builds the first five columns.
#[derive(Debug, Default)]
pub(crate) struct CommonBuilder {
    revisions: Vec<i32>,
    changes: StringBuilder,
}

impl CommonBuilder {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            revisions: Vec::with_capacity(rows),
            changes: StringBuilder::with_capacity(rows, rows * 4),
        }
    }

    pub(crate) fn append(&mut self, mark: RowMark) {
        self.revisions.push(mark.revision);
        self.changes.append_value(mark.change.as_str());
    }

    pub(crate) fn len(&self) -> usize {
        self.revisions.len()
    }

    pub(crate) fn finish(&mut self, head: &BatchHead<'_>) -> Vec<ArrayRef> {
        let rows = self.len();
        let mut accounts = StringBuilder::with_capacity(rows, rows * head.account.len());
        for _ in 0..rows {
            accounts.append_value(head.account);
        }
        vec![
            Arc::new(accounts.finish()),
            Arc::new(Int64Array::from_iter_values(
                (head.first_sequence..).take(rows),
            )),
            Arc::new(Int32Array::from(std::mem::take(&mut self.revisions))),
            Arc::new(self.changes.finish()),
            Arc::new(
                TimestampMicrosecondArray::from(vec![head.observed_at; rows]).with_timezone(UTC),
            ),
        ]
    }
}

/// Reads the first five columns of a batch of any stream.
#[derive(Clone, Copy, Debug)]
pub struct CommonView<'a> {
    rows: usize,
    account: &'a StringArray,
    sequence: &'a Int64Array,
    revision: &'a Int32Array,
    change: &'a StringArray,
    observed_at: &'a TimestampMicrosecondArray,
}

impl<'a> CommonView<'a> {
    /// A view of `batch`, which has to have the five columns.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, ViewError> {
        let columns = Columns::new(batch);
        Ok(Self {
            rows: batch.num_rows(),
            account: columns.get(columns::ACCOUNT)?,
            sequence: columns.get(columns::SEQUENCE)?,
            revision: columns.get(columns::REVISION)?,
            change: columns.get(columns::CHANGE)?,
            observed_at: columns.get(columns::OBSERVED_AT)?,
        })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The account of a row. Like all of these: panics if there is no such row.
    pub fn account(&self, row: usize) -> &'a str {
        self.account.value(row)
    }

    /// The row's place in its stream.
    pub fn sequence(&self, row: usize) -> i64 {
        self.sequence.value(row)
    }

    /// The record's revision.
    pub fn revision(&self, row: usize) -> i32 {
        self.revision.value(row)
    }

    /// What happened to the record; `None` for a text that this version does not know.
    pub fn change(&self, row: usize) -> Option<Change> {
        Change::parse(self.change.value(row))
    }

    /// When the record was read: UTC, microseconds.
    pub fn observed_at(&self, row: usize) -> i64 {
        self.observed_at.value(row)
    }
}
