//! The calls counters as OpenMetrics text with timestamps, at a steady step, for
//! `promtool tsdb create-blocks-from openmetrics`.
//!
//! A call counts at its start, an edit when it was read. So counters never decrease, and end at the
//! value of `/metrics`. Every series starts with a sample of 0, so that `increase()` includes its
//! first call. Counters start at 0 with the window, not with the journal.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use arrow_array::RecordBatch;
use callmeter_meter::{Api, FamilyId, Ledger, Limits, Snapshot, Values};
use callmeter_records::{CallsView, Change, Stream};

use super::batches::{Batches, Window};
use super::error::ExportError;

const FAMILIES: [FamilyId; 4] = [
    FamilyId::Calls,
    FamilyId::CallsUnanswered,
    FamilyId::CallsAnswerUnknown,
    FamilyId::CallsFlagged,
];

/// More samples than this mean that the step is wrong: 100 million lines, about 10 GB.
const MAX_SAMPLES: u64 = 100_000_000;

/// A row, with the time at which it counts.
struct Event {
    time: i64,
    batch: usize,
    row: usize,
}

/// The changes of a series: end of the step and new value.
type Changes = Vec<(i64, u64)>;

pub(super) fn write(
    batches: Batches,
    window: Window,
    step: Duration,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let step = i64::try_from(step.as_micros())
        .unwrap_or(i64::MAX)
        .max(1_000_000);
    let mut kept: Vec<RecordBatch> = Vec::new();
    let mut events = Vec::new();
    for batch in batches {
        let batch = batch?;
        let number = kept.len();
        let before = events.len();
        for (row, call) in CallsView::new(&batch.records)?.rows().enumerate() {
            let time = match call.change() {
                Some(Change::Revised) => call.observed_at(),
                _ => call.start_time().unwrap_or(call.observed_at()),
            };
            if window.contains(time) {
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
    // The sort is stable: rows of the same time stay in the journal's order, an edit after its
    // call.
    events.sort_by_key(|event| event.time);
    let series = count(&kept, &events, window, step)?;
    check_size(&series, window, step)?;
    print(&series, window, step, out)
}

/// Counts the events step by step and records the changes of each series.
fn count(
    batches: &[RecordBatch],
    events: &[Event],
    window: Window,
    step: i64,
) -> Result<BTreeMap<(FamilyId, String), Changes>, ExportError> {
    let mut ledger = Ledger::new(Limits::default());
    let mut series: BTreeMap<(FamilyId, String), Changes> = BTreeMap::new();
    let mut number = 0;
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
            number += 1;
            ledger.apply(number, Stream::Calls, &row)?;
        }
        record_changes(&ledger.snapshot(), end, &mut series);
    }
    Ok(series)
}

/// The end of the step that contains `time`; for the last step, the end of the window.
fn step_end(time: i64, window: Window, step: i64) -> i64 {
    let passed = (time - window.from) / step + 1;
    let end = window.from.saturating_add(passed.saturating_mul(step));
    end.min(window.to)
}

fn record_changes(
    snapshot: &Snapshot,
    time: i64,
    series: &mut BTreeMap<(FamilyId, String), Changes>,
) {
    for family in FAMILIES {
        for block in snapshot.blocks(family) {
            let Values::Integers(values) = block.values else {
                continue;
            };
            for (row, value) in values.iter().enumerate() {
                let key = (family, block.labels.row(row).to_owned());
                let changes = series.entry(key).or_default();
                if changes.last().map_or(0, |(_, last)| *last) != *value {
                    changes.push((time, *value));
                }
            }
        }
    }
}

fn check_size(
    series: &BTreeMap<(FamilyId, String), Changes>,
    window: Window,
    step: i64,
) -> Result<(), ExportError> {
    let steps = u64::try_from((window.to - window.from) / step + 2).unwrap_or(u64::MAX);
    let samples = steps.saturating_mul(series.len() as u64);
    if samples > MAX_SAMPLES {
        return Err(ExportError::Column(format!(
            "{samples} samples are more than {MAX_SAMPLES}; choose a longer --step or a shorter time span"
        )));
    }
    Ok(())
}

fn print(
    series: &BTreeMap<(FamilyId, String), Changes>,
    window: Window,
    step: i64,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let mut header_of = None;
    for ((family, labels), changes) in series {
        if header_of != Some(*family) {
            let entry = family.family();
            writeln!(out, "# HELP {} {}", entry.base_name(), entry.help)?;
            writeln!(out, "# TYPE {} counter", entry.base_name())?;
            header_of = Some(*family);
        }
        let mut changes = changes.iter().peekable();
        let mut value = 0;
        let mut time = window.from;
        loop {
            while let Some((_, new)) = changes.next_if(|(at, _)| *at <= time) {
                value = *new;
            }
            writeln!(
                out,
                "{}{{{labels}}} {value} {}",
                family.family().name,
                Seconds(time)
            )?;
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
        let series = count(&[batch], &events, window, step).unwrap();
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
        assert!(text.ends_with("# EOF\n"));
    }
}
