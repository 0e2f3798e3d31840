//! Label text: written once when a series is created, and copied by every scrape.

use std::borrow::Cow;
use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_64;

/// The longest label value in bytes. A longer one is shortened, see [`bounded`].
pub const LONGEST_LABEL: usize = 256;

/// What is kept of a longer value: the rest is a `~` and 16 digits.
const KEPT: usize = LONGEST_LABEL - 17;

/// A label value of at most [`LONGEST_LABEL`] bytes. A longer text keeps its beginning; a hash of
/// the whole follows, so that two long texts stay different. The same text always gives the same
/// value.
pub fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_LABEL {
        return Cow::Borrowed(text);
    }
    let kept = text.get(..text.floor_char_boundary(KEPT));
    let hash = xxh3_64(text.as_bytes());
    Cow::Owned(format!("{}~{hash:016x}", kept.unwrap_or_default()))
}

/// Whether a label value may be one that was shortened: no other one is that long and ends so.
fn is_shortened(value: &str) -> bool {
    let hash = value.rsplit_once('~').map(|(_, hash)| hash.as_bytes());
    value.len() > KEPT
        && hash.is_some_and(|hash| hash.len() == 16 && hash.iter().all(u8::is_ascii_hexdigit))
}

/// The label texts of a chunk of rows, in one allocation.
///
/// A row's text is `account="acme",client_id="42"`, with the escaping of label values that the text
/// format and OpenMetrics share.
#[derive(Debug, Default)]
pub struct LabelBlock {
    text: String,
    ends: Vec<u32>,
    /// How many rows have a value that was shortened.
    shortened: u32,
    encoded: OnceLock<EncodedLabels>,
}

/// The same labels in another form, which an encoder makes once and keeps here. The meter does not
/// read them.
#[derive(Debug, Default)]
pub struct EncodedLabels {
    /// The bytes of all rows.
    pub bytes: Vec<u8>,
    /// The end of each row in `bytes`.
    pub ends: Vec<usize>,
}

impl EncodedLabels {
    /// The bytes of a row; empty if there is no such row.
    pub fn row(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = start.copied().unwrap_or(0);
        let end = self.ends.get(row).copied().unwrap_or(start);
        self.bytes.get(start..end).unwrap_or_default()
    }
}

impl Clone for LabelBlock {
    fn clone(&self) -> Self {
        // A block is cloned to be extended, which makes its encoded form outdated.
        Self {
            text: self.text.clone(),
            ends: self.ends.clone(),
            shortened: self.shortened,
            encoded: OnceLock::new(),
        }
    }
}

impl LabelBlock {
    /// How many rows it holds.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The label text of a row; empty if there is no such row.
    pub fn row(&self, row: usize) -> &str {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = start.copied().unwrap_or(0) as usize;
        let end = self.ends.get(row).map_or(start, |end| *end as usize);
        self.text.get(start..end).unwrap_or_default()
    }

    /// How many rows have a value that was shortened.
    pub(crate) fn shortened(&self) -> u64 {
        self.shortened.into()
    }

    /// Adds a row. Values may be any text; long ones are shortened.
    pub(crate) fn push(&mut self, names: &[&str], values: &[&str]) {
        debug_assert_eq!(names.len(), values.len());
        let mut is_any_shortened = false;
        for (place, (name, value)) in names.iter().zip(values).enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            self.text.push_str(name);
            self.text.push_str("=\"");
            let value = bounded(value);
            is_any_shortened |= is_shortened(&value);
            escape_into(&mut self.text, &value);
            self.text.push('"');
        }
        self.shortened += u32::from(is_any_shortened);
        // A chunk has at most a few hundred rows of bounded label values: far below 4 GiB.
        self.ends
            .push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        self.encoded = OnceLock::new();
    }

    /// Adds a row with a text that [`push`](Self::push) made, or a part of one.
    pub(crate) fn push_text(&mut self, text: &str) {
        self.text.push_str(text);
        self.shortened += u32::from(pairs(text).any(|(_, value)| is_shortened(&value)));
        self.ends
            .push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        self.encoded = OnceLock::new();
    }

    /// The encoded labels, which the first call makes.
    pub fn encoded(&self, make: impl FnOnce(&Self) -> EncodedLabels) -> &EncodedLabels {
        self.encoded.get_or_init(|| make(self))
    }

    /// Memory in bytes.
    pub(crate) fn resident_bytes(&self) -> usize {
        let encoded = self.encoded.get().map_or(0, |encoded| {
            encoded.bytes.capacity() + encoded.ends.capacity() * size_of::<usize>()
        });
        self.text.capacity() + self.ends.capacity() * size_of::<u32>() + encoded
    }
}

