//! Where label sets are folded: the cap on label sets, and the updates that go to
//! `client_id="other"`.

use crate::families::FamilyId;

/// The label value under which label sets beyond the cap are counted together.
pub const FOLDED_ID: &str = "other";

/// How the ledger counts, and bounds on what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Label sets of a family in an account. Further ones are counted together under
    /// `client_id="other"`.
    pub label_sets: usize,
    /// A call that nobody answered is abandoned if it rang longer than this, in milliseconds. A
    /// change applies to the calls that are counted from then on.
    pub short_abandon_ms: i64,
    /// Whether calls are counted by who answered them.
    pub operators: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            label_sets: 10_000,
            short_abandon_ms: 5_000,
            operators: false,
        }
    }
}

impl Limits {
    /// For totals read from a snapshot: their label sets were checked when they were counted.
    pub(crate) const NONE: Self = Self {
        label_sets: usize::MAX,
        short_abandon_ms: 0,
        operators: true,
    };

    /// How many of `label_sets` gauges are folded.
    pub(crate) fn excess(self, label_sets: usize) -> usize {
        label_sets.saturating_sub(self.label_sets)
    }

    /// Whether a table of `rows` has room for series at 0, which do not count towards the cap.
    pub(crate) fn allows_zeros(self, rows: usize) -> bool {
        rows < self.label_sets.saturating_mul(2)
    }
}

/// Families that share their label sets, and therefore the cap. Snapshots are encoded in this
/// order. Corrections have the label sets of what they correct; their places in a snapshot are of
/// older versions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FoldGroup {
    Calls = 0,
    RateChanges = 3,
    Operators = 4,
    Charges = 5,
}

/// Folded updates of an account by [`FoldGroup`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Folded(pub(crate) [u64; 7]);

impl Folded {
    /// The family that `callmeter_series_folded_total` names for each group.
    pub(crate) const FAMILIES: [FamilyId; 7] = [
        FamilyId::Calls,
        FamilyId::CallCorrectionsSeconds,
        FamilyId::CallCorrectionsCalls,
        FamilyId::CallRatesChanged,
        FamilyId::OperatorCalls,
        FamilyId::Charges,
        FamilyId::ChargeCorrections,
    ];

    /// Decides whether an update is folded, and counts it if so.
    ///
    /// `used` is the number of label sets in use. A label set that `is_known` keeps its place.
    pub(crate) fn folds(
        &mut self,
        group: FoldGroup,
        limits: Limits,
        used: usize,
        is_known: impl FnOnce() -> bool,
    ) -> bool {
        let folds = used >= limits.label_sets && !is_known();
        if folds && let Some(updates) = self.0.get_mut(group as usize) {
            *updates += 1;
        }
        folds
    }
}
