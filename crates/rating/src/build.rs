//! Builds a deck from rows, and lists what is wrong with them.

use crate::deck::Deck;
use crate::digits::{Digits, IN_WORD};
use crate::entry::{Entries, Full};
use crate::intervals::Intervals;
use crate::normalise::Normaliser;
use crate::options::{DuplicatePrefix, Options, OptionsError};
use crate::row::{Row, ValueError};
use crate::tariff::{Tariff, range};

/// A deck, and what was wrong with its rows.
#[derive(Debug)]
pub struct Built {
    /// The deck.
    pub deck: Deck,
    /// The first thousand problems, in the order of the rows.
    pub problems: Vec<Problem>,
    /// Rows that are wrong: their prefix is not charged, or unknown.
    pub bad_rows: u64,
    /// Rows whose prefix an earlier row has.
    pub duplicates: u64,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row}{}: {kind}", display_prefix(prefix.as_deref()))]
pub struct Problem {
    /// The row, counted from 1.
    pub row: u64,
    /// Its prefix, as it was written.
    pub prefix: Option<String>,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// A kind of [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// There is no prefix, or nothing is left of it when it is normalised.
    #[error("it has no prefix; calls to it may be charged by a shorter prefix")]
    NoPrefix,
    /// The prefix has characters that numbers do not have.
    #[error("the prefix has other characters than numbers have; no call matches it")]
    PrefixCharacter,
    /// The prefix has more symbols than are compared.
    #[error("the prefix has more than {} symbols; no call matches it", Digits::MAX)]
    PrefixTooLong,
    /// A member has no value that can be used.
    #[error("{member} {error}{}; calls to this prefix are not charged", display_range(member, *error))]
    Value {
        /// The member.
        member: &'static str,
        /// Why it has none.
        error: ValueError,
    },
    /// An earlier row has the same prefix.
    #[error("row {first} has the same prefix; {}", display_kept(*resolved))]
    Duplicate {
        /// That row.
        first: u64,
        /// Which one counts.
        resolved: DuplicatePrefix,
    },
    /// The deck has more rates than fit.
    #[error("the deck has too many rates")]
    TooMany,
}

fn display_prefix(prefix: Option<&str>) -> String {
    prefix.map_or_else(String::new, |prefix| format!(" (prefix `{prefix}`)"))
}

fn display_range(member: &str, error: ValueError) -> String {
    if error == ValueError::OutOfRange {
        format!(" ({})", range(member))
    } else {
        String::new()
    }
}

fn display_kept(resolved: DuplicatePrefix) -> &'static str {
    match resolved {
        DuplicatePrefix::Last => "the last one counts",
        DuplicatePrefix::First => "the first one counts",
        DuplicatePrefix::Reject => "calls to this prefix are not charged",
    }
}

/// The most problems that are listed.
const LISTED: usize = 1000;

impl Deck {
    /// Builds a deck. A bad row is a problem in a list, not an error.
    ///
    /// A rate with a value that is missing or cannot be read keeps its prefix: calls to it are not
    /// charged, instead of being charged by a shorter prefix.
    pub fn build<'a>(
        rows: impl IntoIterator<Item = Row<'a>>,
        options: &Options,
    ) -> Result<Built, OptionsError> {
        options.check()?;
        let normaliser = Normaliser::new(&options.number)?;
        let rows = rows.into_iter();
        let mut builder = Builder::with_capacity(rows.size_hint().0);
        for row in rows {
            builder.add(&row, &normaliser);
        }
        Ok(builder.finish(options, normaliser))
    }
}

struct Builder {
    rows: u64,
    entries: Entries,
    /// Prefixes of up to 16 symbols: their symbols, length and entry, in this order of bits.
    short: Vec<u128>,
    /// Longer prefixes, and their entries.
    long: Vec<(Digits, u32)>,
    /// The row of each entry.
    row_of_entry: Vec<u64>,
    problems: Vec<Problem>,
    bad_rows: u64,
    duplicates: u64,
}

impl Builder {
    fn with_capacity(rows: usize) -> Self {
        // A size hint may be anything.
        let rows = rows.min(1 << 20);
        Self {
            rows: 0,
            entries: Entries::with_capacity(rows),
            short: Vec::with_capacity(rows),
            long: Vec::new(),
            row_of_entry: Vec::with_capacity(rows),
            problems: Vec::new(),
            bad_rows: 0,
            duplicates: 0,
        }
    }

