//! The figures of calls as OpenMetrics text with timestamps, at a steady step, for
//! `promtool tsdb create-blocks-from openmetrics`.
//!
//! Each call counts once, at its start, by its last version that the journal has. So counters
//! never decrease, and end at the values of `/metrics` plus their corrections. A series begins
//! with a sample of 0 one step before its first call, so that `increase()` includes that call.
//! Counters start at 0 with the window, not with the journal.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use arrow_array::RecordBatch;
use callmeter_meter::{Amount, Api, Block, FamilyId, Ledger, Scale, Snapshot, Values};
use callmeter_records::CallsView;

use super::batches::{Batches, Window};
use super::error::ExportError;
use super::versions::Replaced;

/// What is written.
#[derive(Debug)]
pub(super) struct Choice {
    /// The time between the samples of a series.
    pub(super) step: Duration,
    /// Whether flagged calls and the seconds of clients are written.
    pub(super) details: bool,
    /// Whether the histograms of answer and abandon are written.
    pub(super) buckets: bool,
    /// Has the settings by which calls are counted.
    pub(super) ledger: Ledger,
}

impl Choice {
    fn families(&self) -> impl Iterator<Item = FamilyId> {
        let of = |wanted: bool, families: &'static [FamilyId]| {
            let families = families.iter().copied();
            families.filter(move |_| wanted)
        };
        of(true, &COUNTS)
            .chain(of(self.details, &DETAILS))
            .chain(of(self.buckets, &HISTOGRAMS))
    }
}

const COUNTS: [FamilyId; 4] = [
    FamilyId::Calls,
    FamilyId::CallsUnanswered,
    FamilyId::CallsAbandoned,
    FamilyId::CallsAnswerUnknown,
];

const DETAILS: [FamilyId; 7] = [
    FamilyId::CallsFlagged,
    FamilyId::ClientDuration,
    FamilyId::ClientTalk,
    FamilyId::ClientRing,
    FamilyId::ClientHold,
    FamilyId::ClientTransfer,
    FamilyId::ClientWork,
];

const HISTOGRAMS: [FamilyId; 2] = [FamilyId::CallAnswer, FamilyId::CallAbandon];

/// More samples than this mean that the step is wrong: 100 million lines, about 10 GB.
const MAX_SAMPLES: u64 = 100_000_000;

/// A row, with the time at which it counts.
struct Event {
    time: i64,
    batch: usize,
    row: usize,
}

/// The series by family and by name with labels, and the changes of each: end of the step and new
/// value.
type Series = BTreeMap<(FamilyId, String), Vec<(i64, Amount)>>;

pub(super) fn write(
    mut batches: Batches,
    window: Window,
    choice: &Choice,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let step = i64::try_from(choice.step.as_micros()).unwrap_or(i64::MAX);
    let replaced = Replaced::read(&mut batches)?;
    batches.again();
    let mut kept: Vec<RecordBatch> = Vec::new();
    let mut events = Vec::new();
    for batch in batches {
        let batch = batch?;
        let number = kept.len();
        let before = events.len();
        for (row, call) in CallsView::new(&batch.records)?.rows().enumerate() {
            let time = call.start_time().unwrap_or(call.observed_at());
            if window.contains(time) && replaced.is_last(&call) {
                events.push(Event {
                    time,
                    batch: number,
                    row,
                });
            }
        }
        if events.len() > before {
            kept.push(batch.records);
        }
    }
    events.sort_by_key(|event| event.time);
    let series = count(&kept, &events, window, (step, choice))?;
    check_size(&series, window, step)?;
    print(&series, window, step, out)
}

/// Counts the events step by step and records the changes of each series.
fn count(
    batches: &[RecordBatch],
    events: &[Event],
    window: Window,
    (step, choice): (i64, &Choice),
) -> Result<Series, ExportError> {
    let mut ledger = choice.ledger.without_totals();
    let mut series = Series::new();
    let mut events = events.iter().peekable();
    while let Some(first) = events.peek() {
        let end = step_end(first.time, window, step);
        while let Some(event) = events.next_if(|event| event.time < end) {
            let Some(batch) = batches.get(event.batch) else {
                continue;
            };
            let row = batch.slice(event.row, 1);
            for account in CallsView::new(&row)?
                .rows()
                .map(|call| call.account().to_owned())
            {
                ledger.configure(&account, Api::HostedSuite);
            }
            ledger.apply_last_versions(&row)?;
        }
        record_changes(&ledger.snapshot(), end, choice, &mut series);
    }
    Ok(series)
}

/// The end of the step that contains `time`; for the last step, the end of the window.
fn step_end(time: i64, window: Window, step: i64) -> i64 {
    let passed = (time - window.from) / step + 1;
    let end = window.from.saturating_add(passed.saturating_mul(step));
    end.min(window.to)
}

fn record_changes(snapshot: &Snapshot, time: i64, choice: &Choice, series: &mut Series) {
    for family in choice.families() {
        for block in snapshot.blocks(family) {
            for row in 0..block.len() {
                each_sample(family, snapshot, &block, row, |name, value| {
                    let changes = series.get_mut(&(family, name.clone()));
                    match changes {
                        Some(changes) if changes.last().is_some_and(|(_, last)| *last == value) => {
                        }
                        Some(changes) => changes.push((time, value)),
                        // A series begins with its first call.
                        None if value.units == 0 => {}
                        None => {
                            series.insert((family, name), vec![(time, value)]);
                        }
                    }
                });
            }
        }
    }
}

