//! A page of call records, borrowed from the answer's text.

use bytes::Bytes;
use jiff::Timestamp;

use crate::generated_members::{call_record_info, call_record_interaction_info};
use crate::known_rows::{self, KnownText};
use crate::members::row;
use crate::no_id::is_no_id;
use crate::raw_table::{Column, PAGE, RawTable, TOTAL_COUNT, TOTAL_PAGES, Unreadable};
use crate::rows::RowError;
use api_client::Format;

pub(crate) const COLUMNS: &[Column] = CallRef::COLUMNS;

/// A row of a page.
#[derive(Debug)]
pub enum CallRow<'a> {
    /// A record.
    Read(CallRef<'a>),
    /// A record whose text is known: the hash of its id.
    Known(u64),
    /// It cannot be read.
    Unreadable(RowError),
}

/// A page of call records. It keeps the answer's text; records borrow from it.
#[derive(Debug)]
pub struct CallsPage {
    table: RawTable,
    number: i64,
    bytes: u64,
    date: Option<Timestamp>,
    /// Whether the server said that there is no content (204).
    no_content: bool,
    /// A hash for each row, in order: of its id, or of its whole text if it has none or cannot be
    /// read.
    row_hashes: Vec<u64>,
}

impl CallsPage {
    /// Reads an answer's body as a page, without a server: for stored answers and benches.
    ///
    /// ```
    /// use hostedsuite_client::{CallsPage, Format};
    /// let body = r#"{"Items":[{"Id":"1","TalkTimeInSeconds":61.5},
    ///     {"Id":2,"TalkTimeInSeconds":NaN},{"Id"}],"TotalCount":3}"#;
    /// let page = CallsPage::parse(body.into(), Format::Json).unwrap();
    /// let calls: Vec<_> = page.calls().collect();
    /// assert_eq!(calls[0].as_ref().unwrap().talk_time().duration_ms(), Ok(Some(61_500)));
    /// assert_eq!(calls[1].as_ref().unwrap().talk_time().duration_ms(), Err("NaN"));
    /// assert_eq!(calls[2].as_ref().unwrap_err().index, 2);
    /// assert_eq!(page.total_count(), Some(3));
    /// ```
    ///
    /// Fails with what is wrong, and at which byte, when the body is not a list of records.
    pub fn parse(body: Bytes, format: Format) -> Result<Self, String> {
        let bytes = body.len() as u64;
        match crate::raw_table::read(COLUMNS, body, format, None) {
            Ok(table) if table.is_page() => Ok(Self::new(table, bytes, 0, None, false)),
            Ok(_) => Err("no list of records".to_owned()),
            Err(Unreadable(reason)) => Err(reason),
        }
    }

    pub(crate) fn new(
        table: RawTable,
        bytes: u64,
        number: i64,
        date: Option<Timestamp>,
        no_content: bool,
    ) -> Self {
        Self {
            row_hashes: hashes_of(&table),
            table,
            number,
            bytes,
            date,
            no_content,
        }
    }

    /// How many rows the server sent, including those that cannot be read.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether the server sent no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The page number that was requested.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// The number that the server says this page has.
    pub fn echoed_number(&self) -> Option<i64> {
        self.table.envelope().number(PAGE).whole().ok().flatten()
    }

    /// How many records the server says all pages hold; `None` if it does not say. Servers that do
    /// not count say 0.
    pub fn total_count(&self) -> Option<i64> {
        self.count(TOTAL_COUNT)
    }

    /// How many pages the server says there are; `None` if it does not say. Servers that do not
    /// count say 0.
    pub fn total_pages(&self) -> Option<i64> {
        self.count(TOTAL_PAGES)
    }

    fn count(&self, member: usize) -> Option<i64> {
        let number = self.table.envelope().number(member).whole().ok().flatten();
        number.filter(|&count| count >= 0)
    }

