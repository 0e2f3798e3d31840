//! Call records: the vocabulary and the schema `calls/1`.

mod builder;
#[cfg(test)]
mod tests;
mod view;

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Fields, SchemaRef};

pub use builder::CallsBuilder;
pub use view::{CallRow, CallsView, InteractionRow};

use crate::common::{columns, schema_of, timestamp_type};
use crate::hash::FieldHasher;
use crate::unreadable::UnreadableJson;
use crate::{Reading, Stream};

/// A call record as an API gave it, borrowed from the page that it came in, with its time made UTC.
///
/// Durations are whole milliseconds (see [`crate::duration`]), times UTC microseconds (see [`crate::TimeReader`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are the API's own, described with the columns of the same names"
)]
pub struct Call<'a> {
    /// The API's id; no text and empty text both mean that the record has none.
    pub id: Option<&'a str>,
    pub client_id: Option<&'a str>,
    pub client_name: Option<&'a str>,
    pub center_id: Option<&'a str>,
    pub start_time: Reading<'a, i64>,
    pub caller_name: Option<&'a str>,
    pub caller_number: Option<&'a str>,
    pub transfer_to_name: Option<&'a str>,
    pub transfer_to_number: Option<&'a str>,
    pub notes: Option<&'a str>,
    pub duration_ms: Reading<'a, i64>,
    pub ring_ms: Reading<'a, i64>,
    pub hold_ms: Reading<'a, i64>,
    pub talk_ms: Reading<'a, i64>,
    pub transfer_ms: Reading<'a, i64>,
    pub work_ms: Reading<'a, i64>,
    pub hold_count: Reading<'a, i32>,
    /// `None` where the API gave no list.
    pub interactions: Option<&'a [Interaction<'a>]>,
    /// `None` where the API gave no list.
    pub completed_form_ids: Option<&'a [&'a str]>,
    pub answered_by: Option<&'a str>,
    pub server: Option<&'a str>,
    pub screen_pop: Option<&'a str>,
    pub flagged: Reading<'a, bool>,
    pub flag_notes: Option<&'a str>,
    /// The API's `Type`, as written.
    pub call_type: Option<&'a str>,
}

/// Something that happened during a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interaction<'a> {
    /// When, UTC microseconds.
    pub start_time: Reading<'a, i64>,
    /// What, in the API's word: `Answer`, `Hold` …
    pub kind: Option<&'a str>,
    /// More about it.
    pub description: Option<&'a str>,
}

/// The durations of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "described with the columns of the same names")]
pub enum CallField {
    Duration,
    Ring,
    Hold,
    Talk,
    Transfer,
    Work,
}

impl CallField {
    /// All of them, in the order of their columns.
    pub const ALL: [Self; 6] = [
        Self::Duration,
        Self::Ring,
        Self::Hold,
        Self::Talk,
        Self::Transfer,
        Self::Work,
    ];

