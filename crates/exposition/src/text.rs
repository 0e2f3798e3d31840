//! The two text formats, Prometheus and OpenMetrics, which differ in headers, bucket bounds and
//! `_created` lines.

use std::ops::Range;

use callmeter_meter::{
    BOUNDS_SECONDS, Block, Family, HistogramColumn, MetricType, Scale, Values, View,
};
use prometheus::proto::{self, LabelPair, Metric, MetricFamily};

use crate::number;
use crate::registry;

/// Writes families as lines.
#[derive(Debug)]
pub(crate) struct TextEncoder {
    dialect: Dialect,
    /// The ends of the labels of bucket lines, such as `le="1"} `, written once; `None` for buckets
    /// that are not shown.
    bounds: Vec<Option<Vec<u8>>>,
}

/// What differs between the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Prometheus,
    OpenMetrics {
        /// Whether to write `_created` lines, which servers store as series unless configured
        /// otherwise.
        created: bool,
    },
}

impl TextEncoder {
    pub(crate) fn new(dialect: Dialect, view: &View) -> Self {
        let mut encoder = Self {
            dialect,
            bounds: Vec::new(),
        };
        encoder.bounds = BOUNDS_SECONDS
            .into_iter()
            .chain([f64::INFINITY])
            .zip(view.bounds.into_iter().chain([true]))
            .map(|(bound, shown)| {
                let mut text = b"le=\"".to_vec();
                encoder.bound(&mut text, bound);
                text.extend_from_slice(b"\"} ");
                shown.then_some(text)
            })
            .collect();
        encoder
    }

    /// Writes the header of a family of the meter.
    pub(crate) fn header(&self, out: &mut Vec<u8>, family: &Family) {
        self.header_lines(
            out,
            family.name,
            family.metric_type.name(),
            family.unit,
            family.help,
        );
    }

    fn header_lines(&self, out: &mut Vec<u8>, name: &str, kind: &str, unit: &str, help: &str) {
        let open_metrics = self.dialect != Dialect::Prometheus;
        let name = match name.strip_suffix("_total") {
            Some(base) if open_metrics && kind == "counter" => base,
            _ => name,
        };
        let mut line = |keyword: &str, text: &dyn Fn(&mut Vec<u8>)| {
            for part in ["# ", keyword, " ", name, " "] {
                out.extend_from_slice(part.as_bytes());
            }
            text(out);
            out.push(b'\n');
        };
        if !help.is_empty() {
            line("HELP", &|out| escape(out, help, open_metrics));
        }
        line("TYPE", &|out| out.extend_from_slice(kind.as_bytes()));
        if open_metrics && !unit.is_empty() {
            line("UNIT", &|out| out.extend_from_slice(unit.as_bytes()));
        }
    }

    /// Writes the series of a block.
    pub(crate) fn block(&self, out: &mut Vec<u8>, family: &Family, block: &Block<'_>) {
        let lines = Lines::new(family.name, "");
        match block.values {
            Values::Integers(values) => {
                for (row, value) in values.iter().enumerate() {
                    lines.start(out, block.labels.row(row));
                    number::integer(out, *value);
                    out.push(b'\n');
                }
            }
            Values::Amounts(values, scale) => {
                for (row, units) in values.iter().enumerate() {
                    lines.start(out, block.labels.row(row));
                    number::amount(out, *units, scale);
                    out.push(b'\n');
                }
            }
            Values::Floats(values) => {
                for (row, value) in values.iter().enumerate() {
                    lines.start(out, block.labels.row(row));
                    number::float(out, *value);
                    out.push(b'\n');
                }
            }
            Values::Histograms(column) => self.histograms(out, family.name, block, column),
        }
        if family.metric_type != MetricType::Gauge {
            self.created_lines(out, family.base_name(), block);
        }
    }

    fn histograms(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        block: &Block<'_>,
        column: &HistogramColumn,
    ) {
        let bucket = Lines::new(name, "_bucket");
        let sum = Lines::new(name, "_sum");
        let count = Lines::new(name, "_count");
        for row in 0..column.len() {
            let Some(histogram) = column.row(row) else {
                continue;
            };
            let labels = block.labels.row(row);
            let mut cumulative = 0;
            // The lines of a row begin alike: the first one is copied.
            let mut opening = None;
            for (bound, observations) in self.bounds.iter().zip(histogram.buckets) {
                cumulative += observations;
                let Some(bound) = bound else { continue };
                if let Some(opening) = &opening {
                    out.extend_from_within(Range::clone(opening));
                } else {
                    let from = out.len();
                    bucket.open(out, labels);
                    if !labels.is_empty() {
                        out.push(b',');
                    }
                    opening = Some(from..out.len());
                }
                out.extend_from_slice(bound);
                number::integer(out, cumulative);
                out.push(b'\n');
            }
            sum.start(out, labels);
            number::amount(out, histogram.sum_ms, Scale::Milli);
            out.push(b'\n');
            count.start(out, labels);
            number::integer(out, cumulative);
            out.push(b'\n');
        }
    }

    fn created_lines(&self, out: &mut Vec<u8>, base_name: &str, block: &Block<'_>) {
        if self.dialect != (Dialect::OpenMetrics { created: true }) {
            return;
        }
        let lines = Lines::new(base_name, "_created");
        for (row, created) in block.created.iter().enumerate().filter(|(_, at)| **at > 0) {
            lines.start(out, block.labels.row(row));
            microseconds(out, *created);
            out.push(b'\n');
        }
    }

