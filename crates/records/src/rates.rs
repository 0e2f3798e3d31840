//! Call rates and the schema `rates/1`.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::StringBuilder;
use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};

use crate::column_lookup::{self, Columns, ViewError};
use crate::common::{BatchHead, Change, CommonBuilder, CommonView, RowMark, columns, schema_of};
use crate::hash::FieldHasher;
use crate::reading::Reading;
use crate::stream::Stream;
use crate::table::{flat, kind, name, pass, stream};
use crate::unreadable::UnreadableJson;

callmeter_record_tables::rates! { stream
    stream: Rates;
    /// The rate of a prefix. Money is in units of 10⁻⁹ of the tenant's currency.
    record: Rate;
    builder: RatesBuilder; view: RatesView; row: RateRow; order: by_column;
    table:
}
callmeter_record_tables::rates! { flat Rate RatesBuilder RateRow }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_keeps_every_value() {
        let rate = Rate {
            id: Some("NzAw"),
            prefix: Some("41"),
            rate_type: Some("LOCAL"),
            free_seconds: Reading::Known(1),
            interval_1: Reading::Known(60),
            connect_fee: Reading::Known(10_000),
            price_1: Reading::Unreadable("dear"),
            ..Rate::default()
        };
        let mut hasher = FieldHasher::new();
        let cheaper = Rate {
            connect_fee: Reading::Known(9_999),
            ..rate
        };
        assert_ne!(
            rate.fingerprint(&mut hasher),
            cheaper.fingerprint(&mut hasher)
        );

        let mut builder = RatesBuilder::new();
        builder.append(RowMark::NEW, &rate);
        builder.append(
            RowMark {
                revision: 1,
                change: Change::Removed,
            },
            &cheaper,
        );
        let head = BatchHead {
            account: "hq",
            first_sequence: 7,
            observed_at: 5,
        };
        let batch = builder.finish(&head).unwrap();
        let view = RatesView::new(&batch).unwrap();
        let row = view.row(0).unwrap();
        assert_eq!(row.unreadable(), Some(r#"{"price_1":"dear"}"#));
        assert_eq!(
            row.to_record(),
            Rate {
                price_1: Reading::Missing,
                ..rate
            }
        );
        let row = view.row(1).unwrap();
        assert_eq!(
            (row.account(), row.sequence(), row.revision()),
            ("hq", 8, 1)
        );
        assert_eq!(
            (row.change(), row.connect_fee()),
            (Some(Change::Removed), Some(9_999))
        );
        assert!(view.row(2).is_none());
    }
}
