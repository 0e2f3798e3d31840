//! An immutable snapshot of all values, for readers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use callmeter_records::CallField;

use crate::amount::Scale;
use crate::counted_call::Count;
use crate::families::FamilyId;
use crate::histogram::HistogramColumn;
use crate::hours::HourFigures;
use crate::label_text::LabelBlock;
use crate::table::{Amounts, CallCounts, CallTimes, CenterFigures, Chunk, ClientSums, Floats};
use crate::view::{View, time_of};

/// All values at one moment. Unchanged parts are shared with other snapshots.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(crate) parts: Vec<Arc<Part>>,
    pub(crate) view: Arc<View>,
}

/// The series of one account, or those of no account.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) counts: Vec<Arc<Chunk<CallCounts>>>,
    /// Histograms by client; empty unless they are shown.
    pub(crate) times: Vec<Arc<Chunk<CallTimes>>>,
    pub(crate) clients: Vec<Arc<Chunk<ClientSums>>>,
    pub(crate) centers: Vec<Arc<Chunk<CenterFigures>>>,
    pub(crate) hours: BTreeMap<i64, HourFigures>,
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
    /// What it shows.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The series of some accounts; an empty name stands for series of no account.
    #[must_use]
    pub fn only(&self, accounts: &BTreeSet<String>) -> Self {
        let parts = self.parts.iter();
        let parts = parts.filter(|part| accounts.contains(&part.name));
        Self {
            parts: parts.cloned().collect(),
            view: Arc::clone(&self.view),
        }
    }

    /// The accounts that are shown, and what they counted in each hour since 1970.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &BTreeMap<i64, HourFigures>)> {
        let parts = self.parts.iter().filter(|part| !part.name.is_empty());
        parts.map(|part| (part.name.as_str(), &part.hours))
    }

    /// The block of a family at `position`, which then advances; `None` after the last one.
    pub fn next_block(&self, family: FamilyId, position: &mut Position) -> Option<Block<'_>> {
        if !self.view.shows(family) {
            return None;
        }
        while let Some(part) = self.parts.get(position.part) {
            if let Some(block) = part.block(family, position.chunk, &self.view) {
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
        let label_sets = |family| self.blocks(family).map(|block| block.len()).sum::<usize>();
        FamilyId::ALL
            .iter()
            .map(|family| label_sets(*family) * self.view.series_of(*family))
            .sum()
    }
}

impl Part {
    /// How many of its label sets have a value that was shortened.
    pub(crate) fn shortened(&self) -> u64 {
        fn of<C>(chunks: &[Arc<Chunk<C>>]) -> u64 {
            chunks.iter().map(|chunk| chunk.labels.shortened()).sum()
        }
        let amounts = self.amounts.iter().map(|(_, chunks)| of(chunks));
        let floats = self.floats.iter().map(|(_, chunks)| of(chunks));
        of(&self.counts)
            + of(&self.times)
            + of(&self.clients)
            + of(&self.centers)
            + amounts.sum::<u64>()
            + floats.sum::<u64>()
    }

    fn block(&self, family: FamilyId, chunk: usize, view: &View) -> Option<Block<'_>> {
        if let Some(count) = count_of(family) {
            return match count {
                Count::Abandoned | Count::AnswerUnknown if !view.client_histograms => {
                    block(&self.centers, chunk, |figures| {
                        let column = figures.counts.columns.get(count as usize)?;
                        Some(Values::Integers(column))
                    })
                }
                _ => block(&self.counts, chunk, |counts| {
                    Some(Values::Integers(counts.columns.get(count as usize)?))
                }),
            };
        }
        if let Some(field) = sum_of(family) {
            return block(&self.clients, chunk, |sums| {
                let column = sums.columns.get(field.index())?;
                Some(Values::Amounts(column, Scale::Milli))
            });
        }
        if let Some(time) = time_of(family) {
            return if view.client_histograms {
                block(&self.times, chunk, |times| {
                    Some(Values::Histograms(times.columns.get(time.index())?))
                })
            } else {
                block(&self.centers, chunk, |figures| {
                    Some(Values::Histograms(figures.times.columns.get(time.index())?))
                })
            };
        }
        if let Some((_, chunks)) = self.amounts.iter().find(|(id, _)| *id == family) {
            return block(chunks, chunk, |amounts| {
                Some(Values::Amounts(&amounts.0, scale_of(family)))
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

fn block<'a, C>(
    chunks: &'a [Arc<Chunk<C>>],
    chunk: usize,
    values: impl FnOnce(&'a C) -> Option<Values<'a>>,
) -> Option<Block<'a>> {
    let chunk = chunks.get(chunk)?;
    Some(Block {
        labels: &chunk.labels,
        created: &chunk.created,
        values: values(&chunk.columns)?,
    })
}

fn count_of(family: FamilyId) -> Option<Count> {
    match family {
        FamilyId::Calls => Some(Count::Calls),
        FamilyId::CallsUnanswered => Some(Count::Unanswered),
        FamilyId::CallsAnswerUnknown => Some(Count::AnswerUnknown),
        FamilyId::CallsFlagged => Some(Count::Flagged),
        FamilyId::CallsAbandoned => Some(Count::Abandoned),
        _ => None,
    }
}

fn sum_of(family: FamilyId) -> Option<CallField> {
    match family {
        FamilyId::ClientDuration => Some(CallField::Duration),
        FamilyId::ClientTalk => Some(CallField::Talk),
        FamilyId::ClientRing => Some(CallField::Ring),
        FamilyId::ClientHold => Some(CallField::Hold),
        FamilyId::ClientTransfer => Some(CallField::Transfer),
        FamilyId::ClientWork => Some(CallField::Work),
        _ => None,
    }
}

fn scale_of(family: FamilyId) -> Scale {
    match family {
        FamilyId::Charges | FamilyId::ChargeCorrections => Scale::Nano,
        FamilyId::CallCorrectionsSeconds
        | FamilyId::OperatorTalk
        | FamilyId::OperatorCorrectionsSeconds => Scale::Milli,
        _ => Scale::One,
    }
}
