//! The exporter's metrics about itself, in a registry of the `prometheus` crate. Names, help texts
//! and labels come from the family table.

use callmeter_meter::{Family, FamilyId};
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry};

/// All of them. Cheap to clone; clones share their values.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the family table describes each")]
pub struct SelfMetrics {
    pub registry: Registry,
    pub api_requests: IntCounterVec,
    pub api_request_duration: HistogramVec,
    pub polls: IntCounterVec,
    pub poll_failures: IntCounterVec,
    pub polls_skipped: IntCounterVec,
    pub polls_truncated: IntCounterVec,
    pub poll_duration: HistogramVec,
    pub records_unreadable: IntCounterVec,
    pub journal_bytes: IntGauge,
    pub journal_append_duration: Histogram,
    pub journal_pruned: IntCounterVec,
    pub http_requests: IntCounterVec,
    pub ready: IntGauge,
    pub config_reload_successful: IntGauge,
    pub config_reload_timestamp: prometheus::Gauge,
}

/// Buckets of requests and polls, in seconds: from a fast response to the longest timeout.
const SECONDS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];
/// Buckets of commits, in seconds: from a fast disk to an overloaded one.
const COMMIT_SECONDS: [f64; 10] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5,
];

impl SelfMetrics {
    /// A new registry with all of them, `process_*` and `callmeter_build_info`.
    ///
    /// # Errors
    /// If the registry rejects an entry of the family table. A test checks that it does not.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let table = Table {
            registry: &registry,
        };
        let build = table.gauges(FamilyId::BuildInfo)?;
        build
            .with_label_values(&[
                crate::build::VERSION,
                crate::build::REVISION,
                crate::build::RUSTC,
                crate::build::TARGET,
            ])
            .set(1);
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(Self {
            api_requests: table.counters(FamilyId::ApiRequests)?,
            api_request_duration: table.histograms(FamilyId::ApiRequestDuration, &SECONDS)?,
            polls: table.counters(FamilyId::Polls)?,
            poll_failures: table.counters(FamilyId::PollFailures)?,
            polls_skipped: table.counters(FamilyId::PollsSkipped)?,
            polls_truncated: table.counters(FamilyId::PollsTruncated)?,
            poll_duration: table.histograms(FamilyId::PollDuration, &SECONDS)?,
            records_unreadable: table.counters(FamilyId::RecordsUnreadable)?,
            journal_bytes: table.gauge(FamilyId::JournalBytes)?,
            journal_append_duration: table.histogram(FamilyId::JournalAppendDuration)?,
            journal_pruned: table.counters(FamilyId::JournalPruned)?,
            http_requests: table.counters(FamilyId::HttpRequests)?,
            ready: table.gauge(FamilyId::Ready)?,
            config_reload_successful: table.gauge(FamilyId::ConfigReloadSuccessful)?,
            config_reload_timestamp: table.float(FamilyId::ConfigReloadTimestamp)?,
            registry,
        })
    }

    /// Removes the series of an account that was removed.
    pub fn forget_account(&self, account: &str) {
        forget(&self.api_requests, "account", account);
        forget_histograms(&self.api_request_duration, account);
        for counters in [
            &self.polls,
            &self.poll_failures,
            &self.polls_skipped,
            &self.polls_truncated,
            &self.records_unreadable,
        ] {
            forget(counters, "account", account);
        }
        forget_histograms(&self.poll_duration, account);
    }
}

/// Creates and registers the metrics of the family table.
struct Table<'r> {
    registry: &'r Registry,
}

