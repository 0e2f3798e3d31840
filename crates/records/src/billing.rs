//! Billing settings and balance of a tenant, and the schema `billing/1`.

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

callmeter_record_tables::billing! { stream
    stream: Billing;
    /// How a tenant is billed, and what it has left. Money is in units of 10⁻⁹ of `currency`.
    record: Billing;
    builder: BillingBuilder; view: BillingView; row: BillingRow; order: by_column;
    table:
}
callmeter_record_tables::billing! { flat Billing BillingBuilder BillingRow }
