//! Rows with one accessor per column, generated from the tables at the end of this file.
//!
//! The tables repeat the host's schemas; a test in the testkit compares the two. Columns are looked
//! up by name, once per schema: a column that the host does not send reads as `None`.

use super::{Batch, BatchError, DataType, Decimal, Field, List, Struct, Timestamp, Value};

/// What a table says of a column: its name, its type, and whether every record has it.
#[doc(hidden)]
pub mod described {
    /// The type that an accessor reads.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Kind {
        Text,
        Int,
        Flag,
        Time,
        Decimal,
        List,
        Struct,
    }

    /// One column.
    #[derive(Debug, Clone, Copy)]
    pub struct Column {
        pub name: &'static str,
        pub kind: Kind,
        pub required: bool,
    }

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

use described::Kind;

/// Where the columns of a typed row lie in a schema.
#[derive(Debug)]
pub(crate) struct Resolved(Result<Vec<Option<usize>>, BatchError>);

impl Resolved {
    pub(crate) fn new(kind: u32, fields: &[Field]) -> Self {
        let columns = match super::Stream::from_kind(kind) {
            super::Stream::Calls => Call::COLUMNS,
            super::Stream::Balances => Balance::COLUMNS,
            super::Stream::Rates => Rate::COLUMNS,
            super::Stream::Billing => Billing::COLUMNS,
            super::Stream::Other(_) => &[],
        };
        Self(
            columns
                .iter()
                .map(|column| resolve(column, fields))
                .collect(),
        )
    }
}

fn resolve(column: &described::Column, fields: &[Field]) -> Result<Option<usize>, BatchError> {
    let problem = |problem: String| BatchError::Column {
        name: column.name.to_owned(),
        problem,
    };
    let Some(index) = fields.iter().position(|field| field.name() == column.name) else {
        return if column.required {
            Err(problem("it is missing".to_owned()))
        } else {
            Ok(None)
        };
    };
    let found = fields[index].data_type();
    let fits = match column.kind {
        Kind::Text => matches!(found, DataType::Utf8),
        Kind::Int => matches!(found, DataType::Int32 | DataType::Int64),
        Kind::Flag => matches!(found, DataType::Bool),
        Kind::Time => matches!(found, DataType::Timestamp(_)),
        Kind::Decimal => matches!(found, DataType::Decimal128 { .. }),
        Kind::List => matches!(found, DataType::List(_)),
        Kind::Struct => matches!(found, DataType::Struct(_)),
    };
    if fits {
        Ok(Some(index))
    } else {
        Err(problem(format!(
            "it is {found:?}, and {:?} is expected",
            column.kind
        )))
    }
}

/// Typed rows of a batch, in order.
#[derive(Debug, Clone)]
pub struct Typed<'a, R> {
    batch: &'a Batch,
    places: &'a [Option<usize>],
    next: usize,
    row: std::marker::PhantomData<R>,
}

/// A row type: what [`Batch::calls`] and its siblings yield.
pub trait Of<'a>: Sized {
    #[doc(hidden)]
    fn at(batch: &'a Batch, places: &'a [Option<usize>], index: usize) -> Self;
}

impl<'a, R: Of<'a>> Iterator for Typed<'a, R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        let index = self.next;
        if index >= self.batch.len() {
            return None;
        }
        self.next += 1;
        Some(R::at(self.batch, self.places, index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.len() - self.next;
        (left, Some(left))
    }
}

impl<'a, R: Of<'a>> ExactSizeIterator for Typed<'a, R> {}

impl Batch {
    /// The calls of the batch; an error if it holds something else.
    pub fn calls(&self) -> Result<Typed<'_, Call<'_>>, BatchError> {
        self.typed("calls")
    }

    /// The allowance balances of the batch; an error if it holds something else.
    pub fn balances(&self) -> Result<Typed<'_, Balance<'_>>, BatchError> {
        self.typed("balances")
    }

    /// The call rates of the batch; an error if it holds something else.
    pub fn rates(&self) -> Result<Typed<'_, Rate<'_>>, BatchError> {
        self.typed("rates")
    }

    /// The billing settings of the batch; an error if it holds something else.
    pub fn billing(&self) -> Result<Typed<'_, Billing<'_>>, BatchError> {
        self.typed("billing")
    }

    fn typed<'a, R>(&'a self, wanted: &'static str) -> Result<Typed<'a, R>, BatchError> {
        let found = self.stream().name();
        if found != wanted {
            return Err(BatchError::OtherStream { wanted, found });
        }
        match &self.schema.resolved.0 {
            Ok(places) => Ok(Typed {
                batch: self,
                places,
                next: 0,
                row: std::marker::PhantomData,
            }),
            Err(error) => Err(error.clone()),
        }
    }
}

