//! The exporter's metrics about itself, in a registry of the `prometheus` crate. Names, help texts
//! and labels come from the family table.

use std::collections::BTreeSet;

use crate::status::{CallsProgress, NotableCalls, Task, TaskState, TaskStatus};
use callmeter_meter::{Family, FamilyId};
use jiff::Timestamp;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::{Metric, MetricFamily};
use prometheus::{
    GaugeVec, Histogram, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};

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
    pub task_up: IntGaugeVec,
    pub task_failing: IntGaugeVec,
    pub task_last_success: GaugeVec,
    pub days_incomplete: IntGaugeVec,
    pub complete_until: GaugeVec,
    pub calls_waiting: IntGaugeVec,
    pub calls_waiting_for_deck: IntGaugeVec,
    pub calls_found_by_audit: IntCounterVec,
    pub calls_implausible: IntCounterVec,
    pub clock_skew: GaugeVec,
    pub journal_bytes: IntGauge,
    pub journal_limit: IntGauge,
    pub calls_budget_used: GaugeVec,
    pub calls_budget_needed: GaugeVec,
    pub journal_append_duration: Histogram,
    pub journal_pruned: IntCounterVec,
    pub http_requests: IntCounterVec,
    pub ready: IntGauge,
    pub config_reload_successful: IntGauge,
    pub config_reload_timestamp: prometheus::Gauge,
}

/// Buckets of requests and polls, in seconds: from a fast response to the longest timeout.
const SECONDS: [f64; 6] = [0.05, 0.25, 1.0, 5.0, 30.0, 120.0];
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
            task_up: table.gauges(FamilyId::TaskUp)?,
            task_failing: table.gauges(FamilyId::TaskFailing)?,
            task_last_success: table.floats(FamilyId::TaskLastSuccess)?,
            days_incomplete: table.gauges(FamilyId::DaysIncomplete)?,
            complete_until: table.floats(FamilyId::CompleteUntil)?,
            calls_waiting: table.gauges(FamilyId::CallsWaiting)?,
            calls_waiting_for_deck: table.gauges(FamilyId::CallsWaitingForDeck)?,
            calls_found_by_audit: table.counters(FamilyId::CallsFoundByAudit)?,
            calls_implausible: table.counters(FamilyId::CallsImplausible)?,
            clock_skew: table.floats(FamilyId::ClockSkew)?,
            journal_bytes: table.gauge(FamilyId::JournalBytes)?,
            journal_limit: table.gauge(FamilyId::JournalLimit)?,
            calls_budget_used: table.floats(FamilyId::CallsBudgetUsed)?,
            calls_budget_needed: table.floats(FamilyId::CallsBudgetNeeded)?,
            journal_append_duration: table.histogram(FamilyId::JournalAppendDuration)?,
            journal_pruned: table.counters(FamilyId::JournalPruned)?,
            http_requests: table.counters(FamilyId::HttpRequests)?,
            ready: table.gauge(FamilyId::Ready)?,
            config_reload_successful: table.gauge(FamilyId::ConfigReloadSuccessful)?,
            config_reload_timestamp: table.float(FamilyId::ConfigReloadTimestamp)?,
            registry,
        })
    }

    /// Shows how far an account's calls have been read.
    pub(crate) fn calls_progress(
        &self,
        account: &str,
        progress: &CallsProgress,
        notable: NotableCalls,
    ) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let labels = [account];
        self.days_incomplete
            .with_label_values(&labels)
            .set(count(progress.unproven.len()));
        self.calls_waiting
            .with_label_values(&labels)
            .set(i64::try_from(progress.waiting).unwrap_or(i64::MAX));
        self.calls_found_by_audit
            .with_label_values(&labels)
            .inc_by(notable.found_by_audit);
        self.calls_implausible
            .with_label_values(&labels)
            .inc_by(notable.implausible);
        for (gauge, requests) in [
            (&self.calls_budget_used, progress.requests_last_hour),
            (&self.calls_budget_needed, progress.requests_needed_per_hour),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "a share of two counts")]
            let share = requests as f64 / progress.requests_per_hour.max(1) as f64;
            gauge.with_label_values(&labels).set(share);
        }
        if let Some(until) = progress.complete_until {
            self.complete_until
                .with_label_values(&labels)
                .set(unix_seconds(until));
        }
        if let Some(skew) = progress.clock_skew {
            self.clock_skew
                .with_label_values(&labels)
                .set(skew.as_secs_f64());
        }
    }

    /// Shows how the last poll of a task ended, and why if it failed.
    pub(crate) fn task_ended(
        &self,
        account: &str,
        task: &str,
        status: &TaskStatus,
        failure: Option<&str>,
    ) {
        let labels = [account, task];
        self.show_failure(account, task, failure);
        self.task_up
            .with_label_values(&labels)
            .set((status.state == TaskState::Ok).into());
        if let Some(time) = status.last_success {
            self.task_last_success
                .with_label_values(&labels)
                .set(unix_seconds(time));
        }
    }

    /// Shows that the file of the deck of an entry of `charges` was read, or why not. It has the
    /// series of a poll, under the name of the entry.
    pub(crate) fn deck_file_read(&self, entry: &str, failure: Option<&str>) {
        let labels = [entry, Task::Rates.label()];
        self.polls.with_label_values(&labels).inc();
        if let Some(reason) = failure {
            self.poll_failures
                .with_label_values(&[labels[0], labels[1], reason])
                .inc();
        }
        self.show_failure(labels[0], labels[1], failure);
        self.task_up
            .with_label_values(&labels)
            .set(failure.is_none().into());
    }

    /// Removes the gauges of a task that is no longer polled. An alert on them would never end.
    pub(crate) fn forget_task(&self, account: &str, task: Task) {
        let labels = [account, task.label()];
        let _gone = self.task_up.remove_label_values(&labels);
        let _gone = self.task_last_success.remove_label_values(&labels);
        for [_, of, reason] in self.failing(account) {
            if of == task.label() {
                let _gone = self
                    .task_failing
                    .remove_label_values(&[account, &of, &reason]);
            }
        }
        if task == Task::Calls {
            for gauges in [&self.days_incomplete, &self.calls_waiting] {
                let _gone = gauges.remove_label_values(&[account]);
            }
            for gauges in [
                &self.complete_until,
                &self.calls_budget_used,
                &self.calls_budget_needed,
            ] {
                let _gone = gauges.remove_label_values(&[account]);
            }
        }
    }

    fn show_failure(&self, account: &str, task: &str, failure: Option<&str>) {
        // First the new reason: a scrape must not find none while the task goes on failing.
        if let Some(reason) = failure {
            self.task_failing
                .with_label_values(&[account, task, reason])
                .set(1);
        }
        for [_, of, reason] in self.failing(account) {
            if of == task && Some(reason.as_str()) != failure {
                let _gone = self
                    .task_failing
                    .remove_label_values(&[account, task, &reason]);
            }
        }
    }

    /// The labels of the account's tasks that fail.
    fn failing(&self, account: &str) -> impl Iterator<Item = [String; 3]> {
        let shown = label_sets(&self.task_failing, "account", account).into_iter();
        shown.filter_map(|labels| labels.try_into().ok())
    }

    /// The names under which polls are counted: the accounts, and the entries of `charges` that
    /// read their deck from a file.
    pub fn polled(&self) -> BTreeSet<String> {
        let families = self.polls.collect();
        let series = families.iter().flat_map(MetricFamily::get_metric);
        let labels = series.flat_map(Metric::get_label);
        let accounts = labels.filter(|label| label.name() == "account");
        accounts.map(|label| label.value().to_owned()).collect()
    }

    /// Removes the series of an account that was removed.
    pub fn forget_account(&self, account: &str) {
        forget(&self.api_requests, "account", account);
        forget(&self.api_request_duration, "account", account);
        for counters in [
            &self.polls,
            &self.poll_failures,
            &self.polls_skipped,
            &self.polls_truncated,
            &self.records_unreadable,
            &self.calls_found_by_audit,
            &self.calls_implausible,
        ] {
            forget(counters, "account", account);
        }
        for gauges in [
            &self.task_up,
            &self.task_failing,
            &self.days_incomplete,
            &self.calls_waiting,
            &self.calls_waiting_for_deck,
        ] {
            forget(gauges, "account", account);
        }
        for gauges in [
            &self.task_last_success,
            &self.complete_until,
            &self.clock_skew,
            &self.calls_budget_used,
            &self.calls_budget_needed,
        ] {
            forget(gauges, "account", account);
        }
        forget(&self.poll_duration, "account", account);
    }
}

