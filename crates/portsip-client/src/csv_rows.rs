//! CSV rows out of bytes that arrive in pieces.
//!
//! One parser splits rows and fields. A row that has no end, because a quotation mark is not
//! closed, costs its first line: the next line begins a new row.

use bytes::{Buf as _, BytesMut};
use csv_core::{ReadRecordResult, Reader};

/// The longest row in bytes and the most fields that a row can have.
const LONGEST_ROW: usize = 64 * 1024;
const MOST_FIELDS: usize = 1_024;

/// How often a row without an end is given up before the text is no CSV. Each time, up to
/// [`LONGEST_ROW`] bytes are read again.
const MOST_ENDLESS_ROWS: u32 = 1_000;

const NOT_CLOSED: &str = "a quotation mark is not closed";

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    /// Its fields. Bytes that are not UTF-8 are read as Windows-1252.
    Fields(Vec<String>),
    /// A line that begins a row without an end, and why it has none.
    Endless(&'static str),
}

/// The text is not CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotCsv;

/// The rows of a file.
pub(crate) struct CsvRows {
    parser: Reader,
    /// What has arrived, from the beginning of the row that is being read.
    input: BytesMut,
    /// How much of it the parser has read.
    read: usize,
    /// The fields of that row one after the other, and where each ends.
    fields: Vec<u8>,
    ends: Vec<usize>,
    /// How much of both is filled.
    filled: usize,
    ended_fields: usize,
    place: Place,
    endless_rows: u32,
    input_ended: bool,
    last_row_has_end: bool,
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The first ones, so that a byte order mark may come.
    Start,
    /// A part of a row.
    Row,
    /// The rest of a line that is skipped.
    Skipped,
}

impl CsvRows {
    pub(crate) fn new() -> Self {
        let mut parser = Reader::new();
        begin(&mut parser);
        Self {
            parser,
            input: BytesMut::new(),
            read: 0,
            fields: vec![0; 1_024],
            ends: vec![0; 32],
            filled: 0,
            ended_fields: 0,
            place: Place::Start,
            endless_rows: 0,
            input_ended: false,
            last_row_has_end: true,
        }
    }

