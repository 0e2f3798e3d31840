//! The records' columns: one table for each stream, from which the row types are made.
//!
//! They repeat the schemas that callmeter sends; a test in the testkit compares the two.

use super::column::{List, Value};
use super::error::BatchError;
use super::owned::Batch;
use super::resolve::{ColumnKind, Described};
use super::rows::{
    Of, Source, Typed, accessor, decimal, flag, int, list, place, required, row, text, time,
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
        Stream::Other(_) => &[],
    }
}

/// The tables, for comparing them with the schemas that a host sends.
#[doc(hidden)]
pub mod described {
    pub use super::super::resolve::{ColumnKind, Described as Column};

    /// Every table, by the schema's name.
    pub const SCHEMAS: [(&str, &[Column]); 4] = [
        ("calls/1", super::Call::COLUMNS),
        ("balances/1", super::Balance::COLUMNS),
        ("rates/1", super::Rate::COLUMNS),
        ("billing/1", super::Billing::COLUMNS),
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
}

impl<'a> Call<'a> {
    /// What happened during the call, in order.
    pub fn interactions(&self) -> impl ExactSizeIterator<Item = Interaction<'a>> + use<'a> {
        let items = self.interaction_list();
        (0..items.map_or(0, |items| items.len())).map(move |index| {
            let item = items.map_or(Value::Null, |items| items.get(index));
            Interaction(Source::member(item))
        })
    }

    /// The ids of the forms filled in during the call.
    pub fn completed_form_ids(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.form_id_list()
            .into_iter()
            .flat_map(|items| items.iter().filter_map(text))
    }

    /// With `change` = `revised`: the record as it was before.
    pub fn previous(&self) -> Option<PreviousCall<'a>> {
        match self.previous_struct() {
            Value::Struct(members) => Some(PreviousCall(Source::Member(members))),
            _ => None,
        }
    }
}

row! {
    /// A call.
    Call {
        /// The account of callmeter's configuration that the record belongs to.
        account = "account": (Text !);
        /// The record's place in its stream: 1, 2, 3, … over the whole journal.
        sequence = "sequence": (Int !);
        /// 0 for a record seen first, one more with each change.
        revision = "revision": (Int !);
        /// `new`, or `revised` when the service changed a record that was counted before.
        change = "change": (Text !);
        /// When callmeter saw it.
        observed_at = "observed_at": (Time !);
        /// The service's id.
        id = "id": (Text);
        /// The client called for.
        client_id = "client_id": (Text);
        /// The client's name.
        client_name = "client_name": (Text);
        /// The center that took the call.
        center_id = "center_id": (Text);
        /// When the call began.
        start_time = "start_time": (Time);
        /// The caller's name: personal data.
        caller_name = "caller_name": (Text);
        /// The caller's number: personal data.
        caller_number = "caller_number": (Text);
        /// Whom the call was transferred to: personal data.
        transfer_to_name = "transfer_to_name": (Text);
        /// The number it was transferred to: personal data.
        transfer_to_number = "transfer_to_number": (Text);
        /// Free text: may hold personal data.
        notes = "notes": (Text);
        /// The whole call, in milliseconds.
        duration_ms = "duration_ms": (Int);
        /// Ringing, in milliseconds.
        ring_ms = "ring_ms": (Int);
        /// On hold, in milliseconds.
        hold_ms = "hold_ms": (Int);
        /// Talking, in milliseconds.
        talk_ms = "talk_ms": (Int);
        /// Being transferred, in milliseconds.
        transfer_ms = "transfer_ms": (Int);
        /// Work after the call, in milliseconds.
        work_ms = "work_ms": (Int);
        /// How often the caller was put on hold.
        hold_count = "hold_count": (Int);
        interaction_list = "interactions": (List);
        form_id_list = "completed_form_ids": (List);
        /// Who answered.
        answered_by = "answered_by": (Text);
        /// The service's server.
        server = "server": (Text);
        /// What the agent's screen showed: may hold personal data.
        screen_pop = "screen_pop": (Text);
        /// Whether someone flagged the call.
        flagged = "flagged": (Flag);
        /// Why: free text, may hold personal data.
        flag_notes = "flag_notes": (Text);
        /// The direction as the service wrote it: Incoming, Outgoing, …
        call_type = "type": (Text);
        /// What could not be read: a JSON object from the service's member to its original text.
        unreadable = "unreadable": (Text);
        previous_struct = "previous": (Struct);
    }
}

row! {
    /// A step of a call.
    Interaction {
        /// When it happened.
        start_time = "start_time": (Time);
        /// What it was: Answer, Hold, Hangup, …
        interaction_type = "type": (Text);
        /// Free text.
        description = "description": (Text);
    }
}

