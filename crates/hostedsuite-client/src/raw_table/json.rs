//! Reading JSON into a table.
//!
//! It does what `serde_json` cannot: bare `NaN` and `Infinity` (which .NET writes) make only their
//! member unreadable, and a broken row does not make the page unreadable; numbers keep their
//! digits; member names match without case. It expects members in the order of the columns, which
//! is how the service writes them, and searches only when they come in another order.

use memchr::memchr2;

use super::key::Key;
use super::scalars::{is_bare, near_quote_or_backslash, unescape};
use super::table::{
    Column, ENVELOPE, Holds, ITEMS, Kind, MAX_INNER, RawCell, RawTable, RowState, TOO_LONG_LISTS,
    Unreadable,
};
use crate::known_rows::{self, KnownRows};

/// Deeper nesting is refused. The reader itself does not recurse.
const MAX_DEPTH: usize = 64;

/// What is wrong, and at which byte.
pub(super) struct Fault {
    reason: &'static str,
    at: usize,
}

pub(super) type Read<T> = Result<T, Fault>;

const EARLY_END: &str = "the text ends early";

pub(super) fn read(
    text: &str,
    known: Option<&dyn KnownRows>,
    table: &mut RawTable,
) -> Result<(), Unreadable> {
    Reader::new(text, known)
        .whole(table)
        .map_err(|fault| Unreadable(format!("{} at byte {}", fault.reason, fault.at)))
}

pub(super) struct Reader<'t> {
    text: &'t str,
    pub(super) bytes: &'t [u8],
    pub(super) at: usize,
    known: Option<&'t dyn KnownRows>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, known: Option<&'t dyn KnownRows>) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            known,
        }
    }
}

