//! Rows kept as places in the text of their answer.

use std::ops::Range;

use api_client::Number;

use super::key::Key;
use super::text::Text;

/// A column: the name of a member, and what it holds.
#[derive(Debug)]
pub(crate) struct Column {
    pub(super) name: &'static str,
    pub(super) key: Key,
    pub(super) holds: Holds,
}

/// What a member holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    /// A text, a number or a truth value.
    Scalar,
    /// A list of texts.
    Texts,
    /// A list of objects with these members, all scalars.
    Objects(&'static [Column]),
}

/// A member that holds a scalar.
pub(crate) const fn scalar(name: &'static str) -> Column {
    column(name, Holds::Scalar)
}

/// A member that holds a list of texts.
pub(crate) const fn texts(name: &'static str) -> Column {
    column(name, Holds::Texts)
}

/// A member that holds a list of objects with these members.
pub(crate) const fn objects(name: &'static str, members: &'static [Column]) -> Column {
    column(name, Holds::Objects(members))
}

pub(super) const fn column(name: &'static str, holds: Holds) -> Column {
    Column {
        name,
        key: Key::new(name),
        holds,
    }
}

/// A column's place in its table, found while compiling.
pub(crate) const fn place(columns: &[Column], name: &str) -> usize {
    let mut index = 0;
    while index < columns.len() {
        if is_same(columns[index].name.as_bytes(), name.as_bytes()) {
            return index;
        }
        index += 1;
    }
    panic!("the API's description has no member of this name")
}

pub(super) const fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// The members that are used of the object around the rows.
pub(crate) const ENVELOPE: &[Column] = &[
    scalar("Items"),
    scalar("Page"),
    scalar("TotalCount"),
    scalar("TotalPages"),
    scalar("ResponseStatus"),
];
pub(super) const ITEMS: usize = place(ENVELOPE, "Items");
pub(crate) const PAGE: usize = place(ENVELOPE, "Page");
pub(crate) const TOTAL_COUNT: usize = place(ENVELOPE, "TotalCount");
pub(crate) const TOTAL_PAGES: usize = place(ENVELOPE, "TotalPages");
pub(crate) const RESPONSE_STATUS: usize = place(ENVELOPE, "ResponseStatus");

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// No such member, or null.
    #[default]
    Missing,
    /// A text, at a place in the answer.
    Text,
    /// A text whose escapes are resolved, at a place in `unescaped`.
    Unescaped,
    /// A value without quotes: a number, a truth value or any other word.
    Bare,
    /// A list or object where none is expected, at its place in the answer.
    Nested,
    /// A list that is expected: a range of `inner`.
    List,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawCell {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) len: u32,
}

impl RawCell {
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`read` refuses bodies of 4 GiB, and texts without escapes are not longer"
    )]
    pub(super) fn at(kind: Kind, range: Range<usize>) -> Self {
        Self {
            kind,
            start: range.start as u32,
            len: range.len() as u32,
        }
    }

    #[inline]
    pub(super) fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

/// The most rows of an answer, and the most cells of their lists: a body of a few bytes a row must
/// not expand to gigabytes.
pub(super) const MAX_ROWS: usize = 200_000;
pub(super) const MAX_INNER: usize = 4_000_000;
pub(super) const TOO_MANY_ROWS: &str = "more than 200,000 rows";
pub(super) const TOO_LONG_LISTS: &str = "more than 4,000,000 values in lists";

/// Why a whole answer cannot be read: what is wrong and at which byte, never the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) String);

/// What became of a row.
#[derive(Debug)]
pub(super) enum RowState {
    /// Its first cell.
    Read(usize),
    /// What is wrong with it.
    Faulty(Box<str>),
    /// Its text is known, so it was not read: the hash of its id.
    Known(u64),
}

/// The rows of an answer.
pub(crate) struct RawTable {
    pub(super) columns: &'static [Column],
    pub(super) text: Text,
    pub(super) unescaped: String,
    /// `columns.len()` for each row that was read.
    pub(super) cells: Vec<RawCell>,
    /// The cells of inner lists.
    pub(super) inner: Vec<RawCell>,
    pub(super) states: Vec<RowState>,
    /// For each row, its place in the answer.
    pub(super) places: Vec<RawCell>,
    pub(super) envelope: [RawCell; ENVELOPE.len()],
    pub(super) form: Form,
}

