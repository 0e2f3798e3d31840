//! Gives the records of a batch other sequence numbers.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::ArrowError;

/// The same records; the `sequence` of the first one is `first`.
pub(crate) fn with_first_sequence(
    records: &RecordBatch,
    first: i64,
) -> Result<RecordBatch, ArrowError> {
    let index = records.schema().index_of("sequence")?;
    let sequences: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (first..).take(records.num_rows()),
    ));
    let mut columns = records.columns().to_vec();
    if let Some(column) = columns.get_mut(index) {
        *column = sequences;
    }
    RecordBatch::try_new(records.schema(), columns)
}

#[cfg(test)]
mod tests {
    use callmeter_records::{BatchHead, Call, CallsBuilder, CallsView};

    use super::*;

    #[test]
    fn only_the_sequences_change() {
        let batch = |first_sequence| {
            let mut builder = CallsBuilder::new();
            for id in ["a", "b"] {
                let call = Call {
                    id: Some(id),
                    ..Call::default()
                };
                builder.append(&call);
            }
            let head = BatchHead {
                account: "acme",
                first_sequence,
                observed_at: 5,
            };
            builder.finish(&head).unwrap()
        };
        let renumbered = with_first_sequence(&batch(1), 70).unwrap();
        assert_eq!(renumbered, batch(70));
        assert_eq!(CallsView::new(&renumbered).unwrap().len(), 2);
    }
}
