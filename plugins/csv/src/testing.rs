//! Batches for tests and benches: calls whose ids are their sequence numbers.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use callmeter_plugin_sdk::batch::Timestamp;
use callmeter_plugin_sdk::{Batch, Stream};
use callmeter_records::{BatchHead, Call, CallsBuilder, Interaction, Reading};

/// 2026-08-06T08:45:00Z
pub(crate) const AUGUST_6: i64 = 1_786_005_900_000_000;
pub(crate) const DAY: i64 = 86_400_000_000;

std::thread_local! {
    static NOW: std::cell::Cell<i64> = const { std::cell::Cell::new(AUGUST_6 + 100 * DAY) };
}

/// The time of a test's clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(NOW.get())
}

/// Sets the clock of a test.
pub(crate) fn set_now(micros: i64) {
    NOW.set(micros);
}

/// Calls as callmeter hands them over, some of them with text that is hard to encode.
pub(crate) fn calls(first: i64, rows: usize, observed_at: i64) -> RecordBatch {
    let mut builder = CallsBuilder::with_capacity(rows);
    for i in (first..).take(rows) {
        let id = format!("id-{i}");
        let number = format!("+1555{i:07}");
        let notes = format!(
            "asked for \"invoice {i}\", call back\r\ntomorrow; {}",
            "x".repeat(40)
        );
        let at = |second: i64| Reading::Known(observed_at - 600_000_000 + second * 1_000_000);
        let interaction = |second, kind| Interaction {
            start_time: at(second),
            interaction_type: Some(kind),
            description: None,
        };
        let interactions = [interaction(5, "Answer"), interaction(65, "Hangup")];
        let time = |factor: i64| Reading::Known(i * factor % 600_000);
        builder.append(&Call {
            id: Some(&id),
            client_id: Some("5f0c9a00000000000000000000000001"),
            client_name: Some("Müller Weber & Partner"),
            center_id: Some("center-1"),
            start_time: at(0),
            caller_name: Some("JANE DOE"),
            caller_number: Some(&number),
            notes: (i % 3 == 0).then_some(notes.as_str()),
            duration_ms: time(7919),
            ring_ms: time(13),
            hold_ms: Reading::Known(0),
            talk_ms: time(7001),
            transfer_ms: Reading::Missing,
            work_ms: time(31),
            hold_count: Reading::Known(0),
            interactions: Some(&interactions),
            completed_form_ids: Some(&[]),
            answered_by: Some("operator4"),
            server: Some("SRV-01"),
            flagged: Reading::Known(i % 50 == 0),
            call_type: Some("Incoming"),
            ..Call::default()
        });
    }
    let head = BatchHead {
        account: "acme",
        first_sequence: first,
        observed_at,
    };
    builder.finish(&head).unwrap()
}

/// A batch with this number, from which its id is made.
pub(crate) fn batch(number: u64, records: RecordBatch) -> Batch {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    Batch::for_tests(Stream::Calls, number, id, records).unwrap()
}

/// The same records with one more column in the middle.
pub(crate) fn with_column(records: &RecordBatch, name: &str) -> RecordBatch {
    let mut fields: Vec<_> = records.schema().fields().iter().cloned().collect();
    let mut columns = records.columns().to_vec();
    fields.insert(6, Arc::new(Field::new(name, DataType::Utf8, true)));
    let values: ArrayRef = Arc::new(StringArray::from(vec!["new"; records.num_rows()]));
    columns.insert(6, values);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}