    /// Whether the server said that there is no content: status 204.
    pub fn is_no_content(&self) -> bool {
        self.no_content
    }

    /// The time of the server's clock when it sent the page, from the `Date` header.
    pub fn date(&self) -> Option<Timestamp> {
        self.date
    }

    /// The body's length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether all rows are known: [`CallRow::Known`].
    pub fn is_known(&self) -> bool {
        (0..self.table.len()).all(|index| self.table.known(index).is_some())
    }

    /// All rows in the server's order.
    pub fn rows(&self) -> impl Iterator<Item = CallRow<'_>> {
        (0..self.table.len()).filter_map(|index| {
            if let Some(id) = self.table.known(index) {
                return Some(CallRow::Known(id));
            }
            Some(match self.table.row(index)? {
                Ok(row) => CallRow::Read(CallRef(row)),
                Err(reason) => CallRow::Unreadable(RowError {
                    index,
                    reason: reason.to_owned(),
                }),
            })
        })
    }

    /// What [`KnownRows`](crate::KnownRows) has to keep of a record, so that the same text is
    /// known: the hash of its id, and the text. `None` if its text does not begin with its id, as
    /// the service writes JSON.
    pub fn known_text(&self, index: usize) -> Option<(u64, KnownText)> {
        let row = CallRef(self.table.row(index)?.ok()?);
        let text = self.table.row_text(index);
        known_rows::id_of(text).filter(|id| row.id() == Some(id) && !is_no_id(id))?;
        // Of this id.
        let hash = self.row_hashes.get(index)?;
        Some((*hash, KnownText::of(text)?))
    }

    /// Reads a row again, as a page of its own: for one that was known when the page was read, and
    /// no longer is.
    ///
    /// Fails like [`CallsPage::parse`].
    pub fn read_again(&self, index: usize) -> Result<Self, String> {
        let row = self.table.row_text(index);
        Self::parse(Bytes::from(format!("[{row}]")), Format::Json)
    }

    /// The records in the server's order, without those that are known; an error for each that
    /// cannot be read.
    pub fn calls(&self) -> impl Iterator<Item = Result<CallRef<'_>, RowError>> {
        (0..self.table.len()).filter_map(|index| {
            Some(match self.table.row(index)? {
                Ok(row) => Ok(CallRef(row)),
                Err(reason) => Err(RowError {
                    index,
                    reason: reason.to_owned(),
                }),
            })
        })
    }

    /// Like [`CallsPage::calls`], but calls `each` with each record and the row's index on the
    /// page.
    pub fn for_each(&self, mut each: impl FnMut(usize, Result<CallRef<'_>, RowError>)) {
        for index in 0..self.table.len() {
            match self.table.row(index) {
                Some(Ok(row)) => each(index, Ok(CallRef(row))),
                Some(Err(reason)) => {
                    let reason = reason.to_owned();
                    each(index, Err(RowError { index, reason }));
                }
                None => {}
            }
        }
    }

    /// A hash for each row, in order: of its id, or of its whole text if it has none or cannot be
    /// read.
    pub(crate) fn row_hashes(&self) -> &[u64] {
        &self.row_hashes
    }
}

fn hashes_of(table: &RawTable) -> Vec<u64> {
    (0..table.len())
        .map(|index| {
            if let Some(id) = table.known(index) {
                return id;
            }
            let id = match table.row(index) {
                Some(Ok(row)) => CallRef(row).id().filter(|id| !is_no_id(id)),
                _ => None,
            };
            known_rows::hash_of(id.unwrap_or(table.row_text(index)))
        })
        .collect()
}

call_record_info! { row
    /// A call record, borrowed from its page. Getters return what the server wrote; `None` is a
    /// missing or null member.
    CallRef;
}

impl CallRef<'_> {}

call_record_interaction_info! { row
    /// Something that happened during a call, borrowed from its page.
    InteractionRef;
}

#[cfg(test)]
mod tests;
