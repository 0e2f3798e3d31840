//! Texts: each by itself, or a dictionary if many of them are the same.
//!
//! Layout: the number of entries of the dictionary (`u16` little-endian; 0: none), the lengths of
//! the entries (of the texts, if there is no dictionary), their bytes. Then comes the entry of each
//! text: nothing if there is one, `u8` if there are at most 256, `u16` if there are more.

use arrow_array::{Array as _, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

use super::input::{Input, Read};
use super::integers;

/// Texts of which more than half are different are written each by itself. Their first ones show
/// it.
const TRIED: usize = 256;

/// Writes columns of texts. Its buffers are used again for each.
#[derive(Default)]
pub(super) struct TextWriter {
    /// The numbers of the entries, by their texts.
    index: HashTable<u16>,
    /// A row of each entry.
    entries: Vec<usize>,
    /// The entry of each text.
    codes: Vec<u16>,
    lengths: Vec<i64>,
    near: NearEntries,
}

impl TextWriter {
    /// Writes the texts of all rows that are not null.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, texts: &StringArray) {
        if self.find_entries(texts) {
            let count = u16::try_from(self.entries.len()).unwrap_or(0);
            out.extend_from_slice(&count.to_le_bytes());
            self.lengths.clear();
            for row in &self.entries {
                self.lengths.push(length(texts.value(*row)));
            }
            integers::write(out, &mut self.lengths);
            for row in &self.entries {
                out.extend_from_slice(texts.value(*row).as_bytes());
            }
            match count {
                0 | 1 => {}
                2..=256 => out.extend(self.codes.iter().map(|code| code.to_le_bytes()[0])),
                _ => out.extend(self.codes.iter().flat_map(|code| code.to_le_bytes())),
            }
        } else {
            out.extend_from_slice(&0_u16.to_le_bytes());
            self.lengths.clear();
            self.lengths.extend(texts.iter().flatten().map(length));
            integers::write(out, &mut self.lengths);
            match texts.nulls() {
                Some(_) => texts
                    .iter()
                    .flatten()
                    .for_each(|text| out.extend_from_slice(text.as_bytes())),
                None => out.extend_from_slice(joined(texts)),
            }
        }
    }

    /// Makes the dictionary; false if it does not pay.
    fn find_entries(&mut self, texts: &StringArray) -> bool {
        self.index.clear();
        self.entries.clear();
        self.codes.clear();
        self.near.clear(texts.len());
        let mut last: Option<(&[u8], u16)> = None;
        for (row, text) in bytes_of(texts).enumerate() {
            if texts.is_null(row) {
                continue;
            }
            // Neighbours are often the same.
            if let Some((same, code)) = last
                && same == text
            {
                self.codes.push(code);
                continue;
            }
            let entry_of = |entries: &[usize], code: u16| {
                let row = entries.get(usize::from(code));
                row.map_or(&[][..], |row| texts.value(*row).as_bytes())
            };
            let near = self.near.place(text);
            if let Some(code) = self.near.get(near)
                && entry_of(&self.entries, code) == text
            {
                self.codes.push(code);
                last = Some((text, code));
                continue;
            }
            let known = self.entries.len();
            if known > TRIED.max(self.codes.len()) / 2 + TRIED / 2 {
                return false;
            }
            let entries = &self.entries;
            let entry = self.index.entry(
                xxh3_64(text),
                |code| entry_of(entries, *code) == text,
                |code| xxh3_64(entry_of(entries, *code)),
            );
            let code = match entry {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(free) => {
                    // 0 entries stand for no dictionary.
                    let Some(code) = u16::try_from(known).ok().filter(|code| *code < u16::MAX)
                    else {
                        return false;
                    };
                    free.insert(code);
                    self.entries.push(row);
                    code
                }
            };
            self.codes.push(code);
            self.near.set(near, code);
            last = Some((text, code));
        }
        !self.entries.is_empty()
    }
}

/// The entries that were used last, by a few bytes of their texts: most texts of a dictionary are
/// found here, without a hash of all their bytes. Others are found by the hash,
/// so that texts that share these bytes do no harm.
#[derive(Default)]
struct NearEntries {
    /// The entry of each place; `u16::MAX` is none.
    codes: Vec<u16>,
}

impl NearEntries {
    /// More places than most dictionaries have entries.
    const MOST: usize = 2_048;

    /// Forgets all, and makes room for the entries of so many texts.
    fn clear(&mut self, texts: usize) {
        self.codes.clear();
        let places = texts.next_power_of_two().min(Self::MOST);
        self.codes.resize(places, u16::MAX);
    }

    /// The place of a text: made of its length, its first eight bytes and its last eight.
    #[inline]
    fn place(&self, text: &[u8]) -> usize {
        const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
        let ends = match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => {
                u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
            }
            _ => text
                .iter()
                .fold(0, |all, byte| (all << 8) | u64::from(*byte)),
        };
        let mixed = (ends ^ text.len() as u64).wrapping_mul(MIX);
        // The upper half is mixed best.
        usize::try_from(mixed >> 32).unwrap_or(0) & self.codes.len().wrapping_sub(1)
    }

    #[inline]
    fn get(&self, place: usize) -> Option<u16> {
        self.codes
            .get(place)
            .copied()
            .filter(|code| *code != u16::MAX)
    }

    #[inline]
    fn set(&mut self, place: usize, code: u16) {
        if let Some(slot) = self.codes.get_mut(place) {
            *slot = code;
        }
    }
}

