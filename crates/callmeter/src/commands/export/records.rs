//! Writes records as CSV and NDJSON: every column, in the order of the schema.

use std::io::Write;

use callmeter_records::Stream;
use serde_json::Value;

use super::batches::{Batches, Window, event_times};
use super::cell::cell;
use super::error::ExportError;

/// Writes a header line, then a line per record. A missing value is empty, a list is JSON.
pub(super) fn csv(
    batches: Batches,
    stream: Stream,
    window: Window,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let schema = stream.schema();
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(schema.fields().iter().map(|field| field.name()))?;
    each_row(batches, stream, window, |values| {
        for (_, value) in values {
            match value {
                Value::Null => writer.write_field("")?,
                Value::String(text) => writer.write_field(text)?,
                other => writer.write_field(other.to_string())?,
            }
        }
        writer.write_record(None::<&[u8]>)?;
        Ok(())
    })?;
    writer.flush()?;
    Ok(())
}

/// Writes an object per line. A missing value is null.
pub(super) fn ndjson(
    batches: Batches,
    stream: Stream,
    window: Window,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    each_row(batches, stream, window, |values| {
        // Member by member: a map would lose the order of the schema.
        for (place, (name, value)) in values.iter().enumerate() {
            out.write_all(if place == 0 { b"{" } else { b"," })?;
            serde_json::to_writer(&mut *out, name)?;
            out.write_all(b":")?;
            serde_json::to_writer(&mut *out, value)?;
        }
        out.write_all(b"}\n")?;
        Ok(())
    })
}

/// Calls `write` with the named values of each record in the window. A column that is newer than
/// the batch is null.
fn each_row(
    batches: Batches,
    stream: Stream,
    window: Window,
    mut write: impl FnMut(&[(String, Value)]) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let schema = stream.schema();
    let mut values = Vec::new();
    for batch in batches {
        let batch = batch?;
        let columns: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| (field.name(), batch.records.column_by_name(field.name())))
            .collect();
        for (row, time) in event_times(stream, &batch)?.into_iter().enumerate() {
            if !window.contains(time) {
                continue;
            }
            values.clear();
            for (name, column) in &columns {
                let value = match column {
                    Some(column) => cell(column, row)?,
                    None => Value::Null,
                };
                values.push(((*name).clone(), value));
            }
            write(&values)?;
        }
    }
    Ok(())
}
