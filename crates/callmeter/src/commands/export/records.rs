//! Writes records as CSV and NDJSON: every column, in the order of the schema.

use std::borrow::Cow;
use std::io::Write;

use callmeter_records::Stream;
use serde_json::Value;

use super::batches::{Batches, Window, event_times};
use super::cell::cell;
use super::error::ExportError;

/// Writes a header line, then a line per record. A missing value is nothing, an empty text is `""`,
/// a list is JSON.
pub(super) fn csv(
    batches: Batches,
    stream: Stream,
    window: Window,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let schema = stream.schema();
    // The library would write an empty text as nothing.
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Never)
        .from_writer(out);
    writer.write_record(schema.fields().iter().map(|field| field.name()))?;
    each_row(batches, stream, window, |values| {
        for (_, value) in values {
            match value {
                Value::Null => writer.write_field("")?,
                Value::String(text) => writer.write_field(&*quoted(text))?,
                other => writer.write_field(&*quoted(&other.to_string()))?,
            }
        }
        writer.write_record(None::<&[u8]>)?;
        Ok(())
    })?;
    writer.flush()?;
    Ok(())
}

/// A text as a cell: with quotes if it needs them, as RFC 4180 says, or is empty.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
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

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn an_empty_text_is_not_a_missing_value() {
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,\"b\"\r\n"), "\"a,\"\"b\"\"\r\n\"");
    }
}