    /// The name in labels: `duration`, `ring` …
    pub const fn name(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Ring => "ring",
            Self::Hold => "hold",
            Self::Talk => "talk",
            Self::Transfer => "transfer",
            Self::Work => "work",
        }
    }

    /// The column: `duration_ms` …
    pub const fn column(self) -> &'static str {
        match self {
            Self::Duration => columns::DURATION_MS,
            Self::Ring => columns::RING_MS,
            Self::Hold => columns::HOLD_MS,
            Self::Talk => columns::TALK_MS,
            Self::Transfer => columns::TRANSFER_MS,
            Self::Work => columns::WORK_MS,
        }
    }

    /// The member in the API's answer, as it stands in the column `unreadable`.
    pub const fn api_member(self) -> &'static str {
        match self {
            Self::Duration => "DurationInSeconds",
            Self::Ring => "RingTimeInSeconds",
            Self::Hold => "HoldTimeInSeconds",
            Self::Talk => "TalkTimeInSeconds",
            Self::Transfer => "TransferTimeInSeconds",
            Self::Work => "WorkTimeInSeconds",
        }
    }

    /// Its place in [`CallField::ALL`] and in arrays of durations.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Which way a call went, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The API's `Incoming`.
    Incoming,
    /// The API's `Outgoing`.
    Outgoing,
    /// The API's `Transfer`.
    Transfer,
    /// The API gave no type.
    Unknown,
    /// The API gave a type that is none of these.
    Other,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Incoming,
        Self::Outgoing,
        Self::Transfer,
        Self::Unknown,
        Self::Other,
    ];

    /// The direction of an API's `Type`.
    pub fn of_type(call_type: Option<&str>) -> Self {
        match call_type {
            None | Some("") => Self::Unknown,
            Some(text) if text.eq_ignore_ascii_case("incoming") => Self::Incoming,
            Some(text) if text.eq_ignore_ascii_case("outgoing") => Self::Outgoing,
            Some(text) if text.eq_ignore_ascii_case("transfer") => Self::Transfer,
            Some(_) => Self::Other,
        }
    }

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Transfer => "transfer",
            Self::Unknown => "unknown",
            Self::Other => "other",
        }
    }
}

/// A call as it was counted before a revision: what a meter needs to put the difference right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Previous<'a> {
    /// The revision that was counted.
    pub revision: i32,
    /// Its client.
    pub client_id: Option<&'a str>,
    /// Its center.
    pub center_id: Option<&'a str>,
    /// Its type, as the API wrote it.
    pub call_type: Option<&'a str>,
    /// Who had answered.
    pub answered_by: Option<&'a str>,
    /// Whether it was flagged.
    pub flagged: Option<bool>,
    /// Its durations in milliseconds, in the order of [`CallField::ALL`].
    pub durations: [Option<i64>; 6],
}

impl<'a> Call<'a> {
    /// The durations, in the order of [`CallField::ALL`].
    pub fn durations(&self) -> [Reading<'a, i64>; 6] {
        [
            self.duration_ms,
            self.ring_ms,
            self.hold_ms,
            self.talk_ms,
            self.transfer_ms,
            self.work_ms,
        ]
    }

    /// The id, if there is one: empty text is none.
    pub fn id(&self) -> Option<&'a str> {
        self.id.filter(|id| !id.is_empty())
    }

    /// A hash over all that is stored of the call: two records of a call with the same fingerprint are the same.
    pub fn fingerprint(&self, hasher: &mut FieldHasher) -> u64 {
        let mut json = std::mem::take(&mut hasher.json);
        let unreadable = self.unreadable(&mut json);
        hasher.start();
        Stored {
            texts: [
                self.id(),
                self.client_id,
                self.client_name,
                self.center_id,
                self.caller_name,
                self.caller_number,
                self.transfer_to_name,
                self.transfer_to_number,
                self.notes,
                self.answered_by,
                self.server,
                self.screen_pop,
                self.flag_notes,
                self.call_type,
                unreadable,
            ],
            start_time: self.start_time.known(),
            durations: self.durations().map(Reading::known),
            hold_count: self.hold_count.known(),
            flagged: self.flagged.known(),
        }
        .feed(hasher);
        hasher.list(self.interactions.map(<[_]>::len));
        for interaction in self.interactions.unwrap_or_default() {
            feed_interaction(
                hasher,
                interaction.start_time.known(),
                interaction.kind,
                interaction.description,
            );
        }
        hasher.list(self.completed_form_ids.map(<[_]>::len));
        for id in self.completed_form_ids.unwrap_or_default() {
            hasher.text(Some(id));
        }
        hasher.json = json;
        hasher.finish()
    }

    /// The column `unreadable`, put together in `buffer`.
    fn unreadable<'b>(&self, buffer: &'b mut String) -> Option<&'b str> {
        let mut json = UnreadableJson::new(buffer);
        json.note("StartTime", self.start_time);
        for (field, reading) in CallField::ALL.into_iter().zip(self.durations()) {
            json.note(field.api_member(), reading);
        }
        json.note("HoldCount", self.hold_count);
        json.note("Flagged", self.flagged);
        for (index, interaction) in self.interactions.unwrap_or_default().iter().enumerate() {
            if let Some(text) = interaction.start_time.unreadable() {
                json.add(&format!("Interactions[{index}].StartTime"), text);
            }
        }
        json.finish()
    }
}

