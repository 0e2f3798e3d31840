//! Calls by who answered them. They are counted only if the configuration asks for it: names of
//! people are personal data.

use std::collections::BTreeMap;

use crate::counted_call::{CallTime, CountedCall};
use crate::families::FamilyId;
use crate::folding::{FOLDED_ID, FoldGroup, Folded, Limits};
use crate::series_tables::Keyed;
use callmeter_records::CallField;

/// The figures of an account's operators. Calls and milliseconds of talk, each with the signed
/// changes that edits make.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operators {
    account: String,
    /// The `sequence` of the call that was counted first under each name. Calls of an operator that
    /// were counted before were folded.
    pub(crate) since: BTreeMap<Box<str>, i64>,
    pub(crate) tables: [Keyed<Box<str>>; 4],
}

/// The families of [`Operators::tables`].
pub(crate) const FAMILIES: [FamilyId; 4] = [
    FamilyId::OperatorCalls,
    FamilyId::OperatorTalk,
    FamilyId::OperatorCorrectionsCalls,
    FamilyId::OperatorCorrectionsSeconds,
];

const CALLS: usize = 0;
const TALK: usize = 1;
/// From a counter to its corrections.
const CORRECTED: usize = 2;

impl Operators {
    pub(crate) fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            since: BTreeMap::new(),
            tables: Default::default(),
        }
    }

    /// Counts a call that is seen for the first time.
    pub(crate) fn count(
        &mut self,
        call: &CountedCall<'_>,
        since: Option<i64>,
        limits: Limits,
        folded: &mut Folded,
    ) {
        if let Some(name) = self.name(call, limits, folded) {
            self.add(CALLS, &name, since, 1);
            self.add(TALK, &name, since, talk(call).unwrap_or(0));
        }
    }

    /// Counts an edit. What was counted before is corrected.
    pub(crate) fn revise(
        &mut self,
        before: &CountedCall<'_>,
        after: &CountedCall<'_>,
        since: Option<i64>,
        limits: Limits,
        folded: &mut Folded,
    ) {
        if !before.rules.operators {
            self.count(after, since, limits, folded);
            return;
        }
        let from = before.answered_by.map(|operator| {
            let first = self.since.get(operator);
            let own = first.is_some_and(|first| *first <= before.rules.sequence);
            Box::from(if own { operator } else { FOLDED_ID })
        });
        let to: Option<Box<str>> = self.name(after, limits, folded);
        if let (Some(name), true) = (&to, from == to) {
            match (talk(before), talk(after)) {
                (None, Some(now)) => self.add(TALK, name, since, now),
                (Some(then), Some(now)) if then != now => {
                    self.add(TALK + CORRECTED, name, None, now - then);
                }
                _ => {}
            }
            return;
        }
        if let Some(name) = from {
            let talk = talk(before).unwrap_or_default();
            self.add(CALLS + CORRECTED, &name, None, -1);
            self.add(TALK + CORRECTED, &name, None, -talk);
        }
        if let Some(name) = to {
            self.add(CALLS, &name, since, 1);
            self.add(TALK, &name, since, talk(after).unwrap_or(0));
        }
    }

    /// The name to count a call under: that of its operator, or beyond the cap the common one.
    fn name(
        &mut self,
        call: &CountedCall<'_>,
        limits: Limits,
        folded: &mut Folded,
    ) -> Option<Box<str>> {
        let operator = call.answered_by?;
        let is_known = || operator == FOLDED_ID || self.since.contains_key(operator);
        let name = if folded.folds(FoldGroup::Operators, limits, self.since.len(), is_known) {
            FOLDED_ID
        } else {
            operator
        };
        let first = self.since.entry(name.into());
        first.or_insert(call.rules.sequence);
        Some(name.into())
    }

    pub(crate) fn add(&mut self, table: usize, name: &str, since: Option<i64>, units: i128) {
        let labels = [self.account.as_str(), name];
        if let (Some(table), Some(family)) = (self.tables.get_mut(table), FAMILIES.get(table)) {
            table.add(&name.into(), *family, &labels, since, units);
        }
    }
}

fn talk(call: &CountedCall<'_>) -> Option<i128> {
    call.time(CallTime::Field(CallField::Talk)).map(i128::from)
}
