//! Values as the bytes of a CSV cell: RFC 4180 quoting, RFC 3339 times, JSON for nested values.
//!
//! Missing values are empty cells; the empty text is `""`, so that the two can be told apart.

use std::io::Write as _;

use callmeter_plugin_sdk::batch::{List, Struct, Timestamp, Value};

/// Appends cells to a buffer.
#[derive(Debug)]
pub(crate) struct Cells {
    guard_formulas: bool,
    /// For texts that JSON escapes.
    json: Vec<u8>,
    /// The last day that was formatted.
    day: Option<Day>,
}

impl Cells {
    pub(crate) fn new(guard_formulas: bool) -> Self {
        Self {
            guard_formulas,
            json: Vec::new(),
            day: None,
        }
    }

    pub(crate) fn push(&mut self, out: &mut Vec<u8>, value: &Value<'_>) {
        match value {
            Value::Text(text) => self.push_text(out, text),
            Value::Int(number) => push_int(out, *number),
            Value::Timestamp(time) => self.push_time(out, *time),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Decimal(number) => push_display(out, number),
            Value::Float(number) => push_display(out, number),
            Value::List(list) => self.push_list(out, *list),
            Value::Struct(members) => {
                out.push(b'"');
                self.push_object(out, *members);
                out.push(b'"');
            }
            // Null, and types that this program does not know yet.
            _ => {}
        }
    }

    /// Whether none of the texts that are joined in `texts` needs quotes. Called once for all texts
    /// of a column.
    pub(crate) fn is_plain(&self, texts: &str) -> bool {
        let bytes = texts.as_bytes();
        // With `guard_formulas` each text has to be checked by itself.
        !self.guard_formulas
            && memchr::memchr3(b'"', b',', b'\n', bytes).is_none()
            && memchr::memchr(b'\r', bytes).is_none()
    }

    /// Writes a text, or a column's name in the header.
    pub(crate) fn push_text(&self, out: &mut Vec<u8>, text: &str) {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            out.extend_from_slice(b"\"\"");
            return;
        }
        let formula = self.guard_formulas && is_formula(text);
        if !formula && !needs_quotes(bytes) {
            out.extend_from_slice(bytes);
            return;
        }
        out.push(b'"');
        if formula {
            out.push(b'\'');
        }
        push_doubled(out, bytes);
        out.push(b'"');
    }

    /// Writes JSON within a quoted cell: the quotes in the JSON are doubled.
    pub(crate) fn push_json(&mut self, out: &mut Vec<u8>, value: &Value<'_>) {
        match value {
            Value::Text(text) => self.push_json_text(out, text),
            Value::Int(number) => push_int(out, *number),
            Value::Timestamp(time) => self.push_json_time(out, *time),
            Value::List(list) => self.push_items(out, *list),
            Value::Struct(members) => self.push_object(out, *members),
            // Booleans, decimals (as text), floats (null when not finite), null.
            other => self.push_serialized(out, other),
        }
    }

    /// Writes a list as JSON in a quoted cell.
    pub(crate) fn push_list(&mut self, out: &mut Vec<u8>, list: List<'_>) {
        if list.is_empty() {
            out.extend_from_slice(b"\"[]\"");
            return;
        }
        out.push(b'"');
        self.push_items(out, list);
        out.push(b'"');
    }

    fn push_items(&mut self, out: &mut Vec<u8>, list: List<'_>) {
        out.push(b'[');
        if let Some(texts) = list.texts() {
            for (index, text) in texts.enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                match text {
                    Some(text) => self.push_json_text(out, text),
                    None => out.extend_from_slice(b"null"),
                }
            }
            out.push(b']');
            return;
        }
        for (index, item) in list.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.push_json(out, &item);
        }
        out.push(b']');
    }

    fn push_object(&mut self, out: &mut Vec<u8>, members: Struct<'_>) {
        out.push(b'{');
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.push_json_text(out, name);
            out.push(b':');
            self.push_json(out, &value);
        }
        out.push(b'}');
    }

    pub(crate) fn push_json_text(&mut self, out: &mut Vec<u8>, text: &str) {
        // Types, ids and names need no escapes.
        if needs_escapes(text.as_bytes()) {
            self.push_serialized(out, text);
        } else {
            out.extend_from_slice(QUOTE);
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(QUOTE);
        }
    }

    pub(crate) fn push_json_time(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        out.extend_from_slice(QUOTE);
        self.push_time(out, time);
        out.extend_from_slice(QUOTE);
    }

    fn push_serialized(&mut self, out: &mut Vec<u8>, value: impl serde::Serialize) {
        self.json.clear();
        // Every value can be written as JSON, and writing to a Vec does not fail.
        if serde_json::to_writer(&mut self.json, &value).is_ok() {
            push_doubled(out, &self.json);
        } else {
            out.extend_from_slice(b"null");
        }
    }

    /// RFC 3339, with three or six digits of a second when there are any: as the SDK prints it, but
    /// faster.
    pub(crate) fn push_time(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        let (date, micros) = match &self.day {
            Some(day) if day.micros(time) < DAY => (day.date, day.micros(time)),
            _ => {
                let Some(day) = Day::of(time) else {
                    push_display(out, time);
                    return;
                };
                self.day = Some(day);
                (day.date, day.micros(time))
            }
        };
        let (second, micros) = (micros / 1_000_000, micros % 1_000_000);
        let [[h1, h2], [m1, m2], [s1, s2]] =
            [second / 3600, second / 60 % 60, second % 60].map(two);
        let [y1, y2, y3, y4, n1, n2, d1, d2] = date;
        out.extend_from_slice(&[
            y1, y2, y3, y4, b'-', n1, n2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2,
        ]);
        if micros != 0 {
            let [[d1, d2], [d3, d4], [d5, d6]] =
                [micros / 10_000, micros / 100 % 100, micros % 100].map(two);
            let digits = [b'.', d1, d2, d3, d4, d5, d6];
            let shown = if micros % 1000 == 0 { 4 } else { 7 };
            out.extend_from_slice(digits.get(..shown).unwrap_or_default());
        }
        out.push(b'Z');
    }
}

