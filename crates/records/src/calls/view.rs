//! Reads call records back out of a batch.

use arrow_array::{
    Array, BooleanArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};

use super::{CallField, Direction, Previous, Stored, feed_interaction};
use crate::column::{Columns, ViewError, row_getters, text, truth, value};
use crate::common::{Change, CommonView, columns};
use crate::hash::FieldHasher;

/// A batch of the stream `calls`, row by row.
#[derive(Clone, Debug)]
pub struct CallsView<'a> {
    common: CommonView<'a>,
    id: &'a StringArray,
    client_id: &'a StringArray,
    client_name: &'a StringArray,
    center_id: &'a StringArray,
    start_time: &'a TimestampMicrosecondArray,
    caller_name: &'a StringArray,
    caller_number: &'a StringArray,
    transfer_to_name: &'a StringArray,
    transfer_to_number: &'a StringArray,
    notes: &'a StringArray,
    durations: [&'a Int64Array; 6],
    hold_count: &'a Int32Array,
    interactions: &'a ListArray,
    interaction: InteractionColumns<'a>,
    completed_form_ids: &'a ListArray,
    form_id: &'a StringArray,
    answered_by: &'a StringArray,
    server: &'a StringArray,
    screen_pop: &'a StringArray,
    flagged: &'a BooleanArray,
    flag_notes: &'a StringArray,
    call_type: &'a StringArray,
    unreadable: &'a StringArray,
    previous: PreviousColumns<'a>,
}

#[derive(Clone, Copy, Debug)]
struct InteractionColumns<'a> {
    start_time: &'a TimestampMicrosecondArray,
    kind: &'a StringArray,
    description: &'a StringArray,
}

#[derive(Clone, Copy, Debug)]
struct PreviousColumns<'a> {
    all: &'a StructArray,
    revision: &'a Int32Array,
    client_id: &'a StringArray,
    center_id: &'a StringArray,
    call_type: &'a StringArray,
    answered_by: &'a StringArray,
    flagged: &'a BooleanArray,
    durations: [&'a Int64Array; 6],
}

impl<'a> CallsView<'a> {
    /// A view of `batch`, which has to have the columns of `calls/1`.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, ViewError> {
        let find = Columns::new(batch);
        let interactions: &ListArray = find.get(columns::INTERACTIONS)?;
        let completed_form_ids: &ListArray = find.get(columns::COMPLETED_FORM_IDS)?;
        let items = list_items::<StructArray>(interactions, columns::INTERACTIONS)?;
        let items = Columns::of_struct(items);
        let all: &StructArray = find.get(columns::PREVIOUS)?;
        let previous = Columns::of_struct(all);
        Ok(Self {
            common: CommonView::new(batch)?,
            id: find.get(columns::ID)?,
            client_id: find.get(columns::CLIENT_ID)?,
            client_name: find.get(columns::CLIENT_NAME)?,
            center_id: find.get(columns::CENTER_ID)?,
            start_time: find.get(columns::START_TIME)?,
            caller_name: find.get(columns::CALLER_NAME)?,
            caller_number: find.get(columns::CALLER_NUMBER)?,
            transfer_to_name: find.get(columns::TRANSFER_TO_NAME)?,
            transfer_to_number: find.get(columns::TRANSFER_TO_NUMBER)?,
            notes: find.get(columns::NOTES)?,
            durations: duration_columns(&find)?,
            hold_count: find.get(columns::HOLD_COUNT)?,
            interactions,
            interaction: InteractionColumns {
                start_time: items.get(columns::START_TIME)?,
                kind: items.get(columns::TYPE)?,
                description: items.get(columns::DESCRIPTION)?,
            },
            completed_form_ids,
            form_id: list_items(completed_form_ids, columns::COMPLETED_FORM_IDS)?,
            answered_by: find.get(columns::ANSWERED_BY)?,
            server: find.get(columns::SERVER)?,
            screen_pop: find.get(columns::SCREEN_POP)?,
            flagged: find.get(columns::FLAGGED)?,
            flag_notes: find.get(columns::FLAG_NOTES)?,
            call_type: find.get(columns::TYPE)?,
            unreadable: find.get(columns::UNREADABLE)?,
            previous: PreviousColumns {
                all,
                revision: previous.get(columns::REVISION)?,
                client_id: previous.get(columns::CLIENT_ID)?,
                center_id: previous.get(columns::CENTER_ID)?,
                call_type: previous.get(columns::TYPE)?,
                answered_by: previous.get(columns::ANSWERED_BY)?,
                flagged: previous.get(columns::FLAGGED)?,
                durations: duration_columns(&previous)?,
            },
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.common.rows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A row, if there is that one.
    pub fn row(&self, row: usize) -> Option<CallRow<'_, 'a>> {
        (row < self.len()).then_some(CallRow { view: self, row })
    }

    /// All rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = CallRow<'_, 'a>> {
        (0..self.len()).map(|row| CallRow { view: self, row })
    }
}

fn duration_columns<'a>(find: &Columns<'a>) -> Result<[&'a Int64Array; 6], ViewError> {
    let [duration, ring, hold, talk, transfer, work] =
        CallField::ALL.map(|field| find.get(field.column()));
    Ok([duration?, ring?, hold?, talk?, transfer?, work?])
}

