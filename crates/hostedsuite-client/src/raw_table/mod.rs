//! Rows of an answer, kept as places in its text.
//!
//! An answer is read in one pass into cells: where a member's value is in the text, and what it
//! looks like. Only strings with escapes are copied; a row that cannot be read is noted and
//! skipped. What a cell means is decided when it is read.

mod json;
mod jsv;
mod key;
mod read;
mod scalars;
mod table;
mod text;
mod usual_row;

pub(crate) use read::read;
pub(crate) use scalars::near_quote_or_backslash;
pub(crate) use table::{
    Column, PAGE, RESPONSE_STATUS, RawTable, Row, TOTAL_COUNT, TOTAL_PAGES, Unreadable, objects,
    place, scalar, texts,
};