/// Where a typed value comes from.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Row {
        batch: &'a Batch,
        places: &'a [Option<usize>],
        index: usize,
    },
    Member(Struct<'a>),
}

impl<'a> Source<'a> {
    fn value(&self, place: usize, name: &str) -> Value<'a> {
        match self {
            Self::Row {
                batch,
                places,
                index,
            } => match places.get(place) {
                Some(Some(column)) => batch.column_at(*column).value(*index),
                _ => Value::Null,
            },
            Self::Member(members) => members.get(name),
        }
    }
}

fn text(value: Value<'_>) -> Option<&str> {
    if let Value::Text(text) = value {
        Some(text)
    } else {
        None
    }
}

fn int(value: Value<'_>) -> Option<i64> {
    if let Value::Int(int) = value {
        Some(int)
    } else {
        None
    }
}

fn flag(value: Value<'_>) -> Option<bool> {
    if let Value::Bool(flag) = value {
        Some(flag)
    } else {
        None
    }
}

fn time(value: Value<'_>) -> Option<Timestamp> {
    if let Value::Timestamp(time) = value {
        Some(time)
    } else {
        None
    }
}

fn decimal(value: Value<'_>) -> Option<Decimal> {
    if let Value::Decimal(decimal) = value {
        Some(decimal)
    } else {
        None
    }
}

fn list(value: Value<'_>) -> Option<List<'_>> {
    if let Value::List(list) = value {
        Some(list)
    } else {
        None
    }
}

/// One accessor, by the kind of its column. A trailing `!` marks a column that every record has.
macro_rules! accessor {
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Text, !) => {
        $(#[$doc])* pub fn $name(&self) -> &'a str { text(self.0.value(const { place(Self::COLUMNS, $column) }, $column)).unwrap_or("") }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Int, !) => {
        $(#[$doc])* pub fn $name(&self) -> i64 { int(self.0.value(const { place(Self::COLUMNS, $column) }, $column)).unwrap_or(0) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Time, !) => {
        $(#[$doc])* pub fn $name(&self) -> Timestamp {
            time(self.0.value(const { place(Self::COLUMNS, $column) }, $column)).unwrap_or(Timestamp::from_micros(0))
        }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Text,) => {
        $(#[$doc])* pub fn $name(&self) -> Option<&'a str> { text(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Int,) => {
        $(#[$doc])* pub fn $name(&self) -> Option<i64> { int(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Flag,) => {
        $(#[$doc])* pub fn $name(&self) -> Option<bool> { flag(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Time,) => {
        $(#[$doc])* pub fn $name(&self) -> Option<Timestamp> { time(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Decimal,) => {
        $(#[$doc])* pub fn $name(&self) -> Option<Decimal> { decimal(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    // Lists and structs have accessors of their own, written below by hand.
    ([$(#[$doc:meta])*] $column:literal, $name:ident, List,) => {
        fn $name(&self) -> Option<List<'a>> { list(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Struct,) => {
        fn $name(&self) -> Value<'a> { self.0.value(const { place(Self::COLUMNS, $column) }, $column) }
    };
}

macro_rules! required {
    () => {
        false
    };
    (!) => {
        true
    };
}

/// A row type from a table: accessor, column and kind.
macro_rules! row {
    ($(#[$doc:meta])* $row:ident {
        $($(#[$column_doc:meta])* $name:ident = $column:literal: ($kind:ident $($required:tt)?);)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $row<'a>(Source<'a>);

        impl<'a> $row<'a> {
            const COLUMNS: &'static [described::Column] = &[$(
                described::Column {
                    name: $column,
                    kind: Kind::$kind,
                    required: required!($($required)?),
                }
            ),*];

            $(accessor!([$(#[$column_doc])*] $column, $name, $kind, $($required)?);)*
        }

        impl<'a> Of<'a> for $row<'a> {
            fn at(batch: &'a Batch, places: &'a [Option<usize>], index: usize) -> Self {
                Self(Source::Row { batch, places, index })
            }
        }
    };
}

/// A column's place in its table, found while compiling.
const fn place(columns: &[described::Column], name: &str) -> usize {
    let mut i = 0;
    while i < columns.len() {
        let (a, b) = (columns[i].name.as_bytes(), name.as_bytes());
        let mut same = a.len() == b.len();
        let mut at = 0;
        while same && at < a.len() {
            same = a[at] == b[at];
            at += 1;
        }
        if same {
            return i;
        }
        i += 1;
    }
    panic!("every accessor names a column of its own table")
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

impl<'a> Source<'a> {
    /// The members of a struct value; of nothing when it is null.
    fn member(value: Value<'a>) -> Self {
        match value {
            Value::Struct(members) => Self::Member(members),
            _ => Self::Member(Struct::empty()),
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
