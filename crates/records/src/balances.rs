//! Call-allowance balances and the schema `balances/1`.

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

callmeter_record_tables::balances! { stream
    stream: Balances;
    /// What a client has used and has left in a period. Numbers are exact decimals, in units of
    /// 10⁻⁹.
    record: Balance;
    builder: BalancesBuilder; view: BalancesView; row: BalanceRow; order: by_column;
    table:
}
callmeter_record_tables::balances! { flat Balance BalancesBuilder BalanceRow }
