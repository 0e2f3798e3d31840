//! The protobuf format: length-delimited `io.prometheus.client.MetricFamily` messages.
//!
//! Counters and histograms have a created timestamp. The meter's histograms have classic and native
//! buckets; a server uses those that it is configured for. Field numbers are from
//! `io/prometheus/client/metrics.proto`.

use std::sync::Arc;

use callmeter_meter::{
    Amount, Block, EncodedLabels, Family, HistogramRow, LabelBlock, MetricType, NATIVE_SCHEMA,
    NATIVE_ZERO_THRESHOLD, Scale, Snapshot, Values, View, pairs,
};
use prometheus::proto::{self, Metric, MetricFamily};

use crate::registry;
use crate::wire;

/// `MetricFamily`
mod family {
    pub(super) const NAME: u32 = 1;
    pub(super) const HELP: u32 = 2;
    pub(super) const TYPE: u32 = 3;
    pub(super) const METRIC: u32 = 4;
    pub(super) const UNIT: u32 = 5;
}

/// `Metric`
mod metric {
    pub(super) const LABEL: u32 = 1;
    pub(super) const GAUGE: u32 = 2;
    pub(super) const COUNTER: u32 = 3;
    pub(super) const SUMMARY: u32 = 4;
    pub(super) const UNTYPED: u32 = 5;
    pub(super) const HISTOGRAM: u32 = 7;
}

/// `Counter`, `Gauge`, `Untyped`
mod simple {
    pub(super) const VALUE: u32 = 1;
    pub(super) const CREATED: u32 = 3;
}

/// `Histogram`, and the first three fields of `Summary`
mod histogram {
    pub(super) const COUNT: u32 = 1;
    pub(super) const SUM: u32 = 2;
    pub(super) const BUCKET: u32 = 3;
    pub(super) const SCHEMA: u32 = 5;
    pub(super) const ZERO_THRESHOLD: u32 = 6;
    pub(super) const ZERO_COUNT: u32 = 7;
    pub(super) const POSITIVE_SPAN: u32 = 12;
    pub(super) const POSITIVE_DELTA: u32 = 13;
    pub(super) const CREATED: u32 = 15;
    /// `Summary.created_timestamp`
    pub(super) const SUMMARY_CREATED: u32 = 4;
}

const COUNTER: u64 = 0;
const GAUGE: u64 = 1;
const SUMMARY: u64 = 2;
const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;

/// Writes families as messages.
#[derive(Debug)]
pub(crate) struct ProtobufEncoder {
    scratch: Vec<u8>,
    /// Whose view says which buckets are shown.
    snapshot: Arc<Snapshot>,
}

impl ProtobufEncoder {
    pub(crate) fn new(snapshot: &Arc<Snapshot>) -> Self {
        Self {
            scratch: Vec::new(),
            snapshot: Arc::clone(snapshot),
        }
    }

    /// Writes the start of a family of the meter. It includes the length of the message, so all
    /// blocks are encoded here once.
    pub(crate) fn header<'a>(
        &mut self,
        out: &mut Vec<u8>,
        family: &Family,
        blocks: impl Iterator<Item = Block<'a>>,
    ) {
        let kind = match family.metric_type {
            MetricType::Counter => COUNTER,
            MetricType::Gauge => GAUGE,
            MetricType::Histogram => HISTOGRAM,
        };
        let mut size = 0;
        let view = self.snapshot.view();
        for block in blocks {
            for row in 0..block.len() {
                self.scratch.clear();
                meter_metric(&mut self.scratch, family.metric_type, &block, row, view);
                let length = self.scratch.len() as u64;
                size += 1 + wire::varint_len(length) + length;
            }
        }
        head(out, family.name, family.help, kind, family.unit, size);
    }

    /// Writes the metrics of a block.
    pub(crate) fn block(&mut self, out: &mut Vec<u8>, family: &Family, block: &Block<'_>) {
        let view = self.snapshot.view();
        for row in 0..block.len() {
            self.scratch.clear();
            meter_metric(&mut self.scratch, family.metric_type, block, row, view);
            wire::bytes(out, family::METRIC, &self.scratch);
        }
    }

    /// Writes a family of the registry.
    pub(crate) fn registry_family(
        &mut self,
        out: &mut Vec<u8>,
        family: &MetricFamily,
        created: Option<i64>,
    ) {
        self.scratch.clear();
        for metric in family.get_metric() {
            wire::message(&mut self.scratch, family::METRIC, |out| {
                registry_metric(out, family.get_field_type(), metric, created);
            });
        }
        let kind = match family.get_field_type() {
            proto::MetricType::COUNTER => COUNTER,
            proto::MetricType::GAUGE => GAUGE,
            proto::MetricType::SUMMARY => SUMMARY,
            proto::MetricType::UNTYPED => UNTYPED,
            proto::MetricType::HISTOGRAM => HISTOGRAM,
        };
        let unit = registry::unit(family.name());
        let size = self.scratch.len() as u64;
        head(out, family.name(), family.help(), kind, unit, size);
        out.extend_from_slice(&self.scratch);
    }
}

