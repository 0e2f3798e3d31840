//! The longest prefix of a number, found with few looks into memory.
//!
//! The numbers that start with a prefix are an interval of all numbers, and intervals of two
//! prefixes either contain each other or are apart. So all prefixes together cut the numbers into
//! pieces, each of which has one longest prefix.
//!
//! The first four symbols of a number select a [`Part`]. In most parts no prefix starts or ends.
//! The pieces of the others are sorted and lie in blocks of a cache line; the next symbols, as many
//! as the part needs, lead through `slots` to one or two blocks. Longer prefixes than 12 symbols
//! are rare and searched one length at a time.

use crate::digits::{Digits, IN_WORD};

/// The pieces of all numbers.
#[derive(Debug)]
pub(crate) struct Intervals {
    /// For each value of the first four symbols.
    parts: Vec<Part>,
    /// For each value of the next bits of a number, the block with the first number that has them;
    /// after the last value of a part, its last block.
    slots: Vec<u32>,
    /// The first start of each block.
    heads: Vec<u32>,
    blocks: Vec<Block>,
    /// Prefixes of more than 12 symbols, sorted.
    long: Vec<(Digits, u32)>,
    /// The lengths of these, longest first.
    long_lengths: Vec<usize>,
}

/// The numbers with the same first four symbols.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The first slot; without slots, the entry of all these numbers.
    at: u32,
    /// The bits of a [`Low`] that the slots do not see; [`NO_SLOTS`] if there are none.
    shift: u32,
}

const NO_SLOTS: u32 = u32::MAX;

/// As many pieces as a line of the processor's cache holds.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block {
    starts: [Low; IN_BLOCK],
    /// The entry of each piece; [`NONE`] where no prefix matches.
    entries: [u32; IN_BLOCK],
}

const IN_BLOCK: usize = 8;
const NONE: u32 = u32::MAX;

/// The fifth to the twelfth symbol.
type Low = u32;

/// The symbols that parts and starts see.
const SHORT: usize = 12;
/// The bits after the first four symbols.
const PART_BITS: u32 = 48;

fn part_of(word: u64) -> usize {
    // Sixteen bits.
    usize::try_from(word >> PART_BITS).unwrap_or(usize::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the first four symbols are left out"
)]
fn low_of(word: u64) -> Low {
    (word >> 16) as Low
}

impl Intervals {
    /// The pieces of different prefixes. Those of up to 12 symbols are sorted.
    pub(crate) fn new(prefixes: &[(Digits, u32)]) -> Self {
        let mut pieces = Pieces::with_capacity(prefixes.len());
        let mut long = Vec::new();
        let mut long_lengths = Vec::new();
        for (prefix, entry) in prefixes {
            if prefix.len() > SHORT {
                long.push((*prefix, *entry));
                long_lengths.push(prefix.len());
            } else {
                pieces.add(prefix, *entry);
            }
        }
        long.sort_unstable();
        long_lengths.sort_unstable_by(|one, other| other.cmp(one));
        long_lengths.dedup();
        pieces.close_until(u64::MAX);
        let mut intervals = Self {
            parts: Vec::with_capacity(1 << (u64::BITS - PART_BITS)),
            slots: Vec::new(),
            heads: Vec::with_capacity(pieces.starts.len() / IN_BLOCK),
            blocks: Vec::with_capacity(pieces.starts.len() / IN_BLOCK),
            long,
            long_lengths,
        };
        intervals.add_parts(&pieces);
        intervals.slots.shrink_to_fit();
        intervals.heads.shrink_to_fit();
        intervals.blocks.shrink_to_fit();
        intervals
    }

    fn add_parts(&mut self, pieces: &Pieces) {
        let mut rest = pieces.starts.iter().zip(&pieces.entries).peekable();
        let mut entry = NONE;
        let mut part = Vec::new();
        for number in 0..1_usize << (u64::BITS - PART_BITS) {
            part.clear();
            part.push((0, entry));
            while let Some((start, next)) = rest.next_if(|(start, _)| part_of(**start) == number) {
                entry = *next;
                if low_of(*start) == 0 {
                    // The part starts with it.
                    part.clear();
                }
                part.push((low_of(*start), entry));
            }
            let added = match part.as_slice() {
                [(_, all)] => Part {
                    at: *all,
                    shift: NO_SLOTS,
                },
                several => self.add_part(several),
            };
            self.parts.push(added);
        }
    }