fn list_items<'a, A: Array + 'static>(
    list: &'a ListArray,
    column: &'static str,
) -> Result<&'a A, ViewError> {
    list.values()
        .as_any()
        .downcast_ref()
        .ok_or_else(|| ViewError::ColumnType {
            column,
            found: list.data_type().clone(),
            expected: std::any::type_name::<A>(),
        })
}

/// One call of a batch.
#[derive(Clone, Copy, Debug)]
pub struct CallRow<'v, 'a> {
    view: &'v CallsView<'a>,
    row: usize,
}

impl<'a> CallRow<'_, 'a> {
    /// The account that the call belongs to.
    pub fn account(&self) -> &'a str {
        self.view.common.account(self.row)
    }

    /// The row's place in its stream.
    pub fn sequence(&self) -> i64 {
        self.view.common.sequence(self.row)
    }

    /// The call's revision.
    pub fn revision(&self) -> i32 {
        self.view.common.revision(self.row)
    }

    /// What happened to the call.
    pub fn change(&self) -> Option<Change> {
        self.view.common.change(self.row)
    }

    /// When the call was read: UTC, microseconds.
    pub fn observed_at(&self) -> i64 {
        self.view.common.observed_at(self.row)
    }

    row_getters! {
        /// The API's id.
        id: text -> Option<&'a str>;
        /// The client.
        client_id: text -> Option<&'a str>;
        /// The client's name.
        client_name: text -> Option<&'a str>;
        /// The center.
        center_id: text -> Option<&'a str>;
        /// When the call began: UTC, microseconds.
        start_time: value -> Option<i64>;
        /// The caller's name.
        caller_name: text -> Option<&'a str>;
        /// The caller's number.
        caller_number: text -> Option<&'a str>;
        /// To whom the call was transferred.
        transfer_to_name: text -> Option<&'a str>;
        /// To which number the call was transferred.
        transfer_to_number: text -> Option<&'a str>;
        /// The operator's notes.
        notes: text -> Option<&'a str>;
        /// How often the caller was put on hold.
        hold_count: value -> Option<i32>;
        /// Who answered.
        answered_by: text -> Option<&'a str>;
        /// The server that took the call.
        server: text -> Option<&'a str>;
        /// The screen that was shown.
        screen_pop: text -> Option<&'a str>;
        /// Whether the call was flagged.
        flagged: truth -> Option<bool>;
        /// Why it was.
        flag_notes: text -> Option<&'a str>;
        /// The API's `Type`, as written.
        call_type: text -> Option<&'a str>;
        /// JSON object of the members that could not be read.
        unreadable: text -> Option<&'a str>;
    }

    /// One of the durations, milliseconds.
    pub fn duration(&self, field: CallField) -> Option<i64> {
        value(self.view.durations[field.index()], self.row)
    }

    /// All durations, milliseconds, in the order of [`CallField::ALL`].
    pub fn durations(&self) -> [Option<i64>; 6] {
        self.view.durations.map(|column| value(column, self.row))
    }

    /// Which way the call went.
    pub fn direction(&self) -> Direction {
        Direction::of_type(self.call_type())
    }

    /// What happened during the call; `None` where the API gave no list.
    pub fn interactions(&self) -> Option<impl ExactSizeIterator<Item = InteractionRow<'a>>> {
        let columns = self.view.interaction;
        let range = list_range(self.view.interactions, self.row)?;
        Some(range.map(move |item| InteractionRow {
            start_time: value(columns.start_time, item),
            kind: text(columns.kind, item),
            description: text(columns.description, item),
        }))
    }

    /// The forms that were filled in; `None` where the API gave no list.
    pub fn completed_form_ids(&self) -> Option<impl ExactSizeIterator<Item = &'a str>> {
        let ids = self.view.form_id;
        Some(list_range(self.view.completed_form_ids, self.row)?.map(move |item| ids.value(item)))
    }

    /// The call as it was counted before, for a revision.
    pub fn previous(&self) -> Option<Previous<'a>> {
        let previous = &self.view.previous;
        previous.all.is_valid(self.row).then(|| Previous {
            revision: previous.revision.value(self.row),
            client_id: text(previous.client_id, self.row),
            center_id: text(previous.center_id, self.row),
            call_type: text(previous.call_type, self.row),
            answered_by: text(previous.answered_by, self.row),
            flagged: truth(previous.flagged, self.row),
            durations: previous.durations.map(|column| value(column, self.row)),
        })
    }

    /// This call, as the `previous` of a revision of it.
    pub fn to_previous(&self) -> Previous<'a> {
        Previous {
            revision: self.revision(),
            client_id: self.client_id(),
            center_id: self.center_id(),
            call_type: self.call_type(),
            answered_by: self.answered_by(),
            flagged: self.flagged(),
            durations: self.durations(),
        }
    }

    /// The same as [`crate::Call::fingerprint`] of the call that this row was made of.
    pub fn fingerprint(&self, hasher: &mut FieldHasher) -> u64 {
        hasher.start();
        Stored {
            texts: [
                self.id(),
                self.client_id(),
                self.client_name(),
                self.center_id(),
                self.caller_name(),
                self.caller_number(),
                self.transfer_to_name(),
                self.transfer_to_number(),
                self.notes(),
                self.answered_by(),
                self.server(),
                self.screen_pop(),
                self.flag_notes(),
                self.call_type(),
                self.unreadable(),
            ],
            start_time: self.start_time(),
            durations: self.durations(),
            hold_count: self.hold_count(),
            flagged: self.flagged(),
        }
        .feed(hasher);
        let interactions = self.interactions();
        hasher.list(interactions.as_ref().map(ExactSizeIterator::len));
        for interaction in interactions.into_iter().flatten() {
            feed_interaction(
                hasher,
                interaction.start_time,
                interaction.kind,
                interaction.description,
            );
        }
        let forms = self.completed_form_ids();
        hasher.list(forms.as_ref().map(ExactSizeIterator::len));
        for id in forms.into_iter().flatten() {
            hasher.text(Some(id));
        }
        hasher.finish()
    }
}

/// The items of a row's list.
fn list_range(list: &ListArray, row: usize) -> Option<std::ops::Range<usize>> {
    let offsets = list.value_offsets();
    let from = usize::try_from(*offsets.get(row)?).ok()?;
    let to = usize::try_from(*offsets.get(row + 1)?).ok()?;
    list.is_valid(row).then_some(from..to)
}

/// Something that happened during a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InteractionRow<'a> {
    /// When: UTC, microseconds.
    pub start_time: Option<i64>,
    /// What, in the API's word.
    pub kind: Option<&'a str>,
    /// More about it.
    pub description: Option<&'a str>,
}
