//! How the outputs stand, on the status status and in the metrics.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use callmeter_plugin_host::{OutputState, OutputStatus as HostStatus, StreamStatus};
use jiff::Timestamp;

use crate::context::AppContext;
use crate::selfmetrics::SelfMetrics;
use crate::status::{OutputStatus, OutputStreamStatus};

/// Turns the outputs' own counters, which begin anew with each output that starts, into metrics.
#[derive(Debug, Default)]
pub(super) struct OutputMetrics {
    /// Counters as they were at the last look, by output and stream.
    seen: Mutex<HashMap<(String, &'static str), StreamStatus>>,
}

impl OutputMetrics {
    /// Looks at the outputs and shows how they stand.
    pub(super) fn show(&self, app: &AppContext) {
        let mut shown: Vec<OutputStatus> = Vec::new();
        for status in app.outputs.status() {
            let up = app
                .metrics
                .output_up
                .with_label_values(&[status.name.as_str()]);
            up.set(status.up.into());
            for stream in &status.streams {
                self.count(&app.metrics, &status.name, stream);
            }
            shown.push(shown_status(app, &status));
        }
        shown.sort_by(|a, b| a.name.cmp(&b.name));
        app.status.set_outputs(shown);
    }

    /// Removes an output's series, for when it is stopped.
    pub(super) fn forget(&self, metrics: &SelfMetrics, output: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(name, _), _| name != output);
        metrics.forget_output(output);
    }

    fn count(&self, metrics: &SelfMetrics, output: &str, now: &StreamStatus) {
        let stream = now.stream.name();
        let labels = [output, stream];
        let key = (output.to_owned(), stream);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.insert(key, *now);
        let grown = |counter: fn(&StreamStatus) -> u64| {
            counter(now).saturating_sub(before.as_ref().map_or(0, counter))
        };
        metrics
            .output_received
            .with_label_values(&labels)
            .inc_by(grown(|status| status.received));
        metrics
            .output_delivered
            .with_label_values(&labels)
            .inc_by(grown(|status| status.delivered));
        metrics
            .output_dropped
            .with_label_values(&[output, stream, "refused"])
            .inc_by(grown(|status| status.dropped));
        let lag = i64::try_from(now.lag_records).unwrap_or(i64::MAX);
        metrics.output_lag.with_label_values(&labels).set(lag);
        #[expect(clippy::cast_precision_loss, reason = "a time in seconds")]
        let oldest = now.oldest_unacknowledged.unwrap_or(0) as f64 / 1e6;
        metrics.output_oldest.with_label_values(&labels).set(oldest);
    }
}

fn shown_status(app: &AppContext, status: &HostStatus) -> OutputStatus {
    let plugin = status.plugin.as_ref();
    let failing = !status.up || status.state != OutputState::Running;
    let streams: BTreeMap<String, OutputStreamStatus> = status
        .streams
        .iter()
        .map(|stream| (stream.stream.name().to_owned(), shown_stream(stream)))
        .collect();
    OutputStatus {
        name: status.name.clone(),
        plugin: plugin.map(|plugin| plugin.path.clone()).unwrap_or_default(),
        description: plugin.map(|plugin| format!("{} {}", plugin.name, plugin.version)),
        up: status.up,
        state: status.state.name().to_owned(),
        error: status
            .last_error
            .as_ref()
            .filter(|_| failing)
            .map(|error| app.redactor.scrub(&error.text)),
        streams,
    }
}

fn shown_stream(stream: &StreamStatus) -> OutputStreamStatus {
    OutputStreamStatus {
        received: stream.received,
        delivered: stream.delivered,
        dropped: stream.dropped,
        lag: stream.lag_records,
        oldest: stream
            .oldest_unacknowledged
            .and_then(|micros| Timestamp::from_microsecond(micros).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callmeter_records::Stream;

    fn delivered(delivered: u64) -> StreamStatus {
        StreamStatus {
            stream: Stream::Calls,
            received: delivered,
            delivered,
            dropped: 0,
            lag_records: 1,
            oldest_unacknowledged: Some(2_500_000),
            lost: 0,
        }
    }

    #[test]
    fn an_exchanged_output_counts_from_nothing_again() {
        let metrics = SelfMetrics::new().unwrap();
        let outputs = OutputMetrics::default();
        let shown = || {
            metrics
                .output_delivered
                .with_label_values(&["crm", "calls"])
                .get()
        };
        for (now, total) in [(0, 0), (70, 70), (100, 100)] {
            outputs.count(&metrics, "crm", &delivered(now));
            assert_eq!(shown(), total);
        }
        outputs.forget(&metrics, "crm");
        // It may have delivered more than its predecessor before anybody looks.
        outputs.count(&metrics, "crm", &delivered(170));
        assert_eq!(shown(), 170);
        let oldest = metrics
            .output_oldest
            .with_label_values(&["crm", "calls"])
            .get();
        assert!((oldest - 2.5).abs() < 1e-9);
    }
}
