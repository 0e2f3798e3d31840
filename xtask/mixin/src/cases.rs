//! The file `tests.yaml`, for `promtool test rules`: each alert and each rule in a case for it and a
//! case against it.

use serde_json::{Value, json};

use crate::alerts::{ALERTS, Alert};
use crate::names::{UnknownFamily, expand};
use crate::rules;

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

/// The file.
///
/// # Errors
/// If a series names a family that does not exist.
pub(crate) fn file() -> Result<Value, UnknownFamily> {
    let mut tests = Vec::new();
    for alert in ALERTS {
        for (case, all, firing) in [("fires", alert.fires, 1), ("is quiet", alert.quiet, 0)] {
            for series in all {
                tests.push(of_alert(alert, case, series, firing)?);
            }
        }
    }
    tests.push(of_rules(
        "the rules of a busy hour",
        &BUSY,
        |_, expected| expected,
    )?);
    let idle = BUSY.map(|(series, values)| {
        let is_level = values.contains('+');
        (series, if is_level { "7x120" } else { "0x120" })
    });
    // Without calls there are counts of 0, and no ratios.
    tests.push(of_rules("the rules of an idle hour", &idle, |rule, _| {
        if rule.contains("ratio") || rule.contains("seconds") {
            -1.0
        } else {
            0.0
        }
    })?);
    Ok(json!({
        "rule_files": ["alerts.yaml", "rules.yaml"],
        "evaluation_interval": "5m",
        "tests": tests,
    }))
}

fn inputs(series: &[(&str, &str)]) -> Result<Vec<Value>, UnknownFamily> {
    let of = |(series, values): &(&str, &str)| {
        Ok(json!({ "series": expand(series)?, "values": values }))
    };
    series.iter().map(of).collect()
}

fn of_alert(
    alert: &Alert,
    case: &str,
    series: &[(&str, &str)],
    firing: u32,
) -> Result<Value, UnknownFamily> {
    let name = alert.name;
    Ok(json!({
        "name": format!("{name} {case}"),
        "interval": "1m",
        "input_series": inputs(series)?,
        "promql_expr_test": [{
            "expr": format!("count(ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}}) or vector(0)"),
            "eval_time": format!("{}m", alert.minutes()),
            "exp_samples": [{ "labels": "{}", "value": firing }],
        }],
    }))
}

fn of_rules(
    name: &str,
    series: &[(&str, &str)],
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
        "input_series": inputs(series)?,
        "promql_expr_test": tests,
    }))
}
