//! The longest prefix of a number, found by one binary search.
//!
//! The numbers that start with a prefix are an interval of all numbers, and intervals of two
//! prefixes either contain each other or are apart. So all prefixes together cut the numbers into
//! pieces, each of which has one longest prefix. The pieces are sorted and stored in blocks of a
//! cache line; an index by the first four symbols leaves few blocks to search. Longer prefixes than
//! 16 symbols are rare and searched one length at a time.

use crate::digits::{Digits, IN_WORD};

/// The pieces of all numbers.
#[derive(Debug)]
pub(crate) struct Intervals {
    /// The pieces, in order.
    blocks: Vec<Block>,
    /// The first start of each block.
    heads: Vec<u64>,
    /// For each value of the first four symbols, the first block that starts there or later.
    index: Vec<u32>,
    /// Prefixes of more than 16 symbols, sorted.
    long: Vec<(Digits, u32)>,
    /// The lengths of these, longest first.
    long_lengths: Vec<usize>,
}

/// As many pieces as a line of the processor's cache holds.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block {
    starts: [u64; IN_BLOCK],
    /// The entry of each piece; [`NONE`] where no prefix matches.
    entries: [u32; IN_BLOCK],
}

const IN_BLOCK: usize = 5;
const NONE: u32 = u32::MAX;
/// The bits of a start that the index does not see.
const UNINDEXED: u32 = 48;

impl Intervals {
    /// The pieces of different prefixes, which are sorted.
    pub(crate) fn new(prefixes: &[(Digits, u32)]) -> Self {
        let mut pieces = Pieces::with_capacity(prefixes.len());
        let mut long = Vec::new();
        let mut long_lengths = Vec::new();
        for (prefix, entry) in prefixes {
            if prefix.len() > IN_WORD {
                long.push((*prefix, *entry));
                long_lengths.push(prefix.len());
            } else {
                pieces.add(prefix, *entry);
            }
        }
        long_lengths.sort_unstable_by(|one, other| other.cmp(one));
        long_lengths.dedup();
        let blocks = pieces.finish();
        let heads: Vec<u64> = blocks.iter().map(|block| block.starts[0]).collect();
        Self {
            index: index(&heads),
            heads,
            blocks,
            long,
            long_lengths,
        }
    }

    /// The entry of the longest prefix of a number.
    pub(crate) fn find(&self, number: &Digits) -> Option<u32> {
        if number.len() > IN_WORD && !self.long.is_empty() {
            let found = self.find_long(number);
            if found.is_some() {
                return found;
            }
        }
        let key = number.first_word();
        let bucket = usize::try_from(key >> UNINDEXED).ok()?;
        let from = *self.index.get(bucket)? as usize;
        let to = *self.index.get(bucket + 1)? as usize;
        let heads = self.heads.get(from..to)?;
        let at = (from + heads.partition_point(|head| *head <= key)).checked_sub(1)?;
        let block = self.blocks.get(at)?;
        let before = block.starts.iter().filter(|start| **start <= key).count();
        let entry = block.entries.get(before.checked_sub(1)?);
        entry.copied().filter(|entry| *entry != NONE)
    }

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
        self.blocks.capacity() * size_of::<Block>()
            + self.heads.capacity() * size_of::<u64>()
            + self.index.capacity() * size_of::<u32>()
            + self.long.capacity() * size_of::<(Digits, u32)>()
            + self.long_lengths.capacity() * size_of::<usize>()
    }
}

fn index(heads: &[u64]) -> Vec<u32> {
    // As many as four symbols have values, and one more, which has no block.
    let buckets = 1 << (u64::BITS - UNINDEXED);
    let mut index = Vec::with_capacity(buckets + 1);
    let mut next = 0;
    for bucket in 0..=buckets as u64 {
        while heads
            .get(next)
            .is_some_and(|head| head >> UNINDEXED < bucket)
        {
            next += 1;
        }
        index.push(u32::try_from(next).unwrap_or(NONE));
    }
    index
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

    fn finish(mut self) -> Vec<Block> {
        self.close_until(u64::MAX);
        let blocks = self
            .starts
            .chunks(IN_BLOCK)
            .zip(self.entries.chunks(IN_BLOCK));
        let block = |(starts, entries): (&[u64], &[u32])| {
            let mut block = Block {
                // No number is that large.
                starts: [u64::MAX; IN_BLOCK],
                entries: [NONE; IN_BLOCK],
            };
            for (place, start) in block.starts.iter_mut().zip(starts) {
                *place = *start;
            }
            for (place, entry) in block.entries.iter_mut().zip(entries) {
                *place = *entry;
            }
            block
        };
        blocks.map(block).collect()
    }
}
