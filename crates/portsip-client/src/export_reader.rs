//! Reads an export from any source of bytes, piece by piece.

use crate::csv_rows::{CsvRows, NotCsv, Row};
use crate::export_columns::{Header, MissingColumns};
use crate::generated::types::CallRate;
use crate::rates::RowError;

/// The rates of an export that comes in pieces, for example from a file.
///
/// ```
/// use portsip_client::ExportReader;
///
/// let file = b"Prefix,Type,Free Seconds,Grace Period,Interval 1,Interval N,Connect Fee,\
///     Postcall Surcharge,Price 1,Price N\n49,LOCAL,0,0,60,1,0,0,0.05,0.05\n";
/// let mut reader = ExportReader::new();
/// for piece in file.chunks(16) {
///     reader.push(piece);
/// }
/// reader.end();
/// let rate = reader.next().unwrap().unwrap().unwrap();
/// assert_eq!(rate.prefix.as_deref(), Some("49"));
/// assert_eq!(reader.next(), Ok(None));
/// ```
pub struct ExportReader {
    rows: CsvRows,
    header: Option<Header>,
    index: usize,
    input_ended: bool,
}

/// Why a file is no export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It has no header.
    #[error("the file is empty")]
    Empty,
    /// It is a web page.
    #[error("the file is a web page")]
    WebPage,
    /// Its first line cannot be read.
    #[error("the first line: {0}")]
    FirstLine(&'static str),
    /// Not all columns can be recognized.
    #[error(transparent)]
    Columns(MissingColumns),
    /// It cannot be split into rows.
    #[error("not CSV near row {0}")]
    NotCsv(usize),
}

impl Default for ExportReader {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for ExportReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportReader")
            .field("header", &self.header)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl ExportReader {
    /// A reader of a file of which nothing has come.
    pub fn new() -> Self {
        Self {
            rows: CsvRows::new(),
            header: None,
            index: 0,
            input_ended: false,
        }
    }

    /// Adds the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.rows.push(piece);
    }

    /// Says that no further piece comes.
    pub fn end(&mut self) {
        self.input_ended = true;
        self.rows.end();
    }

    /// The next rate; a row that cannot be read is an `Ok(Some(Err(…)))`. `Ok(None)` when another
    /// piece is needed, and at the end.
    #[expect(clippy::should_implement_trait, reason = "an error ends it")]
    pub fn next(&mut self) -> Result<Option<Result<CallRate, RowError>>, ExportError> {
        if !self.read_header()? {
            return Ok(None);
        }
        let Some(row) = self.row()? else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        Ok(Some(match (row, &self.header) {
            (Row::Fields(fields), Some(header)) => header.rate(index, &fields),
            (Row::Endless(why), _) => Err(RowError {
                index,
                reason: why.to_owned(),
            }),
            (Row::Fields(_), None) => return Ok(None),
        }))
    }

    /// Reads the header if it has come; false if more is needed.
    pub(crate) fn read_header(&mut self) -> Result<bool, ExportError> {
        if self.header.is_some() {
            return Ok(true);
        }
        let titles = match self.row()? {
            Some(Row::Fields(titles)) => titles,
            Some(Row::Endless(why)) => return Err(ExportError::FirstLine(why)),
            None if self.input_ended => return Err(ExportError::Empty),
            None => return Ok(false),
        };
        let first = titles.first().map_or("", |title| title.trim_start());
        if first.starts_with('<') {
            return Err(ExportError::WebPage);
        }
        self.header = Some(Header::read(&titles).map_err(ExportError::Columns)?);
        Ok(true)
    }

    /// The row that may be half a row, if the last one may: the input has ended without the row's
    /// line break.
    pub fn unfinished_row(&self) -> Option<usize> {
        let is_unfinished = self.input_ended && !self.rows.last_row_has_end();
        is_unfinished.then(|| self.index.saturating_sub(1))
    }

    /// The next row that is not blank: lines at the end of a file may be.
    fn row(&mut self) -> Result<Option<Row>, ExportError> {
        loop {
            match self.rows.next() {
                Ok(Some(Row::Fields(fields)))
                    if fields.iter().all(|text| text.trim().is_empty()) => {}
                Ok(row) => return Ok(row),
                Err(NotCsv) => return Err(ExportError::NotCsv(self.index)),
            }
        }
    }
}