/// Prints no content: it may be personal.
impl std::fmt::Debug for RawTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawTable")
            .field("rows", &self.states.len())
            .finish_non_exhaustive()
    }
}

/// What an answer is, apart from its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// An object with nothing but members of [`ENVELOPE`] other than `Items`. The service leaves
    /// out members that are null.
    #[default]
    WithoutItems,
    /// An object without `Items`, but with members that a list does not have.
    Other,
    /// A list at the top, or in `Items`.
    List,
}

impl RawTable {
    /// A list without rows.
    pub(crate) fn empty(columns: &'static [Column]) -> Self {
        Self {
            form: Form::List,
            ..Self::with_room_for(columns, 0)
        }
    }

    pub(super) fn with_room_for(columns: &'static [Column], bytes: usize) -> Self {
        // A record has some 700 bytes. A guess that is too small costs a copy of all cells, 300
        // instructions a row; one that is too large costs no memory, as long as it is not used.
        let rows = (bytes / 500).min(MAX_ROWS);
        Self {
            columns,
            text: Text::default(),
            unescaped: String::new(),
            cells: Vec::with_capacity(rows * columns.len()),
            inner: Vec::new(),
            states: Vec::with_capacity(rows),
            places: Vec::with_capacity(rows),
            envelope: [RawCell::default(); ENVELOPE.len()],
            form: Form::default(),
        }
    }

    /// How many rows there are, unreadable ones included.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether the answer is a list.
    pub(crate) fn is_list(&self) -> bool {
        self.form == Form::List
    }

    /// Whether the answer is a list, or a page of one that leaves out its `Items`.
    pub(crate) fn is_page(&self) -> bool {
        let status = self.envelope.get(RESPONSE_STATUS);
        let has_status = status.is_some_and(|cell| cell.kind != Kind::Missing);
        self.is_list() || (self.form == Form::WithoutItems && !has_status)
    }

    /// The text of a row, also of one that cannot be read.
    pub(crate) fn row_text(&self, index: usize) -> &str {
        let place = self.places.get(index).copied().unwrap_or_default();
        self.text.get(place.range()).unwrap_or_default()
    }

    /// The row of an index, or what is wrong with it; `None` if it is known.
    pub(crate) fn row(&self, index: usize) -> Option<Result<Row<'_>, &str>> {
        let first = match self.states.get(index)? {
            RowState::Faulty(reason) => return Some(Err(reason)),
            RowState::Known(_) => return None,
            RowState::Read(first) => *first,
        };
        let cells = self.cells.get(first..first + self.columns.len())?;
        Some(Ok(Row { table: self, cells }))
    }

    /// The hash of the id of a row that is known.
    pub(crate) fn known(&self, index: usize) -> Option<u64> {
        match self.states.get(index)? {
            RowState::Known(id) => Some(*id),
            RowState::Read(_) | RowState::Faulty(_) => None,
        }
    }

    /// The members around the rows.
    pub(crate) fn envelope(&self) -> Row<'_> {
        Row {
            table: self,
            cells: &self.envelope,
        }
    }

    // ---- for the readers

    /// Why there is no room for another row, if there is none.
    pub(super) fn check_room(&self) -> Result<(), &'static str> {
        if self.states.len() >= MAX_ROWS {
            return Err(TOO_MANY_ROWS);
        }
        if self.inner.len() >= MAX_INNER {
            return Err(TOO_LONG_LISTS);
        }
        Ok(())
    }

    /// Adds missing cells for a row. Returns the first of them.
    pub(super) fn begin_row(&mut self) -> usize {
        let base = self.cells.len();
        self.cells
            .resize(base + self.columns.len(), RawCell::default());
        base
    }

    /// Removes what was read into the row that begins at `base`: its cells, and what was `kept` of
    /// inner cells and unescaped texts before it stays.
    pub(super) fn forget(&mut self, base: usize, kept: (usize, usize)) {
        if let Some(cells) = self.cells.get_mut(base..) {
            cells.fill(RawCell::default());
        }
        self.inner.truncate(kept.0);
        self.unescaped.truncate(kept.1);
    }

    pub(super) fn end_row(&mut self, place: Range<usize>, state: RowState) {
        self.states.push(state);
        self.places.push(RawCell::at(Kind::Nested, place));
    }

    /// Notes that a list begins. If the member occurs twice, the last one counts.
    pub(super) fn begin_list(&mut self) {
        self.form = Form::List;
        self.cells.clear();
        self.inner.clear();
        self.states.clear();
        self.places.clear();
    }

    /// Notes a member that a list does not have.
    pub(super) fn add_unknown_member(&mut self) {
        if self.form == Form::WithoutItems {
            self.form = Form::Other;
        }
    }

    /// Appends a text that is not in the answer in this form, and returns its cell.
    pub(super) fn keep(&mut self, text: &str) -> RawCell {
        let start = self.unescaped.len();
        self.unescaped.push_str(text);
        RawCell::at(Kind::Unescaped, start..self.unescaped.len())
    }
}