impl Table<'_> {
    fn add<C: Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<C>,
    ) -> prometheus::Result<C> {
        let metric = metric?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&self, id: FamilyId) -> prometheus::Result<IntCounterVec> {
        let Family { labels, .. } = id.family();
        self.add(IntCounterVec::new(id.family().opts(), labels))
    }

    fn gauges(&self, id: FamilyId) -> prometheus::Result<IntGaugeVec> {
        let Family { labels, .. } = id.family();
        self.add(IntGaugeVec::new(id.family().opts(), labels))
    }

    fn gauge(&self, id: FamilyId) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::with_opts(id.family().opts()))
    }

    fn float(&self, id: FamilyId) -> prometheus::Result<prometheus::Gauge> {
        self.add(prometheus::Gauge::with_opts(id.family().opts()))
    }

    fn histograms(&self, id: FamilyId, bounds: &[f64]) -> prometheus::Result<HistogramVec> {
        let Family { labels, .. } = id.family();
        self.add(HistogramVec::new(
            id.family().histogram_opts(bounds.to_vec()),
            labels,
        ))
    }

    fn histogram(&self, id: FamilyId) -> prometheus::Result<Histogram> {
        self.add(Histogram::with_opts(
            id.family().histogram_opts(COMMIT_SECONDS.to_vec()),
        ))
    }
}

/// Removes the series whose `label` has this value. The crate removes whole label sets only, so
/// they are collected first. This happens at a reload, not at a scrape.
fn forget(counters: &IntCounterVec, label: &str, value: &str) {
    for labels in label_sets(counters, label, value) {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let _already_gone = counters.remove_label_values(&labels);
    }
}

fn forget_histograms(histograms: &HistogramVec, account: &str) {
    for labels in label_sets(histograms, "account", account) {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let _already_gone = histograms.remove_label_values(&labels);
    }
}

/// The label values, in the order of declaration, of the series whose `label` has this value.
fn label_sets(collector: &impl Collector, label: &str, value: &str) -> Vec<Vec<String>> {
    let order: Vec<String> = collector
        .desc()
        .first()
        .map(|desc| desc.variable_labels.clone())
        .unwrap_or_default();
    collector
        .collect()
        .iter()
        .flat_map(prometheus::proto::MetricFamily::get_metric)
        .filter_map(|metric| {
            let pairs = metric.get_label();
            let of = |name: &str| {
                pairs
                    .iter()
                    .find(|pair| pair.name() == name)
                    .map(|pair| pair.value().to_owned())
            };
            (of(label)? == value).then(|| {
                order
                    .iter()
                    .map(|name| of(name).unwrap_or_default())
                    .collect()
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registry_family_of_the_table_is_created() {
        let metrics = SelfMetrics::new().unwrap();
        // Vectors without a series are not gathered, so each gets one.
        for (counters, labels) in [
            (&metrics.api_requests, 4),
            (&metrics.polls, 2),
            (&metrics.poll_failures, 3),
            (&metrics.polls_skipped, 2),
            (&metrics.polls_truncated, 2),
            (&metrics.records_unreadable, 2),
            (&metrics.journal_pruned, 1),
            (&metrics.http_requests, 2),
        ] {
            counters.with_label_values(&vec!["x"; labels]).inc();
        }
        metrics
            .api_request_duration
            .with_label_values(&["x"; 4])
            .observe(1.0);
        metrics
            .poll_duration
            .with_label_values(&["x"; 2])
            .observe(1.0);
        let made: Vec<String> = metrics
            .registry
            .gather()
            .iter()
            .map(|family| family.name().to_owned())
            .collect();
        for id in FamilyId::ALL {
            let family = id.family();
            // The pipeline registers those of the outputs.
            let is_of_output = family.labels.contains(&"output");
            if family.source == callmeter_meter::Source::Registry && !is_of_output {
                assert!(
                    made.iter().any(|name| name == family.name),
                    "{}",
                    family.name
                );
            }
        }
    }

    #[test]
    fn a_removed_account_has_no_series() {
        let metrics = SelfMetrics::new().unwrap();
        for account in ["acme", "hq"] {
            metrics.polls.with_label_values(&[account, "calls"]).inc();
            metrics
                .poll_duration
                .with_label_values(&[account, "calls"])
                .observe(1.0);
        }
        metrics.forget_account("acme");
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&metrics.registry.gather())
            .unwrap();
        assert!(!text.contains("acme"), "{text}");
        assert!(text.contains("hq"), "{text}");
    }
}
