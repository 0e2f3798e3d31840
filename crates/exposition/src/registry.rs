//! Access to the families of the `prometheus` crate, for all formats.

use std::collections::BTreeSet;

use callmeter_meter::{FamilyId, Source};
use prometheus::proto::{Histogram, Metric, MetricFamily};

/// The unit of a family, from the family table or from its name.
pub(crate) fn unit(name: &str) -> &'static str {
    let known = FamilyId::ALL
        .iter()
        .map(|id| id.family())
        .find(|family| family.name == name);
    if let Some(family) = known {
        return family.unit;
    }
    let base = name.strip_suffix("_total").unwrap_or(name);
    let ends = |unit: &str| {
        base.strip_suffix(unit)
            .is_some_and(|rest| rest.ends_with('_'))
    };
    let units = ["seconds", "bytes", "ratio"];
    units.into_iter().find(|unit| ends(unit)).unwrap_or("")
}

/// The metrics of some accounts, where an empty name stands for metrics of no account.
pub(crate) fn only(
    mut registry: Vec<MetricFamily>,
    accounts: &BTreeSet<String>,
) -> Vec<MetricFamily> {
    for family in &mut registry {
        let mut metrics = family.take_metric();
        metrics.retain(|metric| {
            let labels = metric.get_label().iter();
            let account = labels.clone().find(|label| label.name() == "account");
            accounts.contains(account.map_or("", |label| label.value()))
        });
        family.set_metric(metrics);
    }
    registry
}

/// Whether the meter has a family of this name, which the registry must not repeat.
pub(crate) fn is_meters(name: &str) -> bool {
    FamilyId::ALL
        .iter()
        .map(|id| id.family())
        .any(|family| family.name == name && family.source != Source::Registry)
}

/// Bounds and cumulative counts, with +Inf once, at the end.
pub(crate) fn buckets(histogram: &Histogram) -> impl Iterator<Item = (f64, u64)> {
    let finite = histogram
        .get_bucket()
        .iter()
        .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
        .filter(|(bound, _)| *bound != f64::INFINITY);
    finite.chain([(f64::INFINITY, histogram.get_sample_count())])
}

/// The value of an untyped metric, which only collectors of other crates have.
#[expect(deprecated, reason = "other collectors may return untyped metrics")]
pub(crate) fn untyped(metric: &Metric) -> f64 {
    metric.get_untyped().get_value()
}