/// The bytes of each text; none for a null.
fn bytes_of(texts: &StringArray) -> impl Iterator<Item = &[u8]> {
    // Offsets are not negative. As unsigned numbers, which takes no check.
    let place = |offset: &i32| usize::try_from(offset.cast_unsigned()).unwrap_or(usize::MAX);
    let bytes = texts.value_data();
    let mut places = texts.value_offsets().iter().map(place);
    let mut from = places.next().unwrap_or(0);
    places.map(move |to| {
        let text = bytes.get(from..to).unwrap_or_default();
        from = to;
        text
    })
}

fn length(text: &str) -> i64 {
    // No text in memory is that long.
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// The bytes of all texts.
fn joined(texts: &StringArray) -> &[u8] {
    let place = |offset: Option<&i32>| offset.and_then(|place| usize::try_from(*place).ok());
    let offsets = texts.value_offsets();
    let (first, last) = (place(offsets.first()), place(offsets.last()));
    let range = first.unwrap_or(0)..last.unwrap_or(0);
    texts.value_data().get(range).unwrap_or_default()
}

/// Reads the texts of the rows that are not null.
pub(super) fn read(
    input: &mut Input<'_>,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Read<StringArray> {
    let valid = rows - nulls.as_ref().map_or(0, NullBuffer::null_count);
    let count = usize::from(u16::from_le_bytes(input.array()?));
    let entries = Entries::read(input, if count == 0 { valid } else { count })?;
    let codes = match count {
        0 | 1 => &[],
        2..=256 => input.bytes(valid)?,
        _ => input.bytes(valid.saturating_mul(2))?,
    };
    let mut texts = TextBuilder::new(input, rows)?;
    let mut next = 0;
    for row in 0..rows {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            texts.end();
            continue;
        }
        let entry = match count {
            0 => next,
            1 => 0,
            2..=256 => codes
                .get(next)
                .map_or(usize::MAX, |code| usize::from(*code)),
            _ => {
                let code = codes.as_chunks::<2>().0.get(next);
                code.map_or(usize::MAX, |code| usize::from(u16::from_le_bytes(*code)))
            }
        };
        let Some(text) = entries.get(entry) else {
            return input.fault("an entry that the dictionary does not have");
        };
        texts.push(input, text)?;
        next += 1;
    }
    texts.finish(nulls)
}

/// The entries of a dictionary.
struct Entries<'b> {
    ends: Vec<usize>,
    bytes: &'b [u8],
}

impl<'b> Entries<'b> {
    fn read(input: &mut Input<'b>, count: usize) -> Read<Self> {
        let mut end = 0_usize;
        let mut ends = Vec::new();
        for length in integers::read(input, count)? {
            let length = usize::try_from(length).ok();
            match length.and_then(|length| end.checked_add(length)) {
                Some(sum) => end = sum,
                None => return input.fault("an impossible length of a text"),
            }
            ends.push(end);
        }
        let bytes = input.bytes(end)?;
        Ok(Self { ends, bytes })
    }

    fn get(&self, entry: usize) -> Option<&'b [u8]> {
        let end = *self.ends.get(entry)?;
        let before = entry
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        self.bytes.get(before.copied().unwrap_or(0)..end)
    }
}

/// Joins the texts of a column.
struct TextBuilder {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl TextBuilder {
    fn new(input: &mut Input<'_>, rows: usize) -> Read<Self> {
        input.allocate(rows.saturating_mul(4))?;
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Ok(Self {
            offsets,
            bytes: Vec::new(),
        })
    }

    fn push(&mut self, input: &mut Input<'_>, text: &[u8]) -> Read<()> {
        input.allocate(text.len())?;
        self.bytes.extend_from_slice(text);
        self.end();
        Ok(())
    }

    /// Ends the text of a row.
    fn end(&mut self) {
        // `Input` allocates fewer than 2³¹ bytes.
        self.offsets
            .push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }

    fn finish(self, nulls: Option<NullBuffer>) -> Read<StringArray> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        StringArray::try_new(offsets, Buffer::from(self.bytes), nulls)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Texts that differ only in the middle share a place among the near entries.
        #[test]
        fn texts_come_back(
            texts in prop::collection::vec(prop_oneof![
                "[a-c]{0,3}",
                "first 8 b[a-h]{1,2} bytes",
                (0_u16..40).prop_map(|number| format!("same ends {number:04} same ends")),
            ], 0..1_500),
            repeated in 1_usize..4,
        ) {
            let array = StringArray::from_iter_values(vec![texts; repeated].concat());
            let (mut out, mut writer) = (Vec::new(), TextWriter::default());
            writer.write(&mut out, &array);
            let once = out.clone();
            writer.write(&mut out, &array);
            prop_assert_eq!(once.repeat(2), &out[..]);
            let mut input = Input::new(&once);
            prop_assert_eq!(read(&mut input, array.len(), None).ok(), Some(array));
            prop_assert!(input.is_empty());
        }
    }

    #[test]
    fn texts_that_share_their_ends_are_a_dictionary() {
        let texts: Vec<_> = (0..10_000)
            .map(|number| format!("same ends {:04} same ends", number % 100))
            .collect();
        let mut out = Vec::new();
        TextWriter::default().write(&mut out, &StringArray::from(texts));
        assert!(out.len() < 13_000, "{} bytes", out.len());
    }
}