    /// Writes the header of a family of the registry.
    pub(crate) fn registry_header(&self, out: &mut Vec<u8>, family: &MetricFamily) {
        let kind = match family.get_field_type() {
            proto::MetricType::COUNTER => "counter",
            proto::MetricType::GAUGE => "gauge",
            proto::MetricType::SUMMARY => "summary",
            proto::MetricType::HISTOGRAM => "histogram",
            proto::MetricType::UNTYPED if self.dialect == Dialect::Prometheus => "untyped",
            proto::MetricType::UNTYPED => "unknown",
        };
        let unit = registry::unit(family.name());
        self.header_lines(out, family.name(), kind, unit, family.help());
    }

    /// Writes one metric of a family of the registry. `created` is the start of the process, in
    /// microseconds since 1970.
    pub(crate) fn registry_metric(
        &self,
        out: &mut Vec<u8>,
        family: &MetricFamily,
        metric: &Metric,
        created: Option<i64>,
    ) {
        let name = family.name();
        let labels = label_text(metric.get_label());
        let base = name.strip_suffix("_total").unwrap_or(name);
        match family.get_field_type() {
            proto::MetricType::COUNTER => {
                // OpenMetrics requires the ending; the text format does not.
                let open_metrics = self.dialect != Dialect::Prometheus;
                let ending = if open_metrics { "_total" } else { "" };
                let shown = if open_metrics { base } else { name };
                Lines::new(shown, ending).float(out, &labels, metric.get_counter().get_value());
                self.registry_created(out, base, &labels, created);
            }
            proto::MetricType::GAUGE => {
                Lines::new(name, "").float(out, &labels, metric.get_gauge().get_value());
            }
            proto::MetricType::UNTYPED => {
                Lines::new(name, "").float(out, &labels, registry::untyped(metric));
            }
            proto::MetricType::SUMMARY => {
                let summary = metric.get_summary();
                for quantile in summary.get_quantile() {
                    let lines = Lines::new(name, "");
                    self.bounded(out, &lines, &labels, "quantile", quantile.quantile());
                    number::float(out, quantile.value());
                    out.push(b'\n');
                }
                Lines::new(name, "_sum").float(out, &labels, summary.sample_sum());
                Lines::new(name, "_count").integer(out, &labels, summary.sample_count());
                self.registry_created(out, name, &labels, created);
            }
            proto::MetricType::HISTOGRAM => {
                let histogram = metric.get_histogram();
                let count = histogram.get_sample_count();
                for (bound, cumulative) in registry::buckets(histogram) {
                    let lines = Lines::new(name, "_bucket");
                    self.bounded(out, &lines, &labels, "le", bound);
                    number::integer(out, cumulative);
                    out.push(b'\n');
                }
                Lines::new(name, "_sum").float(out, &labels, histogram.get_sample_sum());
                Lines::new(name, "_count").integer(out, &labels, count);
                self.registry_created(out, name, &labels, created);
            }
        }
    }

    fn registry_created(
        &self,
        out: &mut Vec<u8>,
        base_name: &str,
        labels: &str,
        created: Option<i64>,
    ) {
        if let (Dialect::OpenMetrics { created: true }, Some(created)) = (self.dialect, created) {
            Lines::new(base_name, "_created").start(out, labels);
            microseconds(out, created);
            out.push(b'\n');
        }
    }

    /// Writes a line up to its value, with one more label, whose value is a number.
    fn bounded(&self, out: &mut Vec<u8>, lines: &Lines<'_>, labels: &str, name: &str, bound: f64) {
        lines.open(out, labels);
        if !labels.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        self.bound(out, bound);
        out.extend_from_slice(b"\"} ");
    }

    fn bound(&self, out: &mut Vec<u8>, bound: f64) {
        match self.dialect {
            Dialect::Prometheus => number::float(out, bound),
            Dialect::OpenMetrics { .. } => number::canonical_float(out, bound),
        }
    }

    /// Writes the end of the body.
    pub(crate) fn end(&self, out: &mut Vec<u8>) {
        if self.dialect != Dialect::Prometheus {
            out.extend_from_slice(b"# EOF\n");
        }
    }
}

/// Writes the lines of one sample name up to their values.
struct Lines<'a> {
    name: &'a str,
    suffix: &'a str,
}

impl<'a> Lines<'a> {
    fn new(name: &'a str, suffix: &'a str) -> Self {
        Self { name, suffix }
    }

    /// Name and labels, without the closing brace.
    fn open(&self, out: &mut Vec<u8>, labels: &str) {
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(self.suffix.as_bytes());
        out.push(b'{');
        out.extend_from_slice(labels.as_bytes());
    }

    /// Everything before the value.
    fn start(&self, out: &mut Vec<u8>, labels: &str) {
        if labels.is_empty() {
            out.extend_from_slice(self.name.as_bytes());
            out.extend_from_slice(self.suffix.as_bytes());
            out.push(b' ');
        } else {
            self.open(out, labels);
            out.extend_from_slice(b"} ");
        }
    }

    fn float(&self, out: &mut Vec<u8>, labels: &str, value: f64) {
        self.start(out, labels);
        number::float(out, value);
        out.push(b'\n');
    }

    fn integer(&self, out: &mut Vec<u8>, labels: &str, value: u64) {
        self.start(out, labels);
        number::integer(out, value);
        out.push(b'\n');
    }
}

fn microseconds(out: &mut Vec<u8>, microseconds: i64) {
    // Servers store milliseconds.
    number::amount(out, i128::from(microseconds / 1000), Scale::Milli);
}

fn label_text(labels: &[LabelPair]) -> String {
    let mut text = Vec::new();
    for (place, label) in labels.iter().enumerate() {
        if place > 0 {
            text.push(b',');
        }
        text.extend_from_slice(label.name().as_bytes());
        text.extend_from_slice(b"=\"");
        escape(&mut text, label.value(), true);
        text.push(b'"');
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Escapes backslashes and line feeds, and quotes if the format escapes them.
fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            other => out.push(other),
        }
    }
}
