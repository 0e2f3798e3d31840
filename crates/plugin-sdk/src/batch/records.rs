//! The row types of the streams, made of the tables in `callmeter-record-tables`.

use super::column::Value;
use super::error::BatchError;
use super::owned::Batch;
use super::resolve::{ColumnKind, Described};
use super::rows::{
    Of, Source, Typed, accessor, decimal, described, flag, int, list, name, place, row, stream_row,
    text, time,
};
use super::stream::Stream;
use super::value::{Decimal, Timestamp};

/// The table of a stream; empty for one that this SDK does not know.
pub(super) fn columns(stream: Stream) -> &'static [Described] {
    match stream {
        Stream::Calls => Call::COLUMNS,
        Stream::Balances => Balance::COLUMNS,
        Stream::Rates => Rate::COLUMNS,
        Stream::Billing => Billing::COLUMNS,
        Stream::Charges => Charge::COLUMNS,
        Stream::Other(_) => &[],
    }
}

/// The tables, for comparing them with the schemas that a host sends.
#[doc(hidden)]
pub mod described {
    pub use super::super::resolve::{ColumnKind, Described as Column};

    /// Every table, by the schema's name.
    pub const SCHEMAS: [(&str, &[Column]); 5] = [
        ("calls/1", super::Call::COLUMNS),
        ("balances/1", super::Balance::COLUMNS),
        ("rates/1", super::Rate::COLUMNS),
        ("billing/1", super::Billing::COLUMNS),
        ("charges/1", super::Charge::COLUMNS),
    ];

    /// The struct columns' own tables.
    pub const STRUCTS: [(&str, &[Column]); 2] = [
        ("interactions", super::Interaction::COLUMNS),
        ("previous", super::PreviousCall::COLUMNS),
    ];
}

impl Batch {
    /// The calls of the batch; an error if it holds something else.
    pub fn calls(&self) -> Result<Typed<'_, Call<'_>>, BatchError> {
        Typed::new(self, "calls")
    }

    /// The allowance balances of the batch; an error if it holds something else.
    pub fn balances(&self) -> Result<Typed<'_, Balance<'_>>, BatchError> {
        Typed::new(self, "balances")
    }

    /// The call rates of the batch; an error if it holds something else.
    pub fn rates(&self) -> Result<Typed<'_, Rate<'_>>, BatchError> {
        Typed::new(self, "rates")
    }

    /// The billing settings of the batch; an error if it holds something else.
    pub fn billing(&self) -> Result<Typed<'_, Billing<'_>>, BatchError> {
        Typed::new(self, "billing")
    }

    /// The charges of the batch; an error if it holds something else.
    pub fn charges(&self) -> Result<Typed<'_, Charge<'_>>, BatchError> {
        Typed::new(self, "charges")
    }
}

callmeter_record_tables::calls! { stream_row
    Call "A call."
    last: [previous: previous, "With `change` = `revised`: the record as it was before.";]
    table:
}

callmeter_record_tables::interactions! { row
    Interaction "A step of a call."
}

row! {
    PreviousCall "What a revised call was before."
    revision: int, "The revision before.";
    client_id: text, "The client.";
    center_id: text, "The center that took the call.";
    call_type as "type": text, "The direction as the service wrote it.";
    answered_by: text, "Who answered.";
    flagged: truth, "Whether somebody flagged the call.";
    duration_ms: millis, "The whole call.";
    ring_ms: millis, "Time until the call was answered.";
    hold_ms: millis, "Time that the caller was on hold.";
    talk_ms: millis, "Time of talk.";
    transfer_ms: millis, "Time that the transfer took.";
    work_ms: millis, "Time of work after the call.";
    sequence: long, "The `sequence` of the record before.";
    observed_at: time, "When callmeter read the record before.";
    start_time: time, "When the call began.";
}

callmeter_record_tables::balances! { stream_row
    Balance "What a client used of its allowance in a period." last: [] table:
}

callmeter_record_tables::rates! { stream_row
    Rate "The price of calls to a prefix." last: [] table:
}

callmeter_record_tables::billing! { stream_row
    Billing "The billing settings and the balance of a PBX." last: [] table:
}

callmeter_record_tables::charges! { stream_row
    Charge "What a call costs." last: [] table:
}