fn unix_seconds(time: Timestamp) -> f64 {
    time.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
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

    fn floats(&self, id: FamilyId) -> prometheus::Result<GaugeVec> {
        let Family { labels, .. } = id.family();
        self.add(GaugeVec::new(id.family().opts(), labels))
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
fn forget<B: MetricVecBuilder>(metrics: &MetricVec<B>, label: &str, value: &str)
where
    MetricVec<B>: Collector,
{
    for labels in label_sets(metrics, label, value) {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let _already_gone = metrics.remove_label_values(&labels);
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
            (&metrics.calls_found_by_audit, 1),
            (&metrics.calls_implausible, 1),
            (&metrics.journal_pruned, 1),
            (&metrics.http_requests, 2),
        ] {
            counters.with_label_values(&vec!["x"; labels]).inc();
        }
        for gauges in [
            &metrics.days_incomplete,
            &metrics.calls_waiting,
            &metrics.calls_waiting_for_deck,
        ] {
            gauges.with_label_values(&["x"]).set(1);
        }
        for gauges in [
            &metrics.complete_until,
            &metrics.clock_skew,
            &metrics.calls_budget_used,
            &metrics.calls_budget_needed,
        ] {
            gauges.with_label_values(&["x"]).set(1.0);
        }
        metrics.task_up.with_label_values(&["x"; 2]).set(1);
        metrics.task_failing.with_label_values(&["x"; 3]).set(1);
        metrics
            .task_last_success
            .with_label_values(&["x"; 2])
            .set(1.0);
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
            // The pipeline registers those of outputs and of instances that share a journal.
            let is_of_pipeline = family.labels.contains(&"output")
                || family.help.ends_with("Only with a journal on a server.");
            if family.source == callmeter_meter::Source::Registry && !is_of_pipeline {
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
