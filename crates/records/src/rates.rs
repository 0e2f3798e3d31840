//! Call rates and the schema `rates/1`.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::{Decimal128Builder, Int32Builder, StringBuilder};
use arrow_array::{Decimal128Array, Int32Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};

use crate::column::{Columns, ViewError};
use crate::common::{CommonBuilder, columns, money_type, schema_of};
use crate::flat::{flat_stream, kind};
use crate::hash::FieldHasher;
use crate::unreadable::UnreadableJson;
use crate::{BatchHead, Change, CommonView, Reading, RowMark, Stream, money};

flat_stream! {
    stream: Rates;
    /// The rate of a prefix. Money is in units of 10⁻⁹ of the tenant's currency.
    record: Rate;
    builder: RatesBuilder; view: RatesView; row: RateRow;
    /// The API's id.
    id: text, columns::ID, "id";
    /// The prefix that the rate is for.
    prefix: text, columns::PREFIX, "prefix";
    /// The kind of destination, as the API wrote it.
    rate_type: text, columns::TYPE, "type";
    /// Seconds that are free after the first interval.
    free_seconds: int, columns::FREE_SECONDS, "free_seconds";
    /// Calls shorter than this many seconds are free.
    grace_period: int, columns::GRACE_PERIOD, "grace_period";
    /// Seconds of the first interval.
    interval_1: int, columns::INTERVAL_1, "interval_1";
    /// Seconds of each further interval.
    interval_n: int, columns::INTERVAL_N, "interval_n";
    /// Charged for each answered call.
    connect_fee: money, columns::CONNECT_FEE, "connect_fee";
    /// Fraction added to the cost.
    postcall_surcharge: money, columns::POSTCALL_SURCHARGE, "postcall_surcharge";
    /// Price of a minute in the first interval.
    price_1: money, columns::PRICE_1, "price_1";
    /// Price of a minute in further intervals.
    price_n: money, columns::PRICE_N, "price_n";
    /// The rule in words.
    description: text, columns::DESCRIPTION, "description";
}

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