/// Writes the length of a family's message, and the message without its metrics, which take
/// `metrics` bytes.
fn head(out: &mut Vec<u8>, name: &str, help: &str, kind: u64, unit: &str, metrics: u64) {
    let mut head = Vec::with_capacity(256);
    wire::bytes(&mut head, family::NAME, name.as_bytes());
    wire::bytes(&mut head, family::HELP, help.as_bytes());
    wire::uint(&mut head, family::TYPE, kind);
    if !unit.is_empty() {
        wire::bytes(&mut head, family::UNIT, unit.as_bytes());
    }
    wire::varint(out, head.len() as u64 + metrics);
    out.extend_from_slice(&head);
}

fn meter_metric(out: &mut Vec<u8>, kind: MetricType, block: &Block<'_>, row: usize, view: &View) {
    out.extend_from_slice(block.labels.encoded(encode_labels).row(row));
    let created = block.created.get(row).copied().filter(|at| *at > 0);
    let value = match block.values {
        Values::Histograms(column) => {
            if let Some(row) = column.row(row) {
                wire::message(out, metric::HISTOGRAM, |out| {
                    meter_histogram(out, &row, created, view);
                });
            }
            return;
        }
        Values::Integers(values) => values.get(row).map(|value| {
            let units = i128::from(*value);
            let scale = Scale::One;
            Amount { units, scale }.to_f64()
        }),
        Values::Amounts(values, scale) => {
            let units = values.get(row).copied();
            units.map(|units| Amount { units, scale }.to_f64())
        }
        Values::Floats(values) => values.get(row).copied(),
    };
    let value = value.unwrap_or(f64::NAN);
    match kind {
        MetricType::Counter => wire::message(out, metric::COUNTER, |out| {
            wire::double(out, simple::VALUE, value);
            timestamp(out, simple::CREATED, created);
        }),
        MetricType::Gauge | MetricType::Histogram => wire::message(out, metric::GAUGE, |out| {
            wire::double(out, simple::VALUE, value);
        }),
    }
}

fn meter_histogram(out: &mut Vec<u8>, row: &HistogramRow<'_>, created: Option<i64>, view: &View) {
    let sum = Amount {
        units: row.sum_ms,
        scale: Scale::Milli,
    };
    wire::uint(out, histogram::COUNT, row.count());
    wire::double(out, histogram::SUM, sum.to_f64());
    if !view.native_only {
        for (bound, cumulative) in view.buckets(row.buckets) {
            bucket(out, bound, cumulative);
        }
    }
    native_buckets(out, row);
    timestamp(out, histogram::CREATED, created);
}

