//! What of the figures is shown: families, buckets, labels. It changes nothing of what is counted,
//! so that a reload may change it at any time.

use std::collections::BTreeSet;

use crate::bucket_of::BOUNDS_MS;
use crate::counted_call::CallTime;
use crate::families::FamilyId;
use crate::family::MetricType;
use crate::histogram::BOUNDS_SECONDS;
use callmeter_records::CallField;

/// A choice of families, buckets and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Families that are not shown.
    pub hidden: BTreeSet<FamilyId>,
    /// Whether the histograms of calls are also by client.
    pub client_histograms: bool,
    /// The classic buckets that are shown, by their place in [`BOUNDS_SECONDS`]. +Inf always is.
    pub bounds: [bool; BOUNDS_MS.len()],
    /// Whether histograms have no classic buckets in the protobuf format, which has native ones.
    pub native_only: bool,
    /// The labels of calls that are left out. Series that become the same are added up.
    pub left_out: Vec<&'static str>,
}

/// The labels that can be left out.
pub const OPTIONAL_LABELS: [&str; 2] = ["center_id", "direction"];

/// The histograms of calls, and their names in the configuration.
pub const HISTOGRAMS: [(&str, FamilyId); 7] = [
    ("answer", FamilyId::CallAnswer),
    ("abandon", FamilyId::CallAbandon),
    ("duration", FamilyId::CallDuration),
    ("talk", FamilyId::CallTalk),
    ("hold", FamilyId::CallHold),
    ("transfer", FamilyId::CallTransfer),
    ("work", FamilyId::CallWork),
];

/// The histograms that are shown by default.
pub const DEFAULT_HISTOGRAMS: [&str; 2] = ["answer", "abandon"];

/// The classic buckets that are shown by default, in milliseconds.
pub const DEFAULT_BOUNDS_MS: [i32; 7] = [5_000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000];

impl Default for View {
    fn default() -> Self {
        let hidden = HISTOGRAMS
            .into_iter()
            .filter(|(name, _)| !DEFAULT_HISTOGRAMS.contains(name));
        Self {
            hidden: hidden.map(|(_, family)| family).collect(),
            bounds: BOUNDS_MS.map(|bound| DEFAULT_BOUNDS_MS.contains(&bound)),
            ..Self::everything()
        }
    }
}

impl View {
    /// Everything that is counted, with all buckets; histograms by center, not by client.
    pub fn everything() -> Self {
        Self {
            hidden: BTreeSet::new(),
            client_histograms: false,
            bounds: [true; BOUNDS_MS.len()],
            native_only: false,
            left_out: Vec::new(),
        }
    }

    /// Whether a family is shown.
    pub fn shows(&self, family: FamilyId) -> bool {
        !self.hidden.contains(&family)
    }

    /// Whether a family of this name is shown.
    pub fn shows_name(&self, name: &str) -> bool {
        !self.hidden.iter().any(|id| id.family().name == name)
    }

    /// How many series a server stores of a label set: a histogram has buckets, sum and count.
    pub fn series_of(&self, family: FamilyId) -> usize {
        match family.family().metric_type {
            MetricType::Histogram => self.bounds.iter().filter(|shown| **shown).count() + 3,
            MetricType::Counter | MetricType::Gauge => 1,
        }
    }

    /// The classic buckets that are shown, of counts that are not cumulative: upper bound in
    /// seconds and cumulative count.
    pub fn buckets(&self, counts: &[u64]) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS_SECONDS.into_iter().chain([f64::INFINITY]);
        let shown = self.bounds.into_iter().chain([true]);
        let mut cumulative = 0;
        let buckets = bounds
            .zip(shown)
            .zip(counts)
            .map(move |((bound, shown), count)| {
                cumulative += count;
                (bound, shown, cumulative)
            });
        buckets.filter_map(|(bound, shown, count)| shown.then_some((bound, count)))
    }
}

/// The time of which a family is the histogram.
pub(crate) fn time_of(family: FamilyId) -> Option<CallTime> {
    match family {
        FamilyId::CallAnswer => Some(CallTime::Answer),
        FamilyId::CallAbandon => Some(CallTime::Abandon),
        FamilyId::CallDuration => Some(CallTime::Field(CallField::Duration)),
        FamilyId::CallTalk => Some(CallTime::Field(CallField::Talk)),
        FamilyId::CallHold => Some(CallTime::Field(CallField::Hold)),
        FamilyId::CallTransfer => Some(CallTime::Field(CallField::Transfer)),
        FamilyId::CallWork => Some(CallTime::Field(CallField::Work)),
        _ => None,
    }
}
