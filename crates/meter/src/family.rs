//! What a metric family is: name, type, unit, help, labels; and the look-up of a family by its id.

use prometheus::{HistogramOpts, Opts};

pub use crate::families::FamilyId;

/// The type of a family, in Prometheus' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, sum and count; each only ever goes up.
    Histogram,
}

impl Kind {
    /// The word that `# TYPE` lines use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Where the figures of a family are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the meter's totals: counted from the journal's rows, the same after a restart.
    Totals,
    /// In the meter, as last told by the poller; vanishes when the account is stale.
    Polled,
    /// In the meter, as last told by the poller; stays when the account is stale.
    State,
    /// In the `prometheus` crate's registry: starts at 0 with the process.
    Registry,
}

/// One metric family.
#[derive(Debug)]
pub struct Family {
    /// Full name, with `_total` where it is a counter.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Base unit (`seconds`, `bytes`, `ratio`), which is also the name's ending; empty when there is none.
    pub unit: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// Label names, in the order in which they are written.
    pub labels: &'static [&'static str],
    /// Where its figures are kept.
    pub source: Source,
}

impl Family {
    /// The name without the `_total` of counters: what OpenMetrics calls the family.
    pub fn base_name(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }

    /// Name and help as the `prometheus` crate wants them, for a self-metric:
    /// `IntCounterVec::new(FamilyId::ApiRequests.family().opts(), FamilyId::ApiRequests.family().labels)`.
    pub fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    /// The same for a histogram, with the upper bounds of its buckets.
    pub fn histogram_opts(&self, buckets: Vec<f64>) -> HistogramOpts {
        HistogramOpts::new(self.name, self.help).buckets(buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_found_by_its_id_and_listed_once() {
        for (place, id) in FamilyId::ALL.iter().enumerate() {
            assert_eq!(*id as usize, place);
        }
        let mut names: Vec<_> = FamilyId::ALL.iter().map(|id| id.family().name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FamilyId::ALL.len());
    }

    #[test]
    fn the_prometheus_crate_takes_every_name_and_label() {
        for id in FamilyId::ALL {
            let family = id.family();
            let made = match family.kind {
                Kind::Counter => {
                    prometheus::IntCounterVec::new(family.opts(), family.labels).map(drop)
                }
                Kind::Gauge => prometheus::GaugeVec::new(family.opts(), family.labels).map(drop),
                Kind::Histogram => {
                    prometheus::HistogramVec::new(family.histogram_opts(vec![1.0]), family.labels)
                        .map(drop)
                }
            };
            assert!(made.is_ok(), "{}: {made:?}", family.name);
        }
    }
}