    /// Adds the pieces of a part, of which the first starts with it.
    fn add_part(&mut self, pieces: &[(Low, u32)]) -> Part {
        let first = self.blocks.len();
        for some in pieces.chunks(IN_BLOCK) {
            let mut block = Block {
                // No number is that large.
                starts: [Low::MAX; IN_BLOCK],
                entries: [NONE; IN_BLOCK],
            };
            let places = block.starts.iter_mut().zip(&mut block.entries);
            for ((start, entry), piece) in places.zip(some) {
                (*start, *entry) = *piece;
            }
            self.heads.push(block.starts[0]);
            self.blocks.push(block);
        }
        let blocks = self.blocks.len() - first;
        // Symbols have sixteen values and numbers use ten, so many slots are never asked for.
        let bits = match blocks {
            1 => 0,
            _ => (blocks.ilog2() + 3).min(Low::BITS),
        };
        let at = u32::try_from(self.slots.len()).unwrap_or(NONE);
        let shift = Low::BITS - bits;
        let mut block = first;
        for slot in 0..1_u64 << bits {
            let starts_at = slot << shift;
            let next_starts = |block: usize| {
                let next = self.heads.get(block + 1);
                next.is_some_and(|head| u64::from(*head) <= starts_at)
            };
            while next_starts(block) {
                block += 1;
            }
            self.slots.push(u32::try_from(block).unwrap_or(NONE));
        }
        let last = self.blocks.len() - 1;
        self.slots.push(u32::try_from(last).unwrap_or(NONE));
        Part { at, shift }
    }

    /// The entry of the longest prefix of a number.
    #[inline]
    pub(crate) fn find(&self, number: &Digits) -> Option<u32> {
        if number.len() > SHORT && !self.long.is_empty() {
            let found = self.find_long(number);
            if found.is_some() {
                return found;
            }
        }
        let word = number.first_word();
        let part = self.parts.get(part_of(word))?;
        if part.shift == NO_SLOTS {
            return Some(part.at).filter(|entry| *entry != NONE);
        }
        let low = low_of(word);
        let slot = usize::try_from(u64::from(part.at) + (u64::from(low) >> part.shift)).ok()?;
        let (first, last) = match *self.slots.get(slot..slot + 2)? {
            [first, last] => (first as usize, last as usize),
            _ => return None,
        };
        let at = if last - first <= 1 {
            // Without a branch: it could not be predicted.
            let is_last = (last != first) & (*self.heads.get(last)? <= low);
            first + usize::from(is_last)
        } else {
            let heads = self.heads.get(first + 1..=last)?;
            first + heads.partition_point(|head| *head <= low)
        };
        let block = self.blocks.get(at)?;
        let before: usize = block
            .starts
            .iter()
            .map(|start| usize::from(*start <= low))
            .sum();
        let entry = block.entries.get(before.checked_sub(1)?);
        entry.copied().filter(|entry| *entry != NONE)
    }

    #[cold]
    fn find_long(&self, number: &Digits) -> Option<u32> {
        let lengths = self.long_lengths.iter();
        lengths
            .filter(|length| **length <= number.len())
            .find_map(|length| {
                let prefix = number.prefix(*length);
                let at = self.long.binary_search_by_key(&prefix, |(long, _)| *long);
                self.long.get(at.ok()?).map(|(_, entry)| *entry)
            })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.parts.capacity() * size_of::<Part>()
            + self.slots.capacity() * size_of::<u32>()
            + self.heads.capacity() * size_of::<Low>()
            + self.blocks.capacity() * size_of::<Block>()
            + self.long.capacity() * size_of::<(Digits, u32)>()
            + self.long_lengths.capacity() * size_of::<usize>()
    }
}

/// Cuts the numbers at the starts and ends of prefixes.
struct Pieces {
    starts: Vec<u64>,
    entries: Vec<u32>,
    /// The prefixes that contain the last one, each with its end.
    open: Vec<(u64, u32)>,
}

impl Pieces {
    fn with_capacity(prefixes: usize) -> Self {
        Self {
            starts: Vec::with_capacity(prefixes * 2),
            entries: Vec::with_capacity(prefixes * 2),
            open: Vec::new(),
        }
    }

    fn add(&mut self, prefix: &Digits, entry: u32) {
        let start = prefix.first_word();
        self.close_until(start);
        self.cut(start, entry);
        let unused = (IN_WORD - prefix.len().min(IN_WORD)) * 4;
        self.open.push((start.saturating_add(1 << unused), entry));
    }

    /// Ends the prefixes that end before `start` or there.
    fn close_until(&mut self, start: u64) {
        while let Some((end, _)) = self.open.last().copied().filter(|(end, _)| *end <= start) {
            self.open.pop();
            let around = self.open.last().map_or(NONE, |(_, entry)| *entry);
            self.cut(end, around);
        }
    }

    fn cut(&mut self, start: u64, entry: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.entries.pop();
        }
        if self.entries.last() != Some(&entry) {
            self.starts.push(start);
            self.entries.push(entry);
        }
    }
}
