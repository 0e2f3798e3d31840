//! Billing settings and balance of a tenant, and the schema `billing/1`.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::{BooleanBuilder, Decimal128Builder, StringBuilder};
use arrow_array::{BooleanArray, Decimal128Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};

use crate::column::{Columns, ViewError};
use crate::common::{CommonBuilder, columns, money_type, schema_of};
use crate::flat::{flat_stream, kind};
use crate::hash::FieldHasher;
use crate::unreadable::UnreadableJson;
use crate::{BatchHead, Change, CommonView, Reading, RowMark, Stream, money};

flat_stream! {
    stream: Billing;
    /// How a tenant is billed, and what it has left. Money is in units of 10⁻⁹ of `currency`.
    record: Billing;
    builder: BillingBuilder; view: BillingView; row: BillingRow;
    /// Whether calls are billed.
    enabled: truth, columns::ENABLED, "enabled";
    /// Which account is billed, as the API wrote it.
    billed_account: text, columns::BILLED_ACCOUNT, "account";
    /// Online or offline charging, as the API wrote it.
    charging_type: text, columns::CHARGING_TYPE, "type";
    /// The tenant's balance.
    balance: money, columns::BALANCE, "balance";
    /// Its currency, ISO 4217.
    currency: text, columns::CURRENCY, "currency";
}
