//! A metric family: its name, type, unit, help and labels.

use prometheus::{HistogramOpts, Opts};

/// The type of a family, as Prometheus defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// Only increases.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Buckets, sum and count, each of which only increases.
    Histogram,
}

impl MetricType {
    /// The name in `# TYPE` lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Where the values of a family are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the meter's totals: counted from the journal, unchanged by a restart.
    Totals,
    /// In the meter, set by the last poll; not shown while the account is stale.
    Polled,
    /// In the meter, set by the last poll; also shown while the account is stale.
    State,
    /// In the registry of the `prometheus` crate: starts at 0 with the process.
    Registry,
}

/// One metric family.
#[derive(Debug)]
pub struct Family {
    /// Full name; that of a counter ends in `_total`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub metric_type: MetricType,
    /// Base unit (`seconds`, `bytes`, `ratio`), which also ends the name; empty for none.
    pub unit: &'static str,
    /// The HELP text: one sentence.
    pub help: &'static str,
    /// Label names, in the order of the exposition.
    pub labels: &'static [&'static str],
    /// Where its values are kept.
    pub source: Source,
}

impl Family {
    /// The name of the family in OpenMetrics: without the `_total` of counters.
    pub fn base_name(&self) -> &'static str {
        match self.metric_type {
            MetricType::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            MetricType::Gauge | MetricType::Histogram => self.name,
        }
    }

    /// Name and help for a metric of the `prometheus` crate.
    pub fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    /// Name, help and upper bounds of the buckets for a histogram of the `prometheus` crate.
    pub fn histogram_opts(&self, buckets: Vec<f64>) -> HistogramOpts {
        HistogramOpts::new(self.name, self.help).buckets(buckets)
    }
}