/// Microseconds of a day.
const DAY: u64 = 86_400_000_000;

/// A day whose date is written.
#[derive(Debug, Clone, Copy)]
struct Day {
    /// Its first moment.
    start: i64,
    /// The digits of year, month and day.
    date: [u8; 8],
}

impl Day {
    /// `None` if the year does not have four digits.
    fn of(time: Timestamp) -> Option<Self> {
        let (year, month, date) = time.date();
        let [[y1, y2], [y3, y4]] = match u64::try_from(year) {
            Ok(year @ ..=9999) => [two(year / 100), two(year % 100)],
            _ => return None,
        };
        let [[m1, m2], [d1, d2]] = [two(month.into()), two(date.into())];
        Some(Self {
            start: time.seconds().div_euclid(86_400) * 86_400_000_000,
            date: [y1, y2, y3, y4, m1, m2, d1, d2],
        })
    }

    /// Microseconds since it began; more than those of a day before it and after it.
    fn micros(self, time: Timestamp) -> u64 {
        time.micros().wrapping_sub(self.start).cast_unsigned()
    }
}

/// A quote within a quoted cell.
const QUOTE: &[u8] = b"\"\"";

/// The two decimal digits of each number below 100.
const TWO: [[u8; 2]; 100] = {
    let mut digits = [*b"00"; 100];
    let mut number = 0_u8;
    while number < 100 {
        digits[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    digits
};

/// Two decimal digits of a number below 100.
fn two(number: u64) -> [u8; 2] {
    let digits = usize::try_from(number).ok().and_then(|at| TWO.get(at));
    digits.copied().unwrap_or(*b"00")
}

#[inline]
pub(crate) fn push_int(out: &mut Vec<u8>, number: i64) {
    // Many of a call's numbers are zeros.
    if let Ok(digit @ ..=9) = u8::try_from(number) {
        out.push(b'0' + digit);
        return;
    }
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn push_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing to a Vec does not fail.
    let _ = write!(out, "{value}");
}

/// Bytes with every quote doubled.
fn push_doubled(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut from = 0;
    for quote in memchr::memchr_iter(b'"', bytes) {
        out.extend_from_slice(bytes.get(from..=quote).unwrap_or_default());
        from = quote;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
}

/// Whether RFC 4180 asks for quotes.
fn needs_quotes(bytes: &[u8]) -> bool {
    let asks = |byte: u8| matches!(byte, b'"' | b',' | b'\n' | b'\r');
    any_byte(bytes, asks, |word| {
        // Line ends are among the characters below 16; a text with any of them is checked byte by
        // byte.
        equal(word, b'"') | equal(word, b',') | below(word, 16) != 0
            && word.to_le_bytes().into_iter().any(asks)
    })
}

/// Whether JSON escapes anything: `"`, `\` and characters below the blank.
fn needs_escapes(bytes: &[u8]) -> bool {
    let escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    any_byte(bytes, escaped, |word| {
        equal(word, b'"') | equal(word, b'\\') | below(word, b' ') != 0
    })
}

/// Whether a byte is of some kind. Looks at eight of them at a time, because most texts are longer
/// than that and have none; the last eight may overlap those before them.
#[inline]
fn any_byte(bytes: &[u8], is: impl Fn(u8) -> bool, is_in: impl Fn(u64) -> bool) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().copied().any(is);
    };
    let (words, _) = bytes.as_chunks::<8>();
    let mut all = words.iter().chain([last]);
    all.any(|word| is_in(u64::from_le_bytes(*word)))
}

const ONES: u64 = u64::MAX / 255;

/// Nonzero exactly if a byte of the word is `byte`.
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}

