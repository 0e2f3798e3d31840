//! Puts borrowed call records into an Arrow batch, without an allocation of its own for each.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder as _, BooleanBuilder, Int32Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, ListArray, RecordBatch, StructArray, new_null_array};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};

use super::{
    Call, Interaction, Previous, form_id_item, interaction_fields, interaction_item,
    previous_fields,
};
use crate::common::{BatchHead, Change, CommonBuilder, RowMark, UTC};

/// Builds a batch of the stream `calls`.
#[derive(Debug)]
pub struct CallsBuilder {
    common: CommonBuilder,
    id: StringBuilder,
    client_id: StringBuilder,
    client_name: StringBuilder,
    center_id: StringBuilder,
    start_time: TimestampMicrosecondBuilder,
    caller_name: StringBuilder,
    caller_number: StringBuilder,
    transfer_to_name: StringBuilder,
    transfer_to_number: StringBuilder,
    notes: StringBuilder,
    durations: [Int64Builder; 6],
    hold_count: Int32Builder,
    interactions: InteractionsBuilder,
    form_ids: StringBuilder,
    form_lists: Lists,
    answered_by: StringBuilder,
    server: StringBuilder,
    screen_pop: StringBuilder,
    flagged: BooleanBuilder,
    flag_notes: StringBuilder,
    call_type: StringBuilder,
    unreadable: StringBuilder,
    previous: PreviousBuilder,
    json: String,
}

impl CallsBuilder {
    /// A builder with room for `rows` calls of a usual size; it grows as needed.
    pub fn with_capacity(rows: usize) -> Self {
        let text = |length: usize| StringBuilder::with_capacity(rows, rows * length);
        Self {
            common: CommonBuilder::with_capacity(rows),
            id: text(24),
            client_id: text(16),
            client_name: text(24),
            center_id: text(16),
            start_time: TimestampMicrosecondBuilder::with_capacity(rows),
            caller_name: text(16),
            caller_number: text(16),
            transfer_to_name: text(8),
            transfer_to_number: text(8),
            notes: text(64),
            durations: std::array::from_fn(|_| Int64Builder::with_capacity(rows)),
            hold_count: Int32Builder::with_capacity(rows),
            interactions: InteractionsBuilder::with_capacity(rows),
            form_ids: text(0),
            form_lists: Lists::with_capacity(rows),
            answered_by: text(16),
            server: text(16),
            screen_pop: text(16),
            flagged: BooleanBuilder::with_capacity(rows),
            flag_notes: text(4),
            call_type: text(8),
            unreadable: text(0),
            previous: PreviousBuilder::default(),
            json: String::new(),
        }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.common.len()
    }

    /// Whether there are no rows yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a call that was never seen before.
    pub fn append(&mut self, call: &Call<'_>) {
        self.append_row(RowMark::NEW, call, None);
    }

    /// Adds a call that was counted before as `previous`; its revision is one more.
    pub fn append_revised(&mut self, call: &Call<'_>, previous: &Previous<'_>) {
        let mark = RowMark {
            revision: previous.revision.saturating_add(1),
            change: Change::Revised,
        };
        self.append_row(mark, call, Some(previous));
    }

    fn append_row(&mut self, mark: RowMark, call: &Call<'_>, previous: Option<&Previous<'_>>) {
        self.common.append(mark);
        self.id.append_option(call.id());
        self.client_id.append_option(call.client_id);
        self.client_name.append_option(call.client_name);
        self.center_id.append_option(call.center_id);
        self.start_time.append_option(call.start_time.known());
        self.caller_name.append_option(call.caller_name);
        self.caller_number.append_option(call.caller_number);
        self.transfer_to_name.append_option(call.transfer_to_name);
        self.transfer_to_number
            .append_option(call.transfer_to_number);
        self.notes.append_option(call.notes);
        for (column, reading) in self.durations.iter_mut().zip(call.durations()) {
            column.append_option(reading.known());
        }
        self.hold_count.append_option(call.hold_count.known());
        self.interactions.append(call.interactions);
        for id in call.completed_form_ids.unwrap_or_default() {
            self.form_ids.append_value(id);
        }
        self.form_lists
            .close(self.form_ids.len(), call.completed_form_ids.is_some());
        self.answered_by.append_option(call.answered_by);
        self.server.append_option(call.server);
        self.screen_pop.append_option(call.screen_pop);
        self.flagged.append_option(call.flagged.known());
        self.flag_notes.append_option(call.flag_notes);
        self.call_type.append_option(call.call_type);
        self.unreadable
            .append_option(call.unreadable(&mut self.json));
        self.previous.append(previous);
    }

    /// The batch; the builder is empty again. Fails only where a text column outgrows 2 GiB.
    pub fn finish(&mut self, head: &BatchHead<'_>) -> Result<RecordBatch, ArrowError> {
        let rows = self.len();
        let mut columns = self.common.finish(head);
        let mut push = |array: ArrayRef| columns.push(array);
        push(Arc::new(self.id.finish()));
        push(Arc::new(self.client_id.finish()));
        push(Arc::new(self.client_name.finish()));
        push(Arc::new(self.center_id.finish()));
        push(Arc::new(self.start_time.finish().with_timezone(UTC)));
        push(Arc::new(self.caller_name.finish()));
        push(Arc::new(self.caller_number.finish()));
        push(Arc::new(self.transfer_to_name.finish()));
        push(Arc::new(self.transfer_to_number.finish()));
        push(Arc::new(self.notes.finish()));
        for column in &mut self.durations {
            push(Arc::new(column.finish()));
        }
        push(Arc::new(self.hold_count.finish()));
        push(Arc::new(self.interactions.finish()?));
        let form_ids = Arc::new(self.form_ids.finish());
        push(Arc::new(self.form_lists.finish(form_id_item(), form_ids)?));
        push(Arc::new(self.answered_by.finish()));
        push(Arc::new(self.server.finish()));
        push(Arc::new(self.screen_pop.finish()));
        push(Arc::new(self.flagged.finish()));
        push(Arc::new(self.flag_notes.finish()));
        push(Arc::new(self.call_type.finish()));
        push(Arc::new(self.unreadable.finish()));
        push(self.previous.finish(rows)?);
        RecordBatch::try_new(super::schema(), columns)
    }
}

