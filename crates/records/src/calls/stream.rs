//! The record, builder and view of the stream `calls`, from its table.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::StringBuilder;
use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};

use super::direction::Direction;
use super::interactions::{self, Interaction};
use super::previous::{Previous, PreviousBuilder, PreviousView};
use crate::column_lookup::{self, Columns, ViewError};
use crate::common::{BatchHead, Change, CommonBuilder, CommonView, RowMark, columns, schema_of};
use crate::hash::FieldHasher;
use crate::reading::Reading;
use crate::stream::Stream;
use crate::table::{kind, name, pass, stream};
use crate::unreadable::UnreadableJson;

callmeter_record_tables::calls! { stream
    stream: Calls;
    /// A call record as an API gave it, borrowed from the page that it came in, with its times
    /// converted to UTC.
    ///
    /// Times are UTC microseconds (see [`crate::TimeReader`]).
    record: Call;
    builder: CallsBuilder; view: CallsView; row: CallRow; order: by_kind;
    last: previous, PreviousBuilder, PreviousView;
    table:
}

impl<'a> Call<'a> {
    /// The durations, in the order of [`CallField::ALL`](super::CallField::ALL).
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

    /// The id; `None` if it is missing or empty.
    pub fn id(&self) -> Option<&'a str> {
        self.id.filter(|id| !id.is_empty())
    }
}

impl CallsBuilder {
    /// Adds a call that was never seen before.
    pub fn append(&mut self, call: &Call<'_>) {
        self.append_record(RowMark::NEW, call);
        self.previous.append(None);
    }

    /// Adds a call that was counted before as `previous`; its revision is one more.
    pub fn append_revised(&mut self, call: &Call<'_>, previous: &Previous<'_>) {
        let mark = RowMark {
            revision: previous.revision.saturating_add(1),
            change: Change::Revised,
        };
        self.append_record(mark, call);
        self.previous.append(Some(previous));
    }
}

impl<'a> CallRow<'_, 'a> {
    /// All durations, milliseconds, in the order of [`CallField::ALL`](super::CallField::ALL).
    #[inline]
    pub fn durations(&self) -> [Option<i64>; 6] {
        [
            self.duration_ms(),
            self.ring_ms(),
            self.hold_ms(),
            self.talk_ms(),
            self.transfer_ms(),
            self.work_ms(),
        ]
    }

    /// Which way the call went.
    pub fn direction(&self) -> Direction {
        Direction::of_type(self.call_type())
    }

    /// The durations as they are counted, in the order of
    /// [`CallField::ALL`](super::CallField::ALL): one that is missing, or negative, keeps the value
    /// that was counted before.
    #[inline]
    pub fn counted_durations(&self) -> [Option<i64>; 6] {
        let known = self
            .durations()
            .map(|time| time.filter(|known| *known >= 0));
        let Some(before) = self.previous() else {
            return known;
        };
        let mut counted = before.durations;
        for (counted, known) in counted.iter_mut().zip(known) {
            *counted = known.or(*counted);
        }
        counted
    }

    /// The call as it was counted before, for a revision.
    #[inline]
    pub fn previous(&self) -> Option<Previous<'a>> {
        self.view.previous.row(self.row)
    }

    /// This call as it is counted, for the `previous` of its next revision.
    pub fn to_previous(&self) -> Previous<'a> {
        Previous {
            revision: self.revision(),
            client_id: self.client_id(),
            center_id: self.center_id(),
            call_type: self.call_type(),
            answered_by: self.answered_by(),
            flagged: self.flagged(),
            durations: self.counted_durations(),
            sequence: Some(self.sequence()),
            observed_at: Some(self.observed_at()),
            start_time: self.start_time(),
        }
    }
}