/// The stored values of a call but for its lists, in the order of the fingerprint: part of the journal's format.
struct Stored<'a> {
    texts: [Option<&'a str>; 15],
    start_time: Option<i64>,
    durations: [Option<i64>; 6],
    hold_count: Option<i32>,
    flagged: Option<bool>,
}

impl Stored<'_> {
    fn feed(&self, hasher: &mut FieldHasher) {
        for text in self.texts {
            hasher.text(text);
        }
        hasher.integer(self.start_time);
        for duration in self.durations {
            hasher.integer(duration);
        }
        hasher.integer(self.hold_count.map(i64::from));
        hasher.integer(self.flagged.map(i64::from));
    }
}

fn feed_interaction(
    hasher: &mut FieldHasher,
    time: Option<i64>,
    kind: Option<&str>,
    description: Option<&str>,
) {
    hasher.integer(time);
    hasher.text(kind);
    hasher.text(description);
}

/// The schema `calls/1`.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let millis = |name| Field::new(name, DataType::Int64, true);
        schema_of(
            Stream::Calls,
            vec![
                text(columns::ID),
                text(columns::CLIENT_ID),
                text(columns::CLIENT_NAME),
                text(columns::CENTER_ID),
                Field::new(columns::START_TIME, timestamp_type(), true),
                text(columns::CALLER_NAME),
                text(columns::CALLER_NUMBER),
                text(columns::TRANSFER_TO_NAME),
                text(columns::TRANSFER_TO_NUMBER),
                text(columns::NOTES),
                millis(columns::DURATION_MS),
                millis(columns::RING_MS),
                millis(columns::HOLD_MS),
                millis(columns::TALK_MS),
                millis(columns::TRANSFER_MS),
                millis(columns::WORK_MS),
                Field::new(columns::HOLD_COUNT, DataType::Int32, true),
                Field::new(
                    columns::INTERACTIONS,
                    DataType::List(interaction_item()),
                    true,
                ),
                Field::new(
                    columns::COMPLETED_FORM_IDS,
                    DataType::List(form_id_item()),
                    true,
                ),
                text(columns::ANSWERED_BY),
                text(columns::SERVER),
                text(columns::SCREEN_POP),
                Field::new(columns::FLAGGED, DataType::Boolean, true),
                text(columns::FLAG_NOTES),
                text(columns::TYPE),
                text(columns::UNREADABLE),
                Field::new(columns::PREVIOUS, DataType::Struct(previous_fields()), true),
            ],
        )
    });
    Arc::clone(&SCHEMA)
}

fn interaction_fields() -> Fields {
    Fields::from(vec![
        Field::new(columns::START_TIME, timestamp_type(), true),
        Field::new(columns::TYPE, DataType::Utf8, true),
        Field::new(columns::DESCRIPTION, DataType::Utf8, true),
    ])
}

fn interaction_item() -> Arc<Field> {
    Arc::new(Field::new_list_field(
        DataType::Struct(interaction_fields()),
        false,
    ))
}

fn form_id_item() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Utf8, false))
}

fn previous_fields() -> Fields {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![
        Field::new(columns::REVISION, DataType::Int32, false),
        text(columns::CLIENT_ID),
        text(columns::CENTER_ID),
        text(columns::TYPE),
        text(columns::ANSWERED_BY),
        Field::new(columns::FLAGGED, DataType::Boolean, true),
    ];
    fields.extend(CallField::ALL.map(|field| Field::new(field.column(), DataType::Int64, true)));
    Fields::from(fields)
}