/// Offsets and validity of a list column, whose items are built beside.
#[derive(Debug)]
struct Lists {
    ends: Vec<i32>,
    validity: NullBufferBuilder,
}

impl Lists {
    fn with_capacity(rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self {
            ends,
            validity: NullBufferBuilder::new(rows),
        }
    }

    /// Ends the row's list after `items` items of all rows so far.
    fn close(&mut self, items: usize, valid: bool) {
        // Beyond 2³¹ items `finish` refuses the offsets.
        self.ends.push(i32::try_from(items).unwrap_or(-1));
        self.validity.append(valid);
    }

    fn finish(
        &mut self,
        item: Arc<arrow_schema::Field>,
        items: ArrayRef,
    ) -> Result<ListArray, ArrowError> {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        if ends.contains(&-1) {
            return Err(ArrowError::OffsetOverflowError(items.len()));
        }
        ListArray::try_new(
            item,
            OffsetBuffer::new(ScalarBuffer::from(ends)),
            items,
            self.validity.finish(),
        )
    }
}

#[derive(Debug)]
struct InteractionsBuilder {
    start_time: TimestampMicrosecondBuilder,
    kind: StringBuilder,
    description: StringBuilder,
    lists: Lists,
}

impl InteractionsBuilder {
    fn with_capacity(rows: usize) -> Self {
        // A call has two or three.
        let items = rows * 3;
        Self {
            start_time: TimestampMicrosecondBuilder::with_capacity(items),
            kind: StringBuilder::with_capacity(items, items * 8),
            description: StringBuilder::with_capacity(items, items * 8),
            lists: Lists::with_capacity(rows),
        }
    }

    fn append(&mut self, interactions: Option<&[Interaction<'_>]>) {
        for interaction in interactions.unwrap_or_default() {
            self.start_time
                .append_option(interaction.start_time.known());
            self.kind.append_option(interaction.kind);
            self.description.append_option(interaction.description);
        }
        self.lists.close(self.kind.len(), interactions.is_some());
    }

    fn finish(&mut self) -> Result<ListArray, ArrowError> {
        let items = StructArray::try_new(
            interaction_fields(),
            vec![
                Arc::new(self.start_time.finish().with_timezone(UTC)),
                Arc::new(self.kind.finish()),
                Arc::new(self.description.finish()),
            ],
            None,
        )?;
        self.lists.finish(interaction_item(), Arc::new(items))
    }
}

/// Most batches hold no revision: the columns are built from the first one on.
#[derive(Debug, Default)]
struct PreviousBuilder {
    rows: usize,
    columns: Option<Box<PreviousColumns>>,
}

#[derive(Debug)]
struct PreviousColumns {
    validity: NullBufferBuilder,
    revision: Int32Builder,
    client_id: StringBuilder,
    center_id: StringBuilder,
    call_type: StringBuilder,
    answered_by: StringBuilder,
    flagged: BooleanBuilder,
    durations: [Int64Builder; 6],
}

impl PreviousBuilder {
    fn append(&mut self, previous: Option<&Previous<'_>>) {
        if let Some(previous) = previous {
            let rows = self.rows;
            self.columns
                .get_or_insert_with(|| Box::new(PreviousColumns::of_nulls(rows)))
                .append(Some(previous));
        } else if let Some(columns) = &mut self.columns {
            columns.append(None);
        }
        self.rows += 1;
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        self.rows = 0;
        match self.columns.take() {
            None => Ok(new_null_array(&DataType::Struct(previous_fields()), rows)),
            Some(columns) => Ok(Arc::new(columns.finish()?)),
        }
    }
}

impl PreviousColumns {
    fn of_nulls(rows: usize) -> Self {
        let mut columns = Self {
            validity: NullBufferBuilder::new(rows),
            revision: Int32Builder::new(),
            client_id: StringBuilder::new(),
            center_id: StringBuilder::new(),
            call_type: StringBuilder::new(),
            answered_by: StringBuilder::new(),
            flagged: BooleanBuilder::new(),
            durations: Default::default(),
        };
        for _ in 0..rows {
            columns.append(None);
        }
        columns
    }

    fn append(&mut self, previous: Option<&Previous<'_>>) {
        self.validity.append(previous.is_some());
        let previous = previous.copied().unwrap_or_default();
        self.revision.append_value(previous.revision);
        self.client_id.append_option(previous.client_id);
        self.center_id.append_option(previous.center_id);
        self.call_type.append_option(previous.call_type);
        self.answered_by.append_option(previous.answered_by);
        self.flagged.append_option(previous.flagged);
        for (column, duration) in self.durations.iter_mut().zip(previous.durations) {
            column.append_option(duration);
        }
    }

    fn finish(mut self) -> Result<StructArray, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.revision.finish()),
            Arc::new(self.client_id.finish()),
            Arc::new(self.center_id.finish()),
            Arc::new(self.call_type.finish()),
            Arc::new(self.answered_by.finish()),
            Arc::new(self.flagged.finish()),
        ];
        for mut column in self.durations {
            columns.push(Arc::new(column.finish()));
        }
        StructArray::try_new(previous_fields(), columns, self.validity.finish())
    }
}
