//! The files `tests.yaml` and `tests-instances.yaml`, for `promtool test rules`: each alert and each
//! rule in a case for it and a case against it, with one instance, and with two of which one dies.

use serde_json::{Value, json};

use crate::alerts::{ALERTS, Alert};
use crate::names::{UnknownFamily, expand};
use crate::rules;
use crate::two_instances;

/// A client with a call a minute: 48 of 60 are answered, 30 of them in time, 12 are abandoned.
const BUSY: [(&str, &str); 9] = [
    (
        "{Calls}{account=\"a\", client_id=\"c\", center_id=\"z\", direction=\"incoming\"}",
        "0+1x120",
    ),
    (
        "{CallAnswer}_bucket{account=\"a\", client_id=\"c\", center_id=\"z\", direction=\"incoming\", le=\"20.0\"}",
        "0+0.5x120",
    ),
    (
        "{CallAnswer}_bucket{account=\"a\", client_id=\"c\", center_id=\"z\", direction=\"incoming\", le=\"+Inf\"}",
        "0+0.8x120",
    ),
    (
        "{CallAnswer}_count{account=\"a\", client_id=\"c\", center_id=\"z\", direction=\"incoming\"}",
        "0+0.8x120",
    ),
    (
        "{CallAnswer}_sum{account=\"a\", client_id=\"c\", center_id=\"z\", direction=\"incoming\"}",
        "0+8x120",
    ),
    (
        "{CallAbandon}_count{account=\"a\", client_id=\"c\", center_id=\"z\", direction=\"incoming\"}",
        "0+0.3x120",
    ),
    (
        "{CallsAbandoned}{account=\"a\", client_id=\"c\", center_id=\"z\", direction=\"incoming\"}",
        "0+0.2x120",
    ),
    (
        "{AllowanceUsedRatio}{account=\"a\", client_id=\"c\"}",
        "0.7x120",
    ),
    (
        "{AllowanceForecastRatio}{account=\"a\", client_id=\"c\"}",
        "1.2x120",
    ),
];

/// What the rules say of it, by the end of their names.
const EXPECTED: [(&str, f64); 8] = [
    ("callmeter_calls:increase1h", 60.0),
    ("callmeter_offered:increase1h", 60.0),
    ("callmeter_service_level:ratio1h", 0.5),
    ("callmeter_abandoned:ratio1h", 0.2),
    ("callmeter_answer_seconds:mean1h", 10.0),
    // The highest bound of a bucket.
    ("callmeter_answer_seconds:p95_1h", 20.0),
    ("callmeter_allowance_used:max", 0.7),
    ("callmeter_allowance_forecast_over:count", 1.0),
];