    fn add(&mut self, row: &Row<'_>, normaliser: &Normaliser) {
        self.rows += 1;
        let prefix = match normaliser.read(row.prefix.unwrap_or_default()) {
            Ok((digits, _)) if digits.is_empty() => Err(ProblemKind::NoPrefix),
            Ok((_, true)) => Err(ProblemKind::PrefixTooLong),
            Ok((digits, false)) => Ok(digits),
            Err(_) => Err(ProblemKind::PrefixCharacter),
        };
        let prefix = match prefix {
            Ok(prefix) => prefix,
            Err(kind) => return self.bad_row(row, kind),
        };
        let tariff = match Tariff::of_row(row) {
            Ok(tariff) => Some(tariff),
            Err((member, error)) => {
                self.bad_row(row, ProblemKind::Value { member, error });
                None
            }
        };
        let length = u8::try_from(prefix.len()).unwrap_or(u8::MAX);
        let id = row.id.unwrap_or_default();
        let at = match self.entries.push(tariff, id, row.rate_type, length) {
            Ok(at) => at,
            Err(Full) => return self.bad_row(row, ProblemKind::TooMany),
        };
        self.row_of_entry.push(self.rows);
        if prefix.len() > IN_WORD {
            self.long.push((prefix, at));
        } else {
            let word = u128::from(prefix.first_word());
            self.short
                .push(word << 64 | u128::from(length) << 32 | u128::from(at));
        }
    }

    fn bad_row(&mut self, row: &Row<'_>, kind: ProblemKind) {
        self.bad_rows += 1;
        self.problem(Problem {
            row: self.rows,
            prefix: row.prefix.map(str::to_owned),
            kind,
        });
    }

    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < LISTED {
            self.problems.push(problem);
        }
    }

    fn finish(mut self, options: &Options, normaliser: Normaliser) -> Built {
        let prefixes = self.resolve(options.duplicate_prefix);
        self.problems.sort_by_key(|problem| problem.row);
        self.entries.shrink();
        let mut used = prefixes.iter().map(|(_, entry)| *entry);
        let deck = Deck {
            has_usable: used.any(|entry| self.entries.tariff(entry).is_ok()),
            intervals: Intervals::new(&prefixes),
            prefixes: prefixes.len(),
            entries: self.entries,
            normaliser,
            options: options.clone(),
        };
        Built {
            deck,
            problems: self.problems,
            bad_rows: self.bad_rows,
            duplicates: self.duplicates,
        }
    }

    /// One entry for each prefix, sorted.
    fn resolve(&mut self, resolved: DuplicatePrefix) -> Vec<(Digits, u32)> {
        self.short.sort_unstable();
        self.long.sort_unstable();
        let mut prefixes: Vec<(Digits, u32)> =
            Vec::with_capacity(self.short.len() + self.long.len());
        // Long ones may be anywhere between short ones in the order of numbers, but are apart in
        // the deck.
        let short = std::mem::take(&mut self.short);
        let long = std::mem::take(&mut self.long);
        let mut first = 0;
        for (prefix, entry) in short.into_iter().map(unpack).chain(long) {
            let Some(last) = prefixes.last_mut().filter(|last| last.0 == prefix) else {
                first = entry;
                prefixes.push((prefix, entry));
                continue;
            };
            match resolved {
                DuplicatePrefix::Last => last.1 = entry,
                DuplicatePrefix::First => {}
                DuplicatePrefix::Reject => self.entries.reject(last.1),
            }
            self.duplicates += 1;
            let row = |entry: u32| {
                let row = self.row_of_entry.get(entry as usize);
                row.copied().unwrap_or_default()
            };
            self.problem(Problem {
                row: row(entry),
                prefix: Some(prefix.to_string()),
                kind: ProblemKind::Duplicate {
                    first: row(first),
                    resolved,
                },
            });
        }
        prefixes
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each part has so many bits"
)]
fn unpack(packed: u128) -> (Digits, u32) {
    let prefix = Digits::of_word((packed >> 64) as u64, (packed >> 32) as u8);
    (prefix, packed as u32)
}