row! {
    /// What a revised call was before.
    PreviousCall {
        /// The revision before.
        revision = "revision": (Int);
        /// The client called for.
        client_id = "client_id": (Text);
        /// The center that took the call.
        center_id = "center_id": (Text);
        /// The direction as the service wrote it.
        call_type = "type": (Text);
        /// Who answered.
        answered_by = "answered_by": (Text);
        /// Whether someone flagged the call.
        flagged = "flagged": (Flag);
        /// The whole call, in milliseconds.
        duration_ms = "duration_ms": (Int);
        /// Ringing, in milliseconds.
        ring_ms = "ring_ms": (Int);
        /// On hold, in milliseconds.
        hold_ms = "hold_ms": (Int);
        /// Talking, in milliseconds.
        talk_ms = "talk_ms": (Int);
        /// Being transferred, in milliseconds.
        transfer_ms = "transfer_ms": (Int);
        /// Work after the call, in milliseconds.
        work_ms = "work_ms": (Int);
    }
}

row! {
    /// What a client used of its allowance in a period.
    Balance {
        /// The account of callmeter's configuration that the record belongs to.
        account = "account": (Text !);
        /// The record's place in its stream: 1, 2, 3, … over the whole journal.
        sequence = "sequence": (Int !);
        /// 0 for a record seen first, one more with each change.
        revision = "revision": (Int !);
        /// `new` or `revised`.
        change = "change": (Text !);
        /// When callmeter saw it.
        observed_at = "observed_at": (Time !);
        /// The period's first moment.
        period_start = "period_start": (Time);
        /// The first moment after the period.
        period_end = "period_end": (Time);
        /// The client.
        client_id = "client_id": (Text);
        /// The client's id in another system.
        third_party_account_id = "third_party_account_id": (Text);
        /// The client's name.
        client_name = "client_name": (Text);
        /// The allowance in words.
        allowance_description = "allowance_description": (Text);
        /// Calls used.
        num_calls = "num_calls": (Decimal);
        /// Minutes used.
        num_mins = "num_mins": (Decimal);
        /// The balance as the service states it.
        balance = "balance": (Decimal);
        /// The balance in words.
        balance_description = "balance_description": (Text);
        /// What could not be read: a JSON object from the service's member to its original text.
        unreadable = "unreadable": (Text);
    }
}

row! {
    /// The price of calls to a prefix.
    Rate {
        /// The account of callmeter's configuration that the record belongs to.
        account = "account": (Text !);
        /// The record's place in its stream: 1, 2, 3, … over the whole journal.
        sequence = "sequence": (Int !);
        /// 0 for a record seen first, one more with each change.
        revision = "revision": (Int !);
        /// `new`, `revised` or `removed`.
        change = "change": (Text !);
        /// When callmeter saw it.
        observed_at = "observed_at": (Time !);
        /// The service's id.
        id = "id": (Text);
        /// The prefix that numbers begin with.
        prefix = "prefix": (Text);
        /// The kind of rate as the service wrote it.
        rate_type = "type": (Text);
        /// Seconds that cost nothing.
        free_seconds = "free_seconds": (Int);
        /// Seconds before charging begins.
        grace_period = "grace_period": (Int);
        /// Seconds of the first interval.
        interval_1 = "interval_1": (Int);
        /// Seconds of each further interval.
        interval_n = "interval_n": (Int);
        /// Charged when a call is connected.
        connect_fee = "connect_fee": (Decimal);
        /// Charged when a call has ended.
        postcall_surcharge = "postcall_surcharge": (Decimal);
        /// Price per minute in the first interval.
        price_1 = "price_1": (Decimal);
        /// Price per minute in each further interval.
        price_n = "price_n": (Decimal);
        /// The rate in words.
        description = "description": (Text);
        /// What could not be read: a JSON object from the service's member to its original text.
        unreadable = "unreadable": (Text);
    }
}

row! {
    /// The billing settings and the balance of a PBX.
    Billing {
        /// The account of callmeter's configuration that the record belongs to.
        account = "account": (Text !);
        /// The record's place in its stream: 1, 2, 3, … over the whole journal.
        sequence = "sequence": (Int !);
        /// 0 for a record seen first, one more with each change.
        revision = "revision": (Int !);
        /// `new` or `revised`.
        change = "change": (Text !);
        /// When callmeter saw it.
        observed_at = "observed_at": (Time !);
        /// Whether billing is switched on.
        enabled = "enabled": (Flag);
        /// What is billed: the extension, the trunk, …
        billed_account = "billed_account": (Text);
        /// Prepaid, postpaid, …
        charging_type = "charging_type": (Text);
        /// The balance.
        balance = "balance": (Decimal);
        /// The balance's currency.
        currency = "currency": (Text);
        /// What could not be read: a JSON object from the service's member to its original text.
        unreadable = "unreadable": (Text);
    }
}