    /// Adds the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.input.extend_from_slice(piece);
    }

    /// Says that no further piece comes.
    pub(crate) fn end(&mut self) {
        self.input_ended = true;
    }

    /// Whether the last row ended with a line break. If not, it may have been cut off.
    pub(crate) fn last_row_has_end(&self) -> bool {
        self.last_row_has_end
    }

    /// The next row; `None` when another piece is needed, and at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Row>, NotCsv> {
        loop {
            if !self.is_ready() {
                return Ok(None);
            }
            let mut unread = self.input.get(self.read..).unwrap_or_default();
            let at_end = unread.is_empty();
            if at_end {
                let begun = self.input.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
                if !self.input_ended || !begun {
                    return Ok(None);
                }
                // A line break ends every row that is not in the middle of a quoted field.
                unread = b"\n";
            }
            let (result, read, filled, ended) = self.parser.read_record(
                unread,
                self.fields.get_mut(self.filled..).unwrap_or_default(),
                self.ends.get_mut(self.ended_fields..).unwrap_or_default(),
            );
            self.read += if at_end { 0 } else { read };
            self.filled += filled;
            self.ended_fields += ended;
            match result {
                ReadRecordResult::InputEmpty if at_end => {
                    return self.give_up(NOT_CLOSED);
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.fields.len() < LONGEST_ROW => {
                    self.fields.resize(self.fields.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < MOST_FIELDS => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return self.give_up("it is too long");
                }
                ReadRecordResult::Record if !self.is_sound() => {
                    return self.give_up(NOT_CLOSED);
                }
                ReadRecordResult::Record => {
                    self.last_row_has_end = !at_end;
                    return Ok(Some(Row::Fields(self.take_fields())));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Skips what is not to be parsed; false while more has to arrive for that.
    fn is_ready(&mut self) -> bool {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        if self.place == Place::Start {
            if self.input.len() < MARK.len() && !self.input_ended {
                return false;
            }
            self.place = Place::Row;
            if self.input.starts_with(MARK) {
                self.input.advance(MARK.len());
            }
        }
        if self.place == Place::Skipped {
            match self.input.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.input.advance(end + 1);
                    self.place = Place::Row;
                }
                None => self.input.clear(),
            }
        }
        self.place == Place::Row
    }

    /// Whether the row that was read is one. If a quotation mark is not closed, the next one, in a
    /// later row, closes it, and does so before text instead of a comma.
    fn is_sound(&self) -> bool {
        let row = self.input.get(..self.read).unwrap_or_default().trim_ascii();
        !row.contains(&b'\n') || closes_before_commas(row)
    }

    /// Gives up a row: its first line is lost, and the next one begins a row.
    fn give_up(&mut self, why: &'static str) -> Result<Option<Row>, NotCsv> {
        // At the end of the input, it may have been cut off.
        self.last_row_has_end = !self.input_ended;
        self.endless_rows += 1;
        if self.endless_rows > MOST_ENDLESS_ROWS {
            return Err(NotCsv);
        }
        self.parser.reset();
        begin(&mut self.parser);
        (self.read, self.filled, self.ended_fields) = (0, 0, 0);
        // The line breaks between the last row and this one come first.
        let begins = |byte: &u8| !matches!(byte, b'\r' | b'\n');
        let line = self.input.iter().position(begins).unwrap_or_default();
        self.input.advance(line);
        self.place = Place::Skipped;
        Ok(Some(Row::Endless(why)))
    }

    fn take_fields(&mut self) -> Vec<String> {
        let ends = self.ends.get(..self.ended_fields).unwrap_or_default();
        let mut start = 0;
        let fields = ends.iter().map(|end| {
            let bytes = self.fields.get(start..*end).unwrap_or_default();
            start = *end;
            match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => api_client::repair_text(bytes),
            }
        });
        let fields = fields.collect();
        self.input.advance(self.read);
        (self.read, self.filled, self.ended_fields) = (0, 0, 0);
        fields
    }
}

/// Lets a parser begin behind a line break. At its very beginning it would skip a byte order mark,
/// but only if all of it comes at once.
fn begin(parser: &mut Reader) {
    parser.read_record(b"\n", &mut [0], &mut [0]);
}

/// Whether each quotation mark that closes a field is the end of the field.
fn closes_before_commas(row: &[u8]) -> bool {
    #[derive(Clone, Copy)]
    enum Place {
        Start,
        Field,
        Quotes,
        Closed,
    }
    let mut place = Place::Start;
    for byte in row {
        place = match (place, byte) {
            (Place::Quotes, b'"') => Place::Closed,
            (Place::Quotes, _) | (Place::Start | Place::Closed, b'"') => Place::Quotes,
            (Place::Start | Place::Field | Place::Closed, b',') => Place::Start,
            (Place::Closed, _) => return false,
            (Place::Start | Place::Field, _) => Place::Field,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a text, which arrives in pieces of a length.
    fn rows(text: &[u8], piece: usize) -> Vec<String> {
        let mut rows = CsvRows::new();
        let mut found = Vec::new();
        let mut take = |rows: &mut CsvRows| {
            while let Some(row) = rows.next().unwrap() {
                found.push(match row {
                    Row::Fields(fields) => fields.join("|"),
                    Row::Endless(why) => format!("! {why}"),
                });
            }
        };
        for piece in text.chunks(piece) {
            rows.push(piece);
            take(&mut rows);
        }
        rows.end();
        take(&mut rows);
        if !rows.last_row_has_end() {
            found.push("no end".to_owned());
        }
        found
    }

    #[test]
    fn the_same_rows_whatever_the_pieces() {
        let endless = "! a quotation mark is not closed";
        let cases: &[(&[u8], &[&str])] = &[
            (b"", &[]),
            (b"\n\r\n", &[]),
            (b"a,b\r\n\r\nc,d\r\n", &["a|b", "c|d"]),
            (b"\xEF\xBB\xBFa\nb\n", &["a", "b"]),
            (b"\xEF\xBB\xBF", &[]),
            (b"\xEF\xBB\xBF\xEF\xBB\xBFa\n", &["\u{feff}a"]),
            (b"a,\"b\n\xEF\xBB\xBFc\n", &[endless, "\u{feff}c"]),
            (b"a,\"b\nc\"\nd,e\n", &["a|b\nc", "d|e"]),
            (b"a,19\" rack\nb,c\n", &["a|19\" rack", "b|c"]),
            (b"a,\"say \"\"x\"\"\"\n", &["a|say \"x\""]),
            (b"a,b\nc,d", &["a|b", "c|d", "no end"]),
            (b"a,M\xFCller\nb,\xC3\xBC\n", &["a|M\u{fc}ller", "b|\u{fc}"]),
            // Each of these rows would take the next one.
            (b"a,\"b\nc,\"d\"\ne,f\n", &[endless, "c|d", "e|f"]),
            (
                b"a,\"b\nc,\"d,e\"\r\ne,\"f\r\ng\"\r\n",
                &[endless, "c|d,e", "e|f\r\ng"],
            ),
            // This row would take all that follow.
            (b"a,b\nc,\"d\ne,f\ng,h\n", &["a|b", endless, "e|f", "g|h"]),
            (b"a\n\"", &["a", endless, "no end"]),
        ];
        for (text, wanted) in cases {
            for piece in 1..=text.len().max(1) {
                assert_eq!(rows(text, piece), *wanted, "{text:?} by {piece}");
            }
        }
    }

    #[test]
    fn a_row_is_bounded() {
        let mut text = b"a,\"".to_vec();
        text.extend(b"x".repeat(3 * LONGEST_ROW));
        text.extend(b"\nb,c\n");
        assert_eq!(rows(&text, 1_000), ["! it is too long", "b|c"]);
        let mut text = b",".repeat(2 * MOST_FIELDS);
        text.extend(b"\nb,c\n");
        assert_eq!(rows(&text, 1_000), ["! it is too long", "b|c"]);

        let mut rows = CsvRows::new();
        let mut given_up = 0;
        let end = loop {
            match rows.next() {
                Ok(Some(_)) => given_up += 1,
                Ok(None) => {
                    rows.push(&[b"\"".as_slice(), &b"x".repeat(LONGEST_ROW), b"\n"].concat());
                }
                Err(error) => break error,
            }
        };
        assert_eq!((end, given_up), (NotCsv, MOST_ENDLESS_ROWS));
    }
}
