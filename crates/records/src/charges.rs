//! Charges: what calls cost, and the schema `charges/1`.

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

callmeter_record_tables::charges! { stream
    stream: Charges;
    /// What a call costs by one rule. Money is in units of 10⁻⁹ of the currency.
    record: Charge;
    builder: ChargesBuilder; view: ChargesView; row: ChargeRow; order: by_column;
    table:
}
callmeter_record_tables::charges! { flat Charge ChargesBuilder ChargeRow }