/// Nonzero exactly if a byte of the word is below `bound`, which is at most 128.
fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(bound)) & !word & (ONES << 7)
}

/// Characters that are not shown: those that Unicode calls default ignorable, and
/// the marks of annotations.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a spreadsheet may run the text as a formula. Some skip what cannot be seen in front of
/// it, and some take the wide forms of the characters for the usual ones.
fn is_formula(text: &str) -> bool {
    let invisible = |c: char| c.is_whitespace() || c.is_control() || is_ignorable(c);
    text.starts_with(['\t', '\r', '\n'])
        || text.trim_start_matches(invisible).starts_with([
            '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ])
}

#[cfg(test)]
mod tests {
    use callmeter_plugin_sdk::batch::Decimal;
    use proptest::prelude::*;

    use super::*;

    fn cell(guard_formulas: bool, value: Value<'_>) -> String {
        let mut out = Vec::new();
        Cells::new(guard_formulas).push(&mut out, &value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_kind_of_value() {
        let time = Timestamp::from_micros(1_772_354_700_000_000);
        for (value, text) in [
            (Value::Null, ""),
            (Value::Text(""), "\"\""),
            (Value::Text("plain text"), "plain text"),
            (Value::Text("a,b"), "\"a,b\""),
            (Value::Text("said \"x\""), "\"said \"\"x\"\"\""),
            (Value::Text("two\r\nlines"), "\"two\r\nlines\""),
            (Value::Int(-7), "-7"),
            (Value::Float(0.5), "0.5"),
            (Value::Bool(true), "true"),
            (Value::Bool(false), "false"),
            (Value::Decimal(Decimal::new(12_500_000_000, 9)), "12.5"),
            (Value::Timestamp(time), "2026-03-01T08:45:00Z"),
        ] {
            assert_eq!(cell(false, value), text);
        }
    }

    #[test]
    fn formulas_are_guarded_when_asked() {
        for (text, guarded) in [
            ("=1+1", "\"'=1+1\""),
            ("+15551234", "\"'+15551234\""),
            ("-2", "\"'-2\""),
            ("@x", "\"'@x\""),
            ("\t=1", "\"'\t=1\""),
            ("=\"a\"", "\"'=\"\"a\"\"\""),
            ("\n=1+1", "\"'\n=1+1\""),
            ("\n", "\"'\n\""),
            (" \u{a0}=1", "\"' \u{a0}=1\""),
            ("\u{feff}\u{200b}@x", "\"'\u{feff}\u{200b}@x\""),
            ("\u{ff1d}1+1", "\"'\u{ff1d}1+1\""),
            ("\u{fff9}\u{fffb}=1", "\"'\u{fff9}\u{fffb}=1\""),
            (
                "\u{2060}\u{ad}\u{e0020}=1",
                "\"'\u{2060}\u{ad}\u{e0020}=1\"",
            ),
            (
                "\u{202e}\u{3164}\u{fe0f}-1",
                "\"'\u{202e}\u{3164}\u{fe0f}-1\"",
            ),
            ("a=1", "a=1"),
        ] {
            assert_eq!(cell(true, Value::Text(text)), guarded);
            assert_ne!(cell(false, Value::Text(text)).get(1..2), Some("'"));
        }
        assert_eq!(cell(true, Value::Int(-7)), "-7");
    }

    proptest! {
        #[test]
        fn a_text_comes_back_through_a_csv_reader(text in "[ -~\"\",\r\n\täß]{0,40}", guard: bool) {
            let line = format!("{},x\r\n", cell(guard, Value::Text(&text)));
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            let read = record.get(0).unwrap();
            let read = if guard && read != text { read.strip_prefix('\'').unwrap() } else { read };
            prop_assert_eq!(read, text);
            prop_assert_eq!(record.len(), 2);
        }

        #[test]
        fn times_are_those_of_the_sdk(micros in prop_oneof![any::<i64>(), 0..4_102_444_800_000_000_i64, (0..4_102_444_800_i64).prop_map(|s| s * 1_000_000)]) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(cell(false, Value::Timestamp(time)), time.to_string());
        }

        #[test]
        fn quotes_are_seen_in_every_place(bytes in prop::collection::vec(prop_oneof![8 => b' '..=b'~', 1 => any::<u8>(), 1 => prop::sample::select(&b"\",\r\n\t\\"[..])], 0..40)) {
            let needed = bytes.iter().any(|byte| b"\",\r\n".contains(byte));
            prop_assert_eq!(needs_quotes(&bytes), needed);
            let escaped = bytes.iter().any(|byte| *byte < b' ' || b"\"\\".contains(byte));
            prop_assert_eq!(needs_escapes(&bytes), escaped);
        }
    }
}
