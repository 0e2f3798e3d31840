//! The recording rules: service level, abandoned calls, speed of answer, calls, allowances.

use serde_json::{Value, json};

use crate::names::{UnknownFamily, expand};

/// Calls that are answered within this many seconds are answered in time.
pub const THRESHOLD_SECONDS: u32 = 20;

/// A recording rule.
pub struct Rule {
    /// `level:metric:operation`.
    pub record: String,
    /// The query.
    pub expr: String,
}

/// The value of `le` for a number of seconds: OpenMetrics and Prometheus 3 write `20.0`.
fn within(seconds: u32) -> String {
    format!("le=~\"{seconds}|{seconds}.0\"")
}

/// All rules.
///
/// # Errors
/// If a query names a family that does not exist.
pub fn all() -> Result<Vec<Rule>, UnknownFamily> {
    let mut rules = Vec::new();
    let mut add = |record: String, expr: String| -> Result<(), UnknownFamily> {
        let expr = expand(&expr)?;
        rules.push(Rule { record, expr });
        Ok(())
    };
    for (level, by) in [
        ("account", "account"),
        ("account_center", "account, center_id"),
        ("account_client", "account, client_id"),
    ] {
        add(
            format!("{level}:callmeter_calls:increase1h"),
            format!("sum by ({by}) (one(grown({{Calls}}[1h])))"),
        )?;
        let in_time = within(THRESHOLD_SECONDS);
        let incoming = "direction=\"incoming\"";
        let selector = if level == "account_client" {
            // Only with `client_histograms`; otherwise these families have no label client_id.
            format!("{incoming}, client_id!=\"\"")
        } else {
            incoming.to_owned()
        };
        let abandoned =
            format!("sum by ({by}) (one(increase({{CallsAbandoned}}{{{selector}}}[1h])))");
        let answered =
            format!("sum by ({by}) (one(increase({{CallAnswer}}_count{{{selector}}}[1h])))");
        let rate =
            |of: &str| format!("sum by ({by}) (one(rate({{CallAnswer}}_{of}{{{selector}}}[1h])))");
        add(
            format!("{level}:callmeter_offered:increase1h"),
            format!("{answered}\n+ {abandoned}"),
        )?;
        // Without calls there is no level, so the ratio is absent instead of not a number.
        let offered = format!("({level}:callmeter_offered:increase1h > 0)");
        add(
            format!("{level}:callmeter_service_level:ratio1h"),
            format!(
                "sum by ({by}) (one(increase({{CallAnswer}}_bucket{{{selector}, {in_time}}}[1h])))\n/ {offered}"
            ),
        )?;
        add(
            format!("{level}:callmeter_abandoned:ratio1h"),
            format!("{abandoned}\n/ {offered}"),
        )?;
        add(
            format!("{level}:callmeter_answer_seconds:mean1h"),
            format!("{}\n/ ({} > 0)", rate("sum"), rate("count")),
        )?;
        add(
            format!("{level}:callmeter_answer_seconds:p95_1h"),
            format!(
                "histogram_quantile(0.95, sum by ({by}, le) (one(rate({{CallAnswer}}_bucket{{{selector}}}[1h]))))\n\
                 and on ({by}) {offered}"
            ),
        )?;
    }
    add(
        "account:callmeter_allowance_used:max".to_owned(),
        "max by (account) (held({AllowanceUsedRatio}))".to_owned(),
    )?;
    add(
        "account:callmeter_allowance_forecast_over:count".to_owned(),
        "sum by (account) (held({AllowanceForecastRatio}) > bool 1)".to_owned(),
    )?;
    Ok(rules)
}

/// The file `rules.yaml`.
///
/// # Errors
/// If a query names a family that does not exist.
pub fn file() -> Result<Value, UnknownFamily> {
    let rules = all()?
        .into_iter()
        .map(|rule| json!({ "record": rule.record, "expr": rule.expr }));
    let rules: Vec<Value> = rules.collect();
    Ok(json!({ "groups": [{ "name": "callmeter.rules", "rules": rules }] }))
}
