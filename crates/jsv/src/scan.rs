//! The grammar over a text: where values, names and containers begin and end.
//!
//! Every function moves forward only and looks at each byte a constant number of times.

use std::cell::Cell;

use crate::bytes::{self, Stops};
use crate::error::{Error, ErrorKind, Position, Result};
use crate::limits::Limits;

/// What encloses the value at the cursor; it decides where unquoted text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    Root,
    Object,
    List,
}

/// The kind of the value at the cursor, which its first byte shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Null,
    Text,
    Object,
    List,
}

/// A text without its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'de> {
    Borrowed(&'de str),
    /// The text held doubled quotes: it is in the cursor's scratch buffer.
    Scratch,
}

/// How a member's name is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// A struct's: blanks around it are ignored.
    Trimmed,
    /// A map's: blanks are part of the key.
    Exact,
}

pub(crate) struct Cursor<'de> {
    text: &'de str,
    at: usize,
    within: Within,
    /// Blanks around structure are skipped and unquoted text is trimmed.
    pretty: bool,
    depth: usize,
    items: usize,
    limits: Limits,
    scratch: String,
    lines: Cell<Position>,
}

impl<'de> Cursor<'de> {
    pub(crate) fn new(text: &'de str) -> Self {
        let start = Position {
            offset: 0,
            line: 1,
            column: 1,
        };
        Self {
            text,
            at: 0,
            within: Within::Root,
            pretty: false,
            depth: 0,
            items: 0,
            limits: Limits::DEFAULT,
            scratch: String::new(),
            lines: Cell::new(start),
        }
    }

    pub(crate) fn set_pretty(&mut self) {
        self.pretty = true;
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn scratch(&self) -> &str {
        &self.scratch
    }

    pub(crate) fn check_length(&self) -> Result<()> {
        if self.text.len() > self.limits.bytes {
            return Err(self.fail_at(0, ErrorKind::Limit("bytes", self.limits.bytes)));
        }
        Ok(())
    }

    /// Line and column of an offset. Continues from the last position that was asked for, so that a
    /// type that ignores many errors still costs only one pass over the text.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let last = self.lines.get();
        let bytes = self.text.as_bytes();
        let here = if offset >= last.offset {
            let passed = bytes.get(last.offset..offset).unwrap_or_default();
            match memchr::memrchr(b'\n', passed) {
                None => Position {
                    offset,
                    line: last.line,
                    column: last.column + passed.len(),
                },
                Some(end) => Position {
                    offset,
                    line: last.line + memchr::memchr_iter(b'\n', passed).count(),
                    column: passed.len() - end,
                },
            }
        } else {
            let back = bytes.get(offset..last.offset).unwrap_or_default();
            match memchr::memchr_iter(b'\n', back).count() {
                0 => Position {
                    offset,
                    line: last.line,
                    column: last.column - back.len(),
                },
                lines => {
                    let before = bytes.get(..offset).unwrap_or_default();
                    let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
                    Position {
                        offset,
                        line: last.line - lines,
                        column: offset - start + 1,
                    }
                }
            }
        };
        self.lines.set(here);
        here
    }

    #[cold]
    pub(crate) fn fail_at(&self, offset: usize, kind: ErrorKind) -> Error {
        Error::at(kind, self.position(offset))
    }

    #[cold]
    pub(crate) fn fail(&self, kind: ErrorKind) -> Error {
        self.fail_at(self.at, kind)
    }

    /// An error: `what` was expected at the cursor.
    #[cold]
    pub(crate) fn expected(&self, what: &'static str) -> Error {
        self.fail(match self.peek() {
            Some(b'\r' | b'\n') => ErrorKind::LineBreak,
            _ => ErrorKind::Expected(what),
        })
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Moves to the next byte of a set, or to the end.
    #[inline]
    fn run<S: Stops>(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += S::find(rest).unwrap_or(rest.len());
    }

    /// The text between two offsets, which are at ASCII bytes or at its ends.
    #[inline]
    fn slice(&self, from: usize, to: usize) -> &'de str {
        debug_assert!(self.text.is_char_boundary(from) && self.text.is_char_boundary(to));
        self.text.get(from..to).unwrap_or_default()
    }

    /// Whether the value at the cursor, quoted or not, ends here.
    #[inline]
    fn value_ends(&self) -> bool {
        matches!(
            (self.within, self.peek()),
            (Within::Root, None)
                | (Within::Object, Some(b',' | b'}'))
                | (Within::List, Some(b',' | b']'))
        )
    }

