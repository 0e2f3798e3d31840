//! The metrics of the outputs, read from the plugin host at each scrape.

use std::sync::Arc;

use callmeter_meter::FamilyId;
use callmeter_plugin_host::{OutputStatus, Outputs, StreamStatus};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

/// Collects the metrics of the outputs that run. An output that is replaced starts from 0 again.
pub(crate) struct OutputMetrics {
    outputs: Arc<Outputs>,
    descriptions: Vec<Desc>,
}

impl OutputMetrics {
    /// # Errors
    /// When the family table holds a name or label that the registry refuses; a test rules it out.
    pub(crate) fn new(outputs: Arc<Outputs>) -> prometheus::Result<Self> {
        let families = Families::new()?;
        let descriptions = families.all().flat_map(Collector::desc).cloned().collect();
        Ok(Self {
            outputs,
            descriptions,
        })
    }
}

impl Collector for OutputMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // It cannot fail, because `new` made the same families.
        Families::new().map_or_else(
            |_| Vec::new(),
            |families| families.of(&self.outputs.status()),
        )
    }
}

/// The families of one scrape.
struct Families {
    received: IntCounterVec,
    delivered: IntCounterVec,
    dropped: IntCounterVec,
    lag: IntGaugeVec,
    oldest: GaugeVec,
    up: IntGaugeVec,
}

impl Families {
    fn new() -> prometheus::Result<Self> {
        let counters = |id: FamilyId| IntCounterVec::new(id.family().opts(), id.family().labels);
        let gauges = |id: FamilyId| IntGaugeVec::new(id.family().opts(), id.family().labels);
        let oldest = FamilyId::OutputOldest.family();
        Ok(Self {
            received: counters(FamilyId::OutputReceived)?,
            delivered: counters(FamilyId::OutputDelivered)?,
            dropped: counters(FamilyId::OutputDropped)?,
            lag: gauges(FamilyId::OutputLag)?,
            oldest: GaugeVec::new(oldest.opts(), oldest.labels)?,
            up: gauges(FamilyId::OutputUp)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let all: [&dyn Collector; 6] = [
            &self.received,
            &self.delivered,
            &self.dropped,
            &self.lag,
            &self.oldest,
            &self.up,
        ];
        all.into_iter()
    }

    fn of(&self, outputs: &[OutputStatus]) -> Vec<MetricFamily> {
        for output in outputs {
            let up = self.up.with_label_values(&[&output.name]);
            up.set(output.up.into());
            for stream in &output.streams {
                self.add(&output.name, stream);
            }
        }
        self.all().flat_map(Collector::collect).collect()
    }

    fn add(&self, output: &str, status: &StreamStatus) {
        let stream = status.stream.name();
        let labels = [output, stream];
        let count = |family: &IntCounterVec, labels: &[&str], value| {
            family.with_label_values(labels).inc_by(value);
        };
        count(&self.received, &labels, status.received);
        count(&self.delivered, &labels, status.delivered);
        count(&self.dropped, &[output, stream, "refused"], status.dropped);
        let lost = status.backlog.lost;
        count(&self.dropped, &[output, stream, "retention"], lost);
        let lag = i64::try_from(status.backlog.records).unwrap_or(i64::MAX);
        self.lag.with_label_values(&labels).set(lag);
        #[expect(clippy::cast_precision_loss, reason = "a time in seconds")]
        let oldest = status.backlog.oldest_observed_at.unwrap_or(0) as f64 / 1e6;
        self.oldest.with_label_values(&labels).set(oldest);
    }
}

#[cfg(test)]
mod tests {
    use callmeter_plugin_host::OutputState;
    use callmeter_records::{Backlog, Stream};

    use super::*;

    #[test]
    fn every_figure_of_an_output_is_a_metric() {
        let calls = StreamStatus {
            stream: Stream::Calls,
            received: 170,
            delivered: 160,
            dropped: 10,
            backlog: Backlog {
                records: 7,
                oldest_observed_at: Some(2_500_000),
                lost: 3,
            },
        };
        let crm = OutputStatus {
            name: "crm".to_owned(),
            path: "/plugin.so".into(),
            state: OutputState::Running,
            up: true,
            plugin: None,
            last_error: None,
            call: None,
            restarts: 0,
            retries: 0,
            streams: vec![calls],
        };
        let families = Families::new().unwrap().of(&[crm]);
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&families)
            .unwrap();
        let mut samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        samples.sort_unstable();
        insta::assert_snapshot!(samples.join("\n"), @r#"
        callmeter_output_lag_records{output="crm",stream="calls"} 7
        callmeter_output_oldest_unacknowledged_timestamp_seconds{output="crm",stream="calls"} 2.5
        callmeter_output_records_delivered_total{output="crm",stream="calls"} 160
        callmeter_output_records_dropped_total{output="crm",reason="refused",stream="calls"} 10
        callmeter_output_records_dropped_total{output="crm",reason="retention",stream="calls"} 3
        callmeter_output_records_received_total{output="crm",stream="calls"} 170
        callmeter_output_up{output="crm"} 1
        "#);
    }
}
