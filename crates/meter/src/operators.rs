//! Calls by who answered them. They are counted only if the configuration asks for it: names of
//! people are personal data.

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
        if let Some(operator) = call.answered_by {
            let name = self.name(operator, limits, folded);
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
        if before.answered_by == after.answered_by {
            let Some(operator) = after.answered_by else {
                return;
            };
            match (talk(before), talk(after)) {
                (None, Some(now)) => {
                    let name = self.name(operator, limits, folded);
                    self.add(TALK, &name, since, now);
                }
                (Some(then), Some(now)) if then != now => {
                    let name = self.name(operator, limits, folded);
                    self.add(TALK + CORRECTED, &name, None, now - then);
                }
                _ => {}
            }
            return;
        }
        if let Some(operator) = before.answered_by {
            let name = self.name(operator, limits, folded);
            self.add(CALLS + CORRECTED, &name, None, -1);
            self.add(
                TALK + CORRECTED,
                &name,
                None,
                -talk(before).unwrap_or_default(),
            );
        }
        self.count(after, since, limits, folded);
    }

    fn name(&self, operator: &str, limits: Limits, folded: &mut Folded) -> Box<str> {
        let rows = self.tables.first().map(|table| &table.rows);
        let (used, is_known) =
            rows.map_or((0, false), |rows| (rows.len(), rows.contains_key(operator)));
        let folds = folded.folds(FoldGroup::Operators, limits, used, || is_known);
        if folds { FOLDED_ID } else { operator }.into()
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