/// One row: cells to be read by column.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    table: &'a RawTable,
    cells: &'a [RawCell],
}

impl<'a> Row<'a> {
    #[inline]
    pub(super) fn cell(self, column: usize) -> RawCell {
        self.cells.get(column).copied().unwrap_or_default()
    }

    #[inline]
    pub(super) fn slice(self, cell: RawCell) -> &'a str {
        let text: &'a str = match cell.kind {
            Kind::Unescaped => &self.table.unescaped,
            _ => &self.table.text,
        };
        text.get(cell.range()).unwrap_or_default()
    }

    /// A member's text, also that of a number or truth value, or of a list or object that stands
    /// where a text should; `None` if it is missing.
    #[inline]
    pub(crate) fn text(self, column: usize) -> Option<&'a str> {
        let cell = self.cell(column);
        match cell.kind {
            Kind::Missing | Kind::List => None,
            Kind::Text | Kind::Unescaped | Kind::Bare | Kind::Nested => Some(self.slice(cell)),
        }
    }

    /// A member's number.
    pub(crate) fn number(self, column: usize) -> Number<&'a str> {
        let cell = self.cell(column);
        match cell.kind {
            Kind::Missing => Number::Missing,
            Kind::Text | Kind::Unescaped | Kind::Bare => Number::from_text(self.slice(cell)),
            Kind::Nested | Kind::List => Number::Unreadable(self.slice_of_any(cell)),
        }
    }

    /// A member's number, taken as seconds, in milliseconds.
    pub(crate) fn duration_ms(self, column: usize) -> Result<Option<i64>, &'a str> {
        let cell = self.cell(column);
        match cell.kind {
            Kind::Missing => Ok(None),
            Kind::Text | Kind::Unescaped | Kind::Bare => {
                let text = self.slice(cell);
                api_client::milliseconds(text).map(Some).ok_or(text)
            }
            Kind::Nested | Kind::List => Err(self.slice_of_any(cell)),
        }
    }

    /// A member's truth value; `Err` with the text if it is not one.
    pub(crate) fn flag(self, column: usize) -> Result<Option<bool>, &'a str> {
        let cell = self.cell(column);
        if cell.kind == Kind::Missing {
            return Ok(None);
        }
        let text = self.slice_of_any(cell);
        match text.trim_ascii() {
            "true" | "True" | "TRUE" | "1" => Ok(Some(true)),
            "false" | "False" | "FALSE" | "0" => Ok(Some(false)),
            _ => Err(text),
        }
    }

    /// The raw text of a list or object that the reader did not look into.
    pub(crate) fn nested(self, column: usize) -> Option<&'a str> {
        let cell = self.cell(column);
        (cell.kind == Kind::Nested).then(|| self.slice(cell))
    }

    pub(super) fn slice_of_any(self, cell: RawCell) -> &'a str {
        match cell.kind {
            Kind::List => "[…]",
            _ => self.slice(cell),
        }
    }

    /// A member's list of texts; `None` if it is missing or not a list.
    pub(crate) fn texts(
        self,
        column: usize,
    ) -> Option<impl ExactSizeIterator<Item = Option<&'a str>> + use<'a>> {
        Some(self.list(column, 1)?.map(|row| row.text(0)))
    }

    /// A member's list as rows of `width` cells; `None` if it is missing or not a list.
    pub(crate) fn list(
        self,
        column: usize,
        width: usize,
    ) -> Option<impl ExactSizeIterator<Item = Row<'a>> + use<'a>> {
        let cell = self.cell(column);
        let table = self.table;
        let cells = match cell.kind {
            Kind::List => table.inner.get(cell.range())?,
            _ => return None,
        };
        Some(
            cells
                .chunks_exact(width.max(1))
                .map(move |cells| Row { table, cells }),
        )
    }
}
