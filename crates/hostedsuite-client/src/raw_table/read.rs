//! Reads the text of an answer into a table, in either format.

use api_client::Format;
use bytes::{Buf as _, Bytes};

use super::table::{Column, RawTable, Unreadable};
use super::text::Text;
use super::{json, jsv};
use crate::known_rows::KnownRows;

/// Reads an answer's body, except for the rows of JSON that are `known`. A row that cannot be read
/// is one fault; an error concerns the whole.
pub(crate) fn read(
    columns: &'static [Column],
    mut body: Bytes,
    format: Format,
    known: Option<&dyn KnownRows>,
) -> Result<RawTable, Unreadable> {
    if u32::try_from(body.len()).is_err() {
        return Err(Unreadable("longer than 4 GiB".to_owned()));
    }
    if body.starts_with(b"\xEF\xBB\xBF") {
        body.advance(3);
    }
    // No copy when the body is not shared, which is the usual case.
    let text = match Text::new(Vec::from(body)) {
        Ok(text) => text,
        Err(bytes) if bytes.starts_with(b"\xFF\xFE") => {
            return Err(Unreadable("UTF-16, not UTF-8".to_owned()));
        }
        Err(bytes) => api_client::repair_text(&bytes).into(),
    };
    let mut table = RawTable::with_room_for(columns, text.len());
    match format {
        Format::Json => json::read(&text, known, &mut table)?,
        Format::Jsv => jsv::read(&text, &mut table)?,
    }
    table.text = text;
    Ok(table)
}