/// The samples of a row: one, or those of a histogram.
fn each_sample(
    family: FamilyId,
    snapshot: &Snapshot,
    block: &Block<'_>,
    row: usize,
    mut found: impl FnMut(String, Amount),
) {
    let (name, labels) = (family.family().name, block.labels.row(row));
    let mut one = |suffix: &str, bound: &str, units: i128, scale: Scale| {
        found(
            format!("{name}{suffix}{{{labels}{bound}}}"),
            Amount { units, scale },
        );
    };
    match block.values {
        Values::Integers(values) => {
            if let Some(value) = values.get(row) {
                one("", "", (*value).into(), Scale::One);
            }
        }
        Values::Amounts(values, scale) => {
            if let Some(value) = values.get(row) {
                one("", "", *value, scale);
            }
        }
        Values::Histograms(column) => {
            let Some(row) = column.row(row) else { return };
            for (bound, count) in snapshot.view().buckets(row.buckets) {
                let bound = if bound.is_finite() {
                    format!(",le=\"{bound:?}\"")
                } else {
                    ",le=\"+Inf\"".to_owned()
                };
                one("_bucket", &bound, count.into(), Scale::One);
            }
            one("_sum", "", row.sum_ms, Scale::Milli);
            one("_count", "", row.count().into(), Scale::One);
        }
        Values::Floats(_) => {}
    }
}

/// The time of the first sample of a series, which is 0.
fn begin(changes: &[(i64, Amount)], window: Window, step: i64) -> i64 {
    let first = changes.first().map_or(window.to, |(time, _)| *time);
    // The last step may be shorter.
    let steps = (first - window.from + step - 1) / step;
    window.from + (steps - 1).max(0) * step
}

fn check_size(series: &Series, window: Window, step: i64) -> Result<(), ExportError> {
    let samples = series.values().map(|changes| {
        let steps = (window.to - begin(changes, window, step)) / step + 2;
        u64::try_from(steps).unwrap_or(u64::MAX)
    });
    let samples = samples.fold(0, u64::saturating_add);
    if samples > MAX_SAMPLES {
        return Err(ExportError::Column(format!(
            "{samples} samples are more than {MAX_SAMPLES}; choose a longer --step or a shorter time span"
        )));
    }
    Ok(())
}

fn print(
    series: &Series,
    window: Window,
    step: i64,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let mut header_of = None;
    for ((family, name), changes) in series {
        if header_of != Some(*family) {
            let entry = family.family();
            let (base, kind) = (entry.base_name(), entry.metric_type.name());
            writeln!(out, "# HELP {base} {}", entry.help)?;
            writeln!(out, "# TYPE {base} {kind}")?;
            header_of = Some(*family);
        }
        let mut time = begin(changes, window, step);
        let mut changes = changes.iter().peekable();
        let mut value = Amount {
            units: 0,
            scale: Scale::One,
        };
        loop {
            while let Some((_, new)) = changes.next_if(|(at, _)| *at <= time) {
                value = *new;
            }
            writeln!(out, "{name} {value} {}", Seconds(time))?;
            if time == window.to {
                break;
            }
            time = step_end(time, window, step);
        }
    }
    out.write_all(b"# EOF\n")?;
    Ok(())
}

/// Microseconds written as seconds, without rounding.
struct Seconds(i64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, rest) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000));
        if rest == 0 {
            write!(f, "{seconds}")
        } else {
            write!(f, "{seconds}.{rest:06}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callmeter_records::{BatchHead, Call, CallsBuilder, Reading};

    fn calls(starts: &[i64]) -> RecordBatch {
        let mut builder = CallsBuilder::with_capacity(4);
        for start in starts {
            let call = Call {
                id: Some("x"),
                client_id: Some("c"),
                center_id: Some("z"),
                start_time: Reading::Known(*start * 1_000_000),
                call_type: Some("Incoming"),
                ..Call::default()
            };
            builder.append(&call);
        }
        let head = BatchHead {
            account: "acme",
            first_sequence: 1,
            observed_at: 0,
        };
        builder.finish(&head).unwrap()
    }

    #[test]
    fn counters_begin_at_zero_and_end_at_the_total() {
        let batch = calls(&[30, 70, 70, 200]);
        let events: Vec<Event> = [30, 70, 70, 200]
            .iter()
            .enumerate()
            .map(|(row, start)| Event {
                time: start * 1_000_000,
                batch: 0,
                row,
            })
            .collect();
        let window = Window {
            from: 0,
            to: 230_000_000,
        };
        let step = 60_000_000;
        let choice = Choice {
            step: Duration::from_mins(1),
            details: false,
            buckets: false,
            ledger: Ledger::default(),
        };
        let series = count(&[batch], &events, window, (step, &choice)).unwrap();
        let mut text = Vec::new();
        print(&series, window, step, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let values: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("callmeter_calls_total{") && line.contains("incoming"))
            .filter_map(|line| line.rsplit_once('}'))
            .map(|(_, sample)| sample.trim())
            .collect();
        assert_eq!(values, ["0 0", "1 60", "3 120", "3 180", "4 230"], "{text}");
        // Nothing else has begun, not even at 0.
        assert!(
            !text.contains("outgoing") && !text.contains("flagged"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }
}
