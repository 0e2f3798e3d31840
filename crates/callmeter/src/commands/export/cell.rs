//! One value of a batch as JSON.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use callmeter_records::money;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::error::ExportError;

/// The value of a row as JSON: times in RFC 3339, decimals as strings so that no digit is lost.
pub(super) fn cell(array: &ArrayRef, row: usize) -> Result<Value, ExportError> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            time(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Decimal128(_, scale) if *scale == money::SCALE => {
            money::to_text(array.as_primitive::<Decimal128Type>().value(row)).into()
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let items: Result<Vec<Value>, _> =
                (0..items.len()).map(|item| cell(&items, item)).collect();
            Value::Array(items?)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let mut members = Map::new();
            for (field, column) in fields.iter().zip(columns.columns()) {
                members.insert(field.name().clone(), cell(column, row)?);
            }
            Value::Object(members)
        }
        other => return Err(ExportError::Column(format!("of type {other}"))),
    })
}

fn time(micros: i64) -> Value {
    match Timestamp::from_microsecond(micros) {
        Ok(time) => time.to_string().into(),
        // Beyond the calendar: the number is still exact.
        Err(_) => micros.into(),
    }
}