/// The name and value of each label in a row's text.
pub fn pairs(row: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = row;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once("=\"")?;
        let end = end_of_value(after)?;
        let value = unescape(after.get(..end)?);
        rest = after.get(end + 1..).unwrap_or_default();
        rest = rest.strip_prefix(',').unwrap_or(rest);
        Some((name, value))
    })
}

/// The text of a row without some of its labels.
pub(crate) fn without_labels(row: &str, left_out: &[&str]) -> String {
    let mut kept = String::with_capacity(row.len());
    let mut rest = row;
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some(end) = end_of_value(after) else {
            break;
        };
        let length = name.len() + 2 + end + 1;
        if !left_out.contains(&name) {
            if !kept.is_empty() {
                kept.push(',');
            }
            kept.push_str(rest.get(..length).unwrap_or_default());
        }
        rest = rest.get(length..).unwrap_or_default();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    kept
}

/// The index of the quote that ends a value: the first unescaped one.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn escape_into(text: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        let (plain, special) = rest.split_at(at);
        text.push_str(plain);
        text.push_str(match special.as_bytes().first() {
            Some(b'\\') => "\\\\",
            Some(b'"') => "\\\"",
            _ => "\\n",
        });
        rest = special.get(1..).unwrap_or_default();
    }
    text.push_str(rest);
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn special_characters_are_escaped() {
        let mut block = LabelBlock::default();
        block.push(&["a", "b"], &["x", "q\"uo\\te\nline"]);
        block.push(&["a", "b"], &["", "é"]);
        assert_eq!(block.row(0), r#"a="x",b="q\"uo\\te\nline""#);
        assert_eq!(block.row(1), r#"a="",b="é""#);
        assert_eq!(block.row(2), "");
    }

    #[test]
    fn a_long_value_is_shortened_and_stays_different() {
        let mut block = LabelBlock::default();
        let fits = "x".repeat(LONGEST_LABEL);
        let (one, other) = (format!("{fits}1"), format!("{fits}2"));
        for value in [&fits, &one, &other] {
            block.push(&["id"], &[value]);
        }
        assert_eq!(block.row(0), format!("id=\"{fits}\""));
        assert_ne!(block.row(1), block.row(2));
        assert_eq!(block.shortened(), 2);
        // The value is part of the name of a series: it must not change with a version.
        let beginning = "x".repeat(239);
        assert_eq!(bounded(&one), format!("{beginning}~dbacdd01aa34fee1"));
        assert_eq!(bounded(&bounded(&one)), bounded(&one));
        for text in ["ü".repeat(1_000), "€".repeat(1_000), "\n".repeat(1_000)] {
            assert!((238..=LONGEST_LABEL).contains(&bounded(&text).len()));
        }
    }

    #[test]
    fn labels_are_left_out_of_a_text() {
        let row = r#"account="a,b=\"c\"",client_id="\\",direction="incoming""#;
        let left = |labels: &[&str]| without_labels(row, labels);
        assert_eq!(left(&[]), row);
        assert_eq!(left(&["client_id", "direction"]), r#"account="a,b=\"c\"""#);
        assert_eq!(left(&["account", "client_id"]), r#"direction="incoming""#);
        assert_eq!(left(&["account", "client_id", "direction"]), "");
    }

    proptest! {
        #[test]
        fn pairs_read_back_what_push_wrote(values in proptest::collection::vec("(\\PC|[\\\\\"\n,=}{])*", 3)) {
            let mut block = LabelBlock::default();
            block.push(&["zero"], &["first row"]);
            let borrowed: Vec<&str> = values.iter().map(String::as_str).collect();
            block.push(&["one", "two", "three"], &borrowed);
            let read: Vec<_> = pairs(block.row(1)).collect();
            prop_assert_eq!(read.len(), 3);
            for ((name, value), (wrote_name, wrote)) in read.iter().zip(["one", "two", "three"].iter().zip(&values)) {
                prop_assert_eq!(name, wrote_name);
                prop_assert_eq!(value.as_ref(), wrote.as_str());
            }
        }
    }
}
