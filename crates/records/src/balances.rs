//! Call-allowance balances and the schema `balances/1`.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::{Decimal128Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{Decimal128Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};

use crate::column::{Columns, ViewError};
use crate::common::{CommonBuilder, UTC, columns, money_type, schema_of, timestamp_type};
use crate::flat::{flat_stream, kind};
use crate::hash::FieldHasher;
use crate::unreadable::UnreadableJson;
use crate::{BatchHead, Change, CommonView, Reading, RowMark, Stream, money};

flat_stream! {
    stream: Balances;
    /// What a client has used and has left in a period. Numbers are exact decimals, in units of 10⁻⁹.
    record: Balance;
    builder: BalancesBuilder; view: BalancesView; row: BalanceRow;
    /// Begin of the period that was asked for: UTC, microseconds.
    period_start: time, columns::PERIOD_START, "StartDate";
    /// Its end: UTC, microseconds.
    period_end: time, columns::PERIOD_END, "EndDate";
    /// The client.
    client_id: text, columns::CLIENT_ID, "ClientId";
    /// Its account at a third party.
    third_party_account_id: text, columns::THIRD_PARTY_ACCOUNT_ID, "ThirdPartyAccountId";
    /// Its name.
    client_name: text, columns::CLIENT_NAME, "ClientName";
    /// Its allowance in words.
    allowance_description: text, columns::ALLOWANCE_DESCRIPTION, "AllowanceDescription";
    /// Calls in the period.
    num_calls: money, columns::NUM_CALLS, "NumCalls";
    /// Minutes in the period.
    num_mins: money, columns::NUM_MINS, "NumMins";
    /// The balance as the API states it.
    balance: money, columns::BALANCE, "Balance";
    /// The balance in words.
    balance_description: text, columns::BALANCE_DESCRIPTION, "BalanceDescription";
}