/// The files.
///
/// # Errors
/// If a series names a family that does not exist.
pub(crate) fn files() -> Result<[Value; 2], UnknownFamily> {
    let mut tests = Vec::new();
    let mut of_instances = Vec::new();
    for alert in ALERTS {
        for (case, all, firing) in [("fires", alert.fires, 1), ("is quiet", alert.quiet, 0)] {
            for series in all {
                let minutes = alert.minutes();
                tests.push(of_alert(alert, case, &inputs(series)?, minutes, firing));
                if !is_of_instance(alert, series) {
                    let from = needless(alert);
                    let dies = minute(minutes - from) - DIED;
                    let two = inputs(&two_instances::of(series, minute(from), dies))?;
                    let case = format!("{case}, and an instance dies");
                    of_instances.push(of_alert(alert, &case, &two, minutes - from, firing));
                }
            }
        }
    }
    let busy = "the rules of a busy hour";
    tests.push(of_rules(busy, &inputs(&BUSY)?, |_, expected| expected)?);
    // Nothing counts twice, whether the other instance lives or not.
    for dies in [200, 119, 90] {
        let name = format!("{busy}, and an instance dies in the minute {dies}");
        let two = inputs(&two_instances::of(&BUSY, 0, dies))?;
        of_instances.push(of_rules(&name, &two, |_, expected| expected)?);
    }
    let idle = BUSY.map(|(series, values)| {
        let is_level = values.contains('+');
        (series, if is_level { "7x120" } else { "0x120" })
    });
    // Without calls there are counts of 0, and no ratios.
    tests.push(of_rules(
        "the rules of an idle hour",
        &inputs(&idle)?,
        |rule, _| {
            if rule.contains("ratio") || rule.contains("seconds") {
                -1.0
            } else {
                0.0
            }
        },
    )?);
    // An instance that starts has no new clients.
    let new_instance = [
        (
            "{Calls}{account=\"a\", client_id=\"c\", instance=\"one\"}",
            "7x120",
        ),
        (
            "{Calls}{account=\"a\", client_id=\"c\", instance=\"two\"}",
            "_x100 7x20",
        ),
        (
            "{Calls}{account=\"a\", client_id=\"new\", instance=\"one\"}",
            "_x100 5+1x20",
        ),
        (
            "{Calls}{account=\"a\", client_id=\"new\", instance=\"two\"}",
            "_x100 5+1x20",
        ),
    ];
    let new_client = [
        ("{Calls}{account=\"a\", client_id=\"c\"}", "7x120"),
        ("{Calls}{account=\"a\", client_id=\"new\"}", "_x100 5+1x20"),
    ];
    for (name, series) in [
        (
            "the first calls of a new client count",
            inputs(&new_client)?,
        ),
        ("those of a new instance do not", inputs(&new_instance)?),
    ] {
        tests.push(json!({
            "name": name,
            "interval": "1m",
            "input_series": series,
            "promql_expr_test": [{
                "expr": "sum(account:callmeter_calls:increase1h)",
                "eval_time": "120m",
                "exp_samples": [{ "labels": "{}", "value": 25 }],
            }],
        }));
    }
    let file = |tests: Vec<Value>| {
        json!({
            "rule_files": ["alerts.yaml", "rules.yaml"],
            "evaluation_interval": "5m",
            "tests": tests,
        })
    };
    Ok([file(tests), file(of_instances)])
}

/// The minutes at the beginning of a case that its alert does not look back to. Without them the test
/// takes less time.
fn needless(alert: &Alert) -> u32 {
    let looks_far = ["6h", "1d", "1w"]
        .iter()
        .any(|span| alert.expr.contains(span));
    if looks_far || alert.after == "6h" {
        0
    } else {
        400
    }
}

/// How long before its case is looked at an instance dies, in minutes.
const DIED: usize = 7;

fn minute(minute: u32) -> usize {
    usize::try_from(minute).unwrap_or(usize::MAX)
}

/// Whether a case names instances, or its alert is about an instance, and ends with it.
fn is_of_instance(alert: &Alert, series: &[(&str, &str)]) -> bool {
    let is_named = series
        .iter()
        .any(|(series, _)| series.contains("instance="));
    let is_of_all = |of_all: &&str| alert.expr.contains(of_all);
    is_named || !["one(", "held(", "increase("].iter().any(is_of_all)
}

fn inputs<S: AsRef<str>>(series: &[(S, S)]) -> Result<Vec<Value>, UnknownFamily> {
    let of = |(series, values): &(S, S)| {
        Ok(json!({ "series": expand(series.as_ref())?, "values": values.as_ref() }))
    };
    series.iter().map(of).collect()
}

fn of_alert(alert: &Alert, case: &str, inputs: &[Value], minutes: u32, firing: u32) -> Value {
    let name = alert.name;
    json!({
        "name": format!("{name} {case}"),
        "interval": "1m",
        "input_series": inputs,
        "promql_expr_test": [{
            "expr": format!("count(ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}}) or vector(0)"),
            "eval_time": format!("{minutes}m"),
            "exp_samples": [{ "labels": "{}", "value": firing }],
        }],
    })
}

fn of_rules(
    name: &str,
    inputs: &[Value],
    expected: impl Fn(&str, f64) -> f64,
) -> Result<Value, UnknownFamily> {
    let mut tests = Vec::new();
    for rule in rules::all()? {
        let known = EXPECTED.iter().find(|(end, _)| rule.record.ends_with(end));
        let value = expected(&rule.record, known.map_or(f64::NAN, |(_, value)| *value));
        tests.push(json!({
            "expr": format!("round(sum({}), 0.001) or vector(-1)", rule.record),
            "eval_time": "120m",
            "exp_samples": [{ "labels": "{}", "value": value }],
        }));
    }
    Ok(json!({
        "name": name,
        "interval": "1m",
        "input_series": inputs,
        "promql_expr_test": tests,
    }))
}
