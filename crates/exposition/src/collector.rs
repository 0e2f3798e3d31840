//! The snapshot as a `prometheus::core::Collector`, for programs that gather from a registry.
//!
//! It clones every label at each gather, so [`Exposition`](crate::Exposition) does not use it. The
//! tests compare this crate's output with that of the `prometheus` crate for this collector.

use std::sync::Arc;

use callmeter_meter::{
    Amount, Block, Family, FamilyId, HistogramRow, Meter, MetricType, Scale, Source, Values, View,
    pairs,
};
use prometheus::core::{Collector, Desc};
use prometheus::proto;

/// Collects the snapshots of a meter.
#[derive(Debug)]
pub struct SnapshotCollector {
    meter: Arc<Meter>,
    descriptions: Vec<Desc>,
}

impl SnapshotCollector {
    /// A collector of `meter`, to be registered once.
    pub fn new(meter: Arc<Meter>) -> prometheus::Result<Self> {
        let descriptions = families()
            .map(|(_, family)| {
                let labels = family.labels.iter().map(ToString::to_string).collect();
                let (name, help) = (family.name.to_owned(), family.help.to_owned());
                Desc::new(name, help, labels, std::collections::HashMap::new())
            })
            .collect::<prometheus::Result<_>>()?;
        Ok(Self {
            meter,
            descriptions,
        })
    }
}

fn families() -> impl Iterator<Item = (FamilyId, &'static Family)> {
    let all = FamilyId::ALL.iter().map(|id| (*id, id.family()));
    all.filter(|(_, family)| family.source != Source::Registry)
}

impl Collector for SnapshotCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let snapshot = self.meter.snapshot();
        let mut collected = Vec::new();
        for (id, family) in families() {
            let mut metrics = Vec::new();
            for block in snapshot.blocks(id) {
                let view = snapshot.view();
                metrics.extend(
                    (0..block.len()).map(|row| metric(family.metric_type, &block, row, view)),
                );
            }
            if !metrics.is_empty() {
                let mut collected_family = proto::MetricFamily::default();
                collected_family.set_name(family.name.to_owned());
                collected_family.set_help(family.help.to_owned());
                collected_family.set_field_type(match family.metric_type {
                    MetricType::Counter => proto::MetricType::COUNTER,
                    MetricType::Gauge => proto::MetricType::GAUGE,
                    MetricType::Histogram => proto::MetricType::HISTOGRAM,
                });
                collected_family.set_metric(metrics);
                collected.push(collected_family);
            }
        }
        collected
    }
}

fn metric(kind: MetricType, block: &Block<'_>, row: usize, view: &View) -> proto::Metric {
    let labels = pairs(block.labels.row(row)).map(|(name, value)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.into_owned());
        pair
    });
    let mut metric = proto::Metric::from_label(labels.collect());
    let amount = |units, scale| Amount { units, scale }.to_f64();
    let value = match block.values {
        Values::Histograms(column) => {
            if let Some(row) = column.row(row) {
                metric.set_histogram(histogram(&row, view));
            }
            return metric;
        }
        Values::Integers(values) => values.get(row).map(|one| amount((*one).into(), Scale::One)),
        Values::Amounts(values, scale) => values.get(row).map(|one| amount(*one, scale)),
        Values::Floats(values) => values.get(row).copied(),
    };
    let value = value.unwrap_or(f64::NAN);
    if kind == MetricType::Counter {
        let mut counter = proto::Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}

fn histogram(row: &HistogramRow<'_>, view: &View) -> proto::Histogram {
    let sum = Amount {
        units: row.sum_ms,
        scale: Scale::Milli,
    };
    let buckets = view.buckets(row.buckets);
    let finite = buckets.filter(|(bound, _)| bound.is_finite());
    let buckets = finite.map(|(bound, cumulative)| {
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(row.count());
    histogram.set_sample_sum(sum.to_f64());
    histogram
}