fn native_buckets(out: &mut Vec<u8>, row: &HistogramRow<'_>) {
    let zeros = row.native().find(|bucket| bucket.index.is_none());
    wire::sint(out, histogram::SCHEMA, NATIVE_SCHEMA.into());
    wire::double(out, histogram::ZERO_THRESHOLD, NATIVE_ZERO_THRESHOLD);
    wire::uint(
        out,
        histogram::ZERO_COUNT,
        zeros.map_or(0, |bucket| bucket.count),
    );
    let used = || {
        let buckets = row.native();
        buckets.filter_map(|bucket| Some((bucket.index?, bucket.count)))
    };
    // Without a span, servers read a histogram without observations as a classic one.
    if used().next().is_none() {
        span(out, 0, 0);
        return;
    }
    let mut open: Option<(i32, u32, i32)> = None; // offset, length, next index
    for (index, _) in used() {
        let index = i32::from(index);
        open = match open {
            Some((offset, length, next)) if next == index => Some((offset, length + 1, index + 1)),
            Some((offset, length, next)) => {
                span(out, offset, length);
                Some((index - next, 1, index + 1))
            }
            None => Some((index, 1, index + 1)),
        };
    }
    if let Some((offset, length, _)) = open {
        span(out, offset, length);
    }
    let mut before = 0_i64;
    for (_, count) in used() {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        wire::sint(out, histogram::POSITIVE_DELTA, count - before);
        before = count;
    }
}

fn span(out: &mut Vec<u8>, offset: i32, length: u32) {
    wire::message(out, histogram::POSITIVE_SPAN, |out| {
        wire::sint(out, 1, offset.into());
        wire::uint(out, 2, length.into());
    });
}

fn bucket(out: &mut Vec<u8>, bound: f64, cumulative: u64) {
    wire::message(out, histogram::BUCKET, |out| {
        wire::uint(out, 1, cumulative);
        wire::double(out, 2, bound);
    });
}

/// Writes a `google.protobuf.Timestamp`.
fn timestamp(out: &mut Vec<u8>, field: u32, microseconds: Option<i64>) {
    if let Some(microseconds) = microseconds {
        wire::message(out, field, |out| {
            let seconds = microseconds.div_euclid(1_000_000);
            let nanos = microseconds.rem_euclid(1_000_000) * 1_000;
            wire::uint(out, 1, seconds.cast_unsigned());
            wire::uint(out, 2, nanos.cast_unsigned());
        });
    }
}

fn encode_labels(labels: &LabelBlock) -> EncodedLabels {
    let mut encoded = EncodedLabels::default();
    for row in 0..labels.len() {
        for (name, value) in pairs(labels.row(row)) {
            label(&mut encoded.bytes, name, &value);
        }
        encoded.ends.push(encoded.bytes.len());
    }
    encoded
}

fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    wire::message(out, metric::LABEL, |out| {
        wire::bytes(out, 1, name.as_bytes());
        wire::bytes(out, 2, value.as_bytes());
    });
}

fn registry_metric(
    out: &mut Vec<u8>,
    kind: proto::MetricType,
    metric: &Metric,
    created: Option<i64>,
) {
    for pair in metric.get_label() {
        label(out, pair.name(), pair.value());
    }
    match kind {
        proto::MetricType::COUNTER => wire::message(out, metric::COUNTER, |out| {
            wire::double(out, simple::VALUE, metric.get_counter().get_value());
            timestamp(out, simple::CREATED, created);
        }),
        proto::MetricType::GAUGE => wire::message(out, metric::GAUGE, |out| {
            wire::double(out, simple::VALUE, metric.get_gauge().get_value());
        }),
        proto::MetricType::UNTYPED => wire::message(out, metric::UNTYPED, |out| {
            wire::double(out, simple::VALUE, registry::untyped(metric));
        }),
        proto::MetricType::SUMMARY => wire::message(out, metric::SUMMARY, |out| {
            let summary = metric.get_summary();
            wire::uint(out, histogram::COUNT, summary.sample_count());
            wire::double(out, histogram::SUM, summary.sample_sum());
            for quantile in summary.get_quantile() {
                wire::message(out, histogram::BUCKET, |out| {
                    wire::double(out, 1, quantile.quantile());
                    wire::double(out, 2, quantile.value());
                });
            }
            timestamp(out, histogram::SUMMARY_CREATED, created);
        }),
        proto::MetricType::HISTOGRAM => wire::message(out, metric::HISTOGRAM, |out| {
            let classic = metric.get_histogram();
            wire::uint(out, histogram::COUNT, classic.get_sample_count());
            wire::double(out, histogram::SUM, classic.get_sample_sum());
            for (bound, cumulative) in registry::buckets(classic) {
                bucket(out, bound, cumulative);
            }
            timestamp(out, histogram::CREATED, created);
        }),
    }
}