    #[inline]
    fn blanks(&mut self) {
        if self.pretty {
            while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
                self.at += 1;
            }
        }
    }

    #[inline]
    fn count_item(&mut self) -> Result<()> {
        self.items += 1;
        if self.items > self.limits.items {
            return Err(self.fail(ErrorKind::Limit("items", self.limits.items)));
        }
        Ok(())
    }

    /// The kind of the next value. In pretty-printed text, moves past the blanks before it.
    #[inline]
    pub(crate) fn shape(&mut self) -> Result<Shape> {
        self.blanks();
        Ok(match self.peek() {
            _ if self.value_ends() => Shape::Null,
            None => return Err(self.cut()),
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::List,
            Some(_) => Shape::Text,
        })
    }

    /// Enters the object or list at the cursor. Returns what [`leave`](Self::leave) needs.
    #[inline]
    pub(crate) fn enter(&mut self, inner: Within) -> Result<Within> {
        if self.depth >= self.limits.depth {
            return Err(self.fail(ErrorKind::Limit(
                "levels of lists and objects",
                self.limits.depth,
            )));
        }
        self.depth += 1;
        self.at += 1;
        Ok(std::mem::replace(&mut self.within, inner))
    }

    /// Goes back to what surrounds an object or list, after its end.
    #[inline]
    pub(crate) fn leave(&mut self, outer: Within) {
        self.depth -= 1;
        self.within = outer;
    }

    /// Moves to the end of the text, because nothing that follows can be trusted.
    pub(crate) fn give_up(&mut self) {
        self.at = self.text.len();
    }

    /// Right after the opening bracket: returns whether there is an item. If not, moves past the
    /// closing bracket.
    #[inline]
    pub(crate) fn first(&mut self) -> Result<bool> {
        self.blanks();
        let closing = match self.within {
            Within::List => b']',
            _ => b'}',
        };
        match self.peek() {
            None => Err(self.cut()),
            Some(byte) if byte == closing => {
                self.at += 1;
                Ok(false)
            }
            Some(_) => self.count_item().map(|()| true),
        }
    }

    /// After an item: returns whether another follows. Moves past the comma or the closing bracket.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<bool> {
        self.blanks();
        match (self.peek(), self.within) {
            (Some(b','), _) => {
                self.at += 1;
                self.count_item().map(|()| true)
            }
            (Some(b']'), Within::List) | (Some(b'}'), Within::Object) => {
                self.at += 1;
                Ok(false)
            }
            (None, _) => Err(self.cut()),
            (Some(_), Within::List) => Err(self.expected("`,` or `]`")),
            (Some(_), _) => Err(self.expected("`,` or `}`")),
        }
    }

    /// Reads a member's name and its colon.
    #[inline]
    pub(crate) fn name(&mut self, names: Names) -> Result<Piece<'de>> {
        self.blanks();
        if self.peek() == Some(b'"') {
            let name = self.quoted()?;
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(match self.peek() {
                    None => self.cut(),
                    Some(_) => self.expected("`:` after a member's name"),
                });
            }
            self.at += 1;
            return Ok(name);
        }
        let start = self.at;
        self.run::<bytes::Name>();
        match self.peek() {
            Some(b':') => {}
            None => return Err(self.cut()),
            Some(_) => return Err(self.expected("a member's name and `:`")),
        }
        let name = self.slice(start, self.at);
        let name = if self.pretty || names == Names::Trimmed {
            name.trim_ascii()
        } else {
            name
        };
        if name.is_empty() {
            // The empty name is written `""`.
            return Err(self.fail_at(start, ErrorKind::Expected("a member's name")));
        }
        self.at += 1;
        Ok(Piece::Borrowed(name))
    }

    /// Reads the text at the cursor, quoted or not.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<Piece<'de>> {
        if self.peek() == Some(b'"') {
            let piece = self.quoted()?;
            self.blanks();
            // `end` checks what follows an outermost text.
            if self.value_ends() || self.within == Within::Root {
                return Ok(piece);
            }
            return Err(match self.peek() {
                None => self.cut(),
                Some(_) => self.expected("the end of the value after `\"`"),
            });
        }
        self.unquoted().map(Piece::Borrowed)
    }

    fn quoted(&mut self) -> Result<Piece<'de>> {
        let opening = self.at;
        let bytes = self.text.as_bytes();
        let mut from = opening + 1;
        let mut doubled = false;
        loop {
            let rest = bytes.get(from..).unwrap_or_default();
            let Some(quote) = memchr::memchr(b'"', rest) else {
                return Err(self.fail_at(opening, ErrorKind::Truncated("quoted text")));
            };
            let quote = from + quote;
            if bytes.get(quote + 1) == Some(&b'"') {
                if !doubled {
                    doubled = true;
                    self.scratch.clear();
                }
                self.scratch.push_str(self.slice(from, quote + 1));
                from = quote + 2;
                continue;
            }
            self.at = quote + 1;
            let last = self.slice(from, quote);
            if doubled {
                self.scratch.push_str(last);
                return Ok(Piece::Scratch);
            }
            return Ok(Piece::Borrowed(last));
        }
    }

    #[inline]
    fn unquoted(&mut self) -> Result<&'de str> {
        let start = self.at;
        if self.peek() == Some(b']') {
            return Err(self.fail(ErrorKind::Unquoted(']')));
        }
        // Open brackets within the list's item: their closing brackets do not end the list.
        let mut open = 0_usize;
        loop {
            self.run::<bytes::Value>();
            match self.peek() {
                Some(b'[') if self.within == Within::List => open += 1,
                Some(b']') if open > 0 => open -= 1,
                _ if self.value_ends() => break,
                None => return Err(self.cut()),
                // Part of the text in an object, or in an outermost text.
                Some(b'[' | b']') => {}
                Some(b'\r' | b'\n') if self.pretty => break,
                Some(b'\r' | b'\n') => return Err(self.fail(ErrorKind::LineBreak)),
                Some(byte) => return Err(self.fail(ErrorKind::Unquoted(char::from(byte)))),
            }
            self.at += 1;
        }
        let text = self.slice(start, self.at);
        Ok(if self.pretty { text.trim_ascii() } else { text })
    }

    /// Moves past the value at the cursor, whatever it is, and checks its grammar.
    pub(crate) fn skip(&mut self) -> Result<()> {
        // A list of levels instead of recursion, so that depth uses no stack.
        let mut around = Vec::new();
        loop {
            let more = match self.shape()? {
                Shape::Null => None,
                Shape::Text if self.peek() == Some(b'"') => {
                    self.text()?;
                    None
                }
                Shape::Text => {
                    self.unquoted()?;
                    None
                }
                Shape::Object => {
                    around.push(self.enter(Within::Object)?);
                    Some(self.first()?)
                }
                Shape::List => {
                    around.push(self.enter(Within::List)?);
                    Some(self.first()?)
                }
            };
            if !self.advance_to_value(more, &mut around)? {
                return Ok(());
            }
        }
    }

    /// Moves from the end of a value, or from the start of a container (`more`: whether it has an
    /// item), to the next value to skip.
    fn advance_to_value(&mut self, more: Option<bool>, around: &mut Vec<Within>) -> Result<bool> {
        let mut more = more;
        loop {
            let follows = match more.take() {
                Some(first) => first,
                None if around.is_empty() => return Ok(false),
                None => self.next()?,
            };
            if follows {
                if self.within == Within::Object {
                    self.name(Names::Exact)?;
                }
                return Ok(true);
            }
            if let Some(outer) = around.pop() {
                self.leave(outer);
            }
        }
    }

    /// The value at the cursor as it is written.
    pub(crate) fn raw(&mut self) -> Result<&'de str> {
        self.blanks();
        let start = self.at;
        self.skip()?;
        let raw = self.slice(start, self.at);
        Ok(if self.pretty { raw.trim_ascii() } else { raw })
    }

    /// Makes sure that nothing but blanks follows.
    pub(crate) fn end(&mut self) -> Result<()> {
        let rest = self.slice(self.at, self.text.len());
        let blank = rest.len() - rest.trim_ascii_start().len();
        if blank < rest.len() {
            return Err(self.fail_at(self.at + blank, ErrorKind::TrailingText));
        }
        self.at = self.text.len();
        Ok(())
    }

    #[cold]
    fn cut(&self) -> Error {
        let what = match self.within {
            Within::Root => "the value",
            Within::Object => "an object",
            Within::List => "a list",
        };
        self.fail_at(self.text.len(), ErrorKind::Truncated(what))
    }
}