impl Reader<'_> {
    fn fault<T>(&self, reason: &'static str) -> Read<T> {
        let reason = if self.at >= self.bytes.len() {
            EARLY_END
        } else {
            reason
        };
        Err(Fault {
            reason,
            at: self.at,
        })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        // One comparison if there are none, which is the usual case.
        while let Some(byte) = self.peek()
            && byte <= b' '
            && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, reason: &'static str) -> Read<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            self.fault(reason)
        }
    }

    fn whole(&mut self, table: &mut RawTable) -> Read<()> {
        self.blanks();
        match self.peek() {
            Some(b'[') => self.rows(table)?,
            Some(b'{') => self.envelope(table)?,
            _ => return self.fault("neither an array nor an object"),
        }
        self.blanks();
        if self.at < self.bytes.len() {
            return self.fault("text after the end of the value");
        }
        Ok(())
    }

    fn envelope(&mut self, table: &mut RawTable) -> Read<()> {
        self.members(ENVELOPE, |reader, column| {
            match column {
                Some(ITEMS) if reader.peek() == Some(b'[') => {
                    reader.rows(table)?;
                }
                Some(ITEMS) => {
                    // `null` means no rows.
                    let cell = reader.scalar(&mut table.unescaped)?;
                    if cell.kind == Kind::Missing {
                        table.begin_list();
                    } else {
                        table.add_unknown_member();
                    }
                }
                Some(column) => {
                    let cell = reader.scalar(&mut table.unescaped)?;
                    if let Some(slot) = table.envelope.get_mut(column) {
                        *slot = cell;
                    }
                }
                None => {
                    table.add_unknown_member();
                    reader.skip()?;
                }
            }
            Ok(())
        })
    }

    fn rows(&mut self, table: &mut RawTable) -> Read<()> {
        table.begin_list();
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            let start = self.at;
            if let Err(reason) = table.check_room() {
                return Err(Fault { reason, at: start });
            }
            if let Some((id, len)) = self.known_row() {
                self.at += len;
                table.end_row(start..self.at, RowState::Known(id));
                if self.has_ended()? {
                    return Ok(());
                }
                continue;
            }
            let base = table.begin_row();
            let kept = (table.inner.len(), table.unescaped.len());
            if self.usual_row(table, base).is_some() {
                table.end_row(start..self.at, RowState::Read(base));
                if self.has_ended()? {
                    return Ok(());
                }
                continue;
            }
            self.at = start;
            table.forget(base, kept);
            let mut result = self.row(table, base);
            if let Err(fault) = &result
                && fault.reason != EARLY_END
                && fault.reason != TOO_LONG_LISTS
            {
                table.forget(base, kept);
                let reason = format!("{} at byte {}", fault.reason, fault.at);
                self.at = start;
                // However deep it is: the other rows of the page are read.
                self.skip_within(usize::MAX)?;
                table.end_row(start..self.at, RowState::Faulty(reason.into()));
                result = Ok(());
            } else if result.is_ok() {
                table.end_row(start..self.at, RowState::Read(base));
            }
            result?;
            if self.has_ended()? {
                return Ok(());
            }
        }
    }

    /// What follows a row: another one, or the end of the list.
    fn has_ended(&mut self) -> Read<bool> {
        self.blanks();
        let has_ended = match self.peek() {
            Some(b',') => false,
            Some(b']') => true,
            _ => return self.fault("neither `,` nor `]` after a row"),
        };
        self.at += 1;
        Ok(has_ended)
    }

    /// The row that begins here, if it is known: the hash of its id, and its length.
    fn known_row(&self) -> Option<(u64, usize)> {
        known_rows::find(self.known?, self.text.get(self.at..)?)
    }

    pub(super) fn row(&mut self, table: &mut RawTable, base: usize) -> Read<()> {
        if self.peek() != Some(b'{') {
            return self.fault("not an object");
        }
        let columns = table.columns;
        self.members(columns, |reader, column| {
            let Some(index) = column else {
                return reader.skip();
            };
            let holds = columns
                .get(index)
                .map_or(Holds::Scalar, |column| column.holds);
            let cell = match holds {
                Holds::Scalar => reader.scalar(&mut table.unescaped)?,
                Holds::Texts => reader.list(&mut table.inner, &mut table.unescaped, None)?,
                Holds::Objects(members) => {
                    reader.list(&mut table.inner, &mut table.unescaped, Some(members))?
                }
            };
            if let Some(slot) = table.cells.get_mut(base + index) {
                *slot = cell;
            }
            Ok(())
        })
    }

    /// A list into `inner`: of scalars, or of objects with these members. Any other value is kept
    /// as a scalar.
    pub(super) fn list(
        &mut self,
        inner: &mut Vec<RawCell>,
        unescaped: &mut String,
        members: Option<&'static [Column]>,
    ) -> Read<RawCell> {
        if self.peek() != Some(b'[') {
            return self.scalar(unescaped);
        }
        let start = inner.len();
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(RawCell::at(Kind::List, start..start));
        }
        loop {
            self.blanks();
            if inner.len() >= MAX_INNER {
                return self.fault(TOO_LONG_LISTS);
            }
            match members {
                Some(members) if self.peek() == Some(b'{') => {
                    let base = inner.len();
                    inner.resize(base + members.len(), RawCell::default());
                    self.members(members, |reader, column| {
                        let Some(index) = column else {
                            return reader.skip();
                        };
                        let cell = reader.scalar(unescaped)?;
                        if let Some(slot) = inner.get_mut(base + index) {
                            *slot = cell;
                        }
                        Ok(())
                    })?;
                }
                // A null among the objects becomes an entry without members.
                Some(members) => {
                    self.skip()?;
                    inner.resize(inner.len() + members.len(), RawCell::default());
                }
                None => {
                    let cell = self.scalar(unescaped)?;
                    inner.push(cell);
                }
            }
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(RawCell::at(Kind::List, start..inner.len()));
                }
                _ => return self.fault("neither `,` nor `]` in a list"),
            }
        }
    }

    /// An object: calls `value` at the start of each member's value, with the member's column.
    fn members(
        &mut self,
        columns: &'static [Column],
        mut value: impl FnMut(&mut Self, Option<usize>) -> Read<()>,
    ) -> Read<()> {
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut expected = 0;
        loop {
            self.blanks();
            let mut column = self.expected_name(columns, expected);
            if column.is_none() {
                column = self.name(columns)?;
                self.blanks();
                self.expect(b':', "no `:` after a name")?;
                self.blanks();
            }
            if let Some(column) = column {
                expected = column + 1;
            }
            value(self, column)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.fault("neither `,` nor `}` after a member"),
            }
        }
    }

    /// The next name, if it is an expected one as the service writes it, and what is before its
    /// value.
    #[inline]
    fn expected_name(&mut self, columns: &[Column], expected: usize) -> Option<usize> {
        let head = self.bytes.get(self.at..)?.first_chunk::<{ Key::SPAN }>()?;
        // The service leaves out members that are null: the next one is usually among the few that
        // follow.
        let near = columns.get(expected..)?.iter().take(4);
        let (skipped, column) = near
            .enumerate()
            .find(|(_, column)| column.key.begins(head))?;
        self.at += column.key.len();
        // Blanks before the value are rare; a value does not begin with one.
        self.blanks();
        Some(expected + skipped)
    }

    /// A member's name to its column.
    fn name(&mut self, columns: &[Column]) -> Read<Option<usize>> {
        self.expect(b'"', "no name of a member")?;
        let (range, escaped) = self.string()?;
        let raw = self.text.get(range).unwrap_or_default();
        let unescaped;
        let name = if escaped {
            let mut text = String::new();
            if unescape(raw, &mut text).is_none() {
                return self.fault("a broken escape in a name");
            }
            unescaped = text;
            unescaped.as_str()
        } else {
            raw
        };
        Ok(columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name)))
    }

    /// The rest of a short string without escapes; `None`, and nothing is read, for any other.
    #[inline]
    fn plain_string(&mut self) -> Option<RawCell> {
        let rest = self.bytes.get(self.at..)?;
        let end = near_quote_or_backslash(rest)?;
        if rest.get(end) != Some(&b'"') {
            return None;
        }
        let cell = RawCell::at(Kind::Text, self.at..self.at + end);
        self.at += end + 1;
        Some(cell)
    }

    /// The rest of a string after its first quote: its range without quotes, and whether it has
    /// escapes.
    fn string(&mut self) -> Read<(std::ops::Range<usize>, bool)> {
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                self.at = self.bytes.len();
                return self.fault(EARLY_END);
            };
            self.at += found;
            if self.peek() == Some(b'"') {
                let range = start..self.at;
                self.at += 1;
                return Ok((range, escaped));
            }
            escaped = true;
            // The escaped character cannot end the string: skip it.
            self.at += 2;
        }
    }

    /// Any value as a cell; lists and objects are skipped.
    pub(super) fn scalar(&mut self, unescaped: &mut String) -> Read<RawCell> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                if let Some(cell) = self.plain_string() {
                    return Ok(cell);
                }
                let (range, escaped) = self.string()?;
                if !escaped {
                    return Ok(RawCell::at(Kind::Text, range));
                }
                let start = unescaped.len();
                let raw = self.text.get(range).unwrap_or_default();
                match unescape(raw, unescaped) {
                    Some(()) => Ok(RawCell::at(Kind::Unescaped, start..unescaped.len())),
                    None => self.fault("a broken escape"),
                }
            }
            Some(b'{' | b'[') => {
                let start = self.at;
                self.skip()?;
                Ok(RawCell::at(Kind::Nested, start..self.at))
            }
            _ => {
                let range = self.bare()?;
                let is_null = self.bytes.get(range.clone()) == Some(b"null");
                let kind = if is_null { Kind::Missing } else { Kind::Bare };
                Ok(RawCell::at(kind, range))
            }
        }
    }

    /// A value without quotes.
    fn bare(&mut self) -> Read<std::ops::Range<usize>> {
        let start = self.at;
        while self.peek().is_some_and(is_bare) {
            self.at += 1;
        }
        if self.at == start {
            return self.fault("no value");
        }
        Ok(start..self.at)
    }

    fn skip(&mut self) -> Read<()> {
        self.skip_within(MAX_DEPTH)
    }

    /// Skips any value by its quotes and brackets.
    fn skip_within(&mut self, max_depth: usize) -> Read<()> {
        let mut depth = 0_usize;
        loop {
            self.blanks();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    self.string()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    if depth > max_depth {
                        return self.fault("nested too deep");
                    }
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                // A broken row may hold any other character; it ends where its brackets do.
                Some(_) if depth > 0 => self.at += 1,
                _ => {
                    self.bare()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}
