//! An immutable snapshot of all values, for readers.

use std::sync::Arc;

use callmeter_records::CallField;

use crate::amount::Scale;
use crate::counted_call::Count;
use crate::families::FamilyId;
use crate::histogram::{BUCKETS, HistogramColumn};
use crate::label_text::LabelBlock;
use crate::table::{Amounts, CallCounts, CallTimes, Chunk, Floats};

/// All values at one moment. Unchanged parts are shared with other snapshots.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(crate) parts: Vec<Arc<Part>>,
}

/// The series of one account, or those of no account.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) counts: Vec<Arc<Chunk<CallCounts>>>,
    pub(crate) times: Vec<Arc<Chunk<CallTimes>>>,
    pub(crate) amounts: Vec<(FamilyId, Vec<Arc<Chunk<Amounts>>>)>,
    pub(crate) floats: Vec<(FamilyId, Vec<Arc<Chunk<Floats>>>)>,
}

/// A run of series of one family.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// Their labels.
    pub labels: &'a LabelBlock,
    /// Since when each is counted, in microseconds since 1970; 0 if nothing was counted yet. Empty
    /// for gauges of floats.
    pub created: &'a [i64],
    /// Their values.
    pub values: Values<'a>,
}

impl Block<'_> {
    /// How many label sets it holds.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether it holds no label sets.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// The values of a block, one for each row of its labels.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Counts.
    Integers(&'a [u64]),
    /// Exact decimals.
    Amounts(&'a [i128], Scale),
    /// Floats.
    Floats(&'a [f64]),
    /// Histograms.
    Histograms(&'a HistogramColumn),
}

/// A position among the blocks of a family; the default is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    part: usize,
    chunk: usize,
}

impl Snapshot {
    /// The block of a family at `position`, which then advances; `None` after the last one.
    pub fn next_block(&self, family: FamilyId, position: &mut Position) -> Option<Block<'_>> {
        while let Some(part) = self.parts.get(position.part) {
            if let Some(block) = part.block(family, position.chunk) {
                position.chunk += 1;
                return Some(block);
            }
            position.part += 1;
            position.chunk = 0;
        }
        None
    }

    /// All blocks of a family.
    pub fn blocks(&self, family: FamilyId) -> impl Iterator<Item = Block<'_>> {
        let mut position = Position::default();
        std::iter::from_fn(move || self.next_block(family, &mut position))
    }

    /// The exact value of a series, or the sum of a histogram, by its label text as in
    /// [`LabelBlock::row`]. A linear search, for tests and tools.
    pub fn find(&self, family: FamilyId, labels: &str) -> Option<i128> {
        for block in self.blocks(family) {
            let Some(row) = (0..block.len()).find(|row| block.labels.row(*row) == labels) else {
                continue;
            };
            return match block.values {
                Values::Integers(values) => values.get(row).map(|value| i128::from(*value)),
                Values::Amounts(values, _) => values.get(row).copied(),
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "gauges that hold whole numbers"
                )]
                Values::Floats(values) => values.get(row).map(|value| *value as i128),
                Values::Histograms(column) => column.row(row).map(|row| row.sum_ms),
            };
        }
        None
    }

    /// The number of series that a server stores; a histogram counts as its buckets, sum and count.
    pub fn series(&self) -> usize {
        let of_row = |block: &Block<'_>| match block.values {
            Values::Histograms(_) => BUCKETS + 2,
            _ => 1,
        };
        FamilyId::ALL
            .iter()
            .flat_map(|family| self.blocks(*family))
            .map(|block| block.len() * of_row(&block))
            .sum()
    }
}

impl Part {
    /// How many of its label sets have a value that was shortened.
    pub(crate) fn shortened(&self) -> u64 {
        let counts = self.counts.iter().map(|chunk| &chunk.labels);
        let times = self.times.iter().map(|chunk| &chunk.labels);
        let amounts = self.amounts.iter().flat_map(|(_, chunks)| chunks);
        let floats = self.floats.iter().flat_map(|(_, chunks)| chunks);
        let amounts = amounts.map(|chunk| &chunk.labels);
        let floats = floats.map(|chunk| &chunk.labels);
        let all = counts.chain(times).chain(amounts).chain(floats);
        all.map(|labels| labels.shortened()).sum()
    }

    fn block(&self, family: FamilyId, chunk: usize) -> Option<Block<'_>> {
        if let Some(count) = count_of(family) {
            let chunk = self.counts.get(chunk)?;
            return Some(Block {
                labels: &chunk.labels,
                created: &chunk.created,
                values: Values::Integers(chunk.columns.columns.get(count as usize)?),
            });
        }
        if let Some(field) = field_of(family) {
            let chunk = self.times.get(chunk)?;
            return Some(Block {
                labels: &chunk.labels,
                created: &chunk.created,
                values: Values::Histograms(chunk.columns.columns.get(field.index())?),
            });
        }
        if let Some((_, chunks)) = self.amounts.iter().find(|(id, _)| *id == family) {
            let chunk = chunks.get(chunk)?;
            return Some(Block {
                labels: &chunk.labels,
                created: &chunk.created,
                values: Values::Amounts(&chunk.columns.0, scale_of(family)),
            });
        }
        let (_, chunks) = self.floats.iter().find(|(id, _)| *id == family)?;
        let chunk = chunks.get(chunk)?;
        Some(Block {
            labels: &chunk.labels,
            created: &[],
            values: Values::Floats(&chunk.columns.0),
        })
    }
}

fn count_of(family: FamilyId) -> Option<Count> {
    match family {
        FamilyId::Calls => Some(Count::Calls),
        FamilyId::CallsUnanswered => Some(Count::Unanswered),
        FamilyId::CallsAnswerUnknown => Some(Count::AnswerUnknown),
        FamilyId::CallsFlagged => Some(Count::Flagged),
        _ => None,
    }
}

fn field_of(family: FamilyId) -> Option<CallField> {
    match family {
        FamilyId::CallDuration => Some(CallField::Duration),
        FamilyId::CallTalk => Some(CallField::Talk),
        FamilyId::CallRing => Some(CallField::Ring),
        FamilyId::CallHold => Some(CallField::Hold),
        FamilyId::CallTransfer => Some(CallField::Transfer),
        FamilyId::CallWork => Some(CallField::Work),
        _ => None,
    }
}

fn scale_of(family: FamilyId) -> Scale {
    match family {
        FamilyId::CallCorrectionsSeconds => Scale::Milli,
        FamilyId::Charges | FamilyId::ChargeCorrections => Scale::Nano,
        _ => Scale::One,
    }
}
