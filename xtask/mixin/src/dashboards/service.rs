//! The dashboard of service: calls, service level, speed of answer.

use serde_json::Value;

use super::parts::{ACCOUNT, CENTER, CLIENT, FULL, graph, stat};
use crate::names::UnknownFamily;
use crate::panels::{Board, Panel};
use crate::rules::THRESHOLD_SECONDS;

pub(super) fn board() -> Result<Value, UnknownFamily> {
    let mut board = Board::new();
    let in_time = format!(
        "Incoming calls answered within {THRESHOLD_SECONDS} s, of those that were offered. Calls that rang only shortly are left out."
    );
    for panel in [
        stat(
            "Calls in the last hour",
            "",
            "short",
            &[(
                "sum(account:callmeter_calls:increase1h{account=~\"$account\"})",
                "calls",
            )],
        ),
        stat(
            "Service level",
            &in_time,
            "percentunit",
            &[(
                "sum(account:callmeter_service_level:ratio1h{account=~\"$account\"} * account:callmeter_offered:increase1h) / sum(account:callmeter_offered:increase1h{account=~\"$account\"} > 0)",
                "service level",
            )],
        ),
        stat(
            "Abandoned",
            "Incoming calls that nobody answered, of those that were offered.",
            "percentunit",
            &[(
                "sum(account:callmeter_abandoned:ratio1h{account=~\"$account\"} * account:callmeter_offered:increase1h) / sum(account:callmeter_offered:increase1h{account=~\"$account\"} > 0)",
                "abandoned",
            )],
        ),
        stat(
            "Speed of answer",
            "Mean ring time of answered incoming calls.",
            "s",
            &[(
                "avg(account:callmeter_answer_seconds:mean1h{account=~\"$account\"})",
                "mean",
            )],
        ),
        stat(
            "Speed of answer, 95 %",
            "95 % of answered incoming calls rang no longer.",
            "s",
            &[(
                "max(account:callmeter_answer_seconds:p95_1h{account=~\"$account\"})",
                "95 %",
            )],
        ),
        stat(
            "Flagged in the last day",
            "",
            "short",
            &[(
                "sum(one(increase({CallsFlagged}{account=~\"$account\", client_id=~\"$client\"}[1d])))",
                "flagged",
            )],
        ),
        graph(
            "Calls an hour by direction",
            "",
            "short",
            &[(
                "sum by (direction) (one(grown({Calls}{account=~\"$account\", center_id=~\"$center\", client_id=~\"$client\"}[1h])))",
                "{{direction}}",
            )],
        ),
        graph(
            "Service level by center",
            &in_time,
            "percentunit",
            &[(
                "account_center:callmeter_service_level:ratio1h{account=~\"$account\", center_id=~\"$center\"}",
                "{{account}} {{center_id}}",
            )],
        ),
        graph(
            "Abandoned by center",
            "",
            "percentunit",
            &[(
                "account_center:callmeter_abandoned:ratio1h{account=~\"$account\", center_id=~\"$center\"}",
                "{{account}} {{center_id}}",
            )],
        ),
        graph(
            "Speed of answer by center",
            "Mean and 95 %.",
            "s",
            &[
                (
                    "account_center:callmeter_answer_seconds:mean1h{account=~\"$account\", center_id=~\"$center\"}",
                    "{{center_id}} mean",
                ),
                (
                    "account_center:callmeter_answer_seconds:p95_1h{account=~\"$account\", center_id=~\"$center\"}",
                    "{{center_id}} 95 %",
                ),
            ],
        ),
        graph(
            "Calls an hour by center",
            "",
            "short",
            &[(
                "account_center:callmeter_calls:increase1h{account=~\"$account\", center_id=~\"$center\"}",
                "{{account}} {{center_id}}",
            )],
        ),
        Panel {
            kind: "bargauge",
            ..graph(
                "Clients with the most calls in the last hour",
                "",
                "short",
                &[(
                    "topk(15, account_client:callmeter_calls:increase1h{account=~\"$account\", client_id=~\"$client\"} > 0)",
                    "{{client_id}}",
                )],
            )
        },
        graph(
            "Service level by client",
            "Only with `metrics.client_histograms`.",
            "percentunit",
            &[(
                "account_client:callmeter_service_level:ratio1h{account=~\"$account\", client_id=~\"$client\"}",
                "{{client_id}}",
            )],
        ),
        graph(
            "Ring times of abandoned calls",
            "How long callers wait.",
            "s",
            &[(
                "histogram_quantile(0.5, sum by (le) (one(increase({CallAbandon}_bucket{account=~\"$account\", center_id=~\"$center\", direction=\"incoming\"}[1h]))))",
                "median",
            )],
        ),
    ] {
        board.add(&panel)?;
    }
    // A row for each hour: PromQL has no other way to a table of days and hours.
    let hours: Vec<(String, String)> = (0..24)
        .map(|hour| {
            let query = format!(
                "sum(account:callmeter_calls:increase1h{{account=~\"$account\"}}) and on () hour() == {hour}"
            );
            (query, format!("{hour:02}"))
        })
        .collect();
    let hours: Vec<(&str, &str)> = hours
        .iter()
        .map(|(query, hour)| (query.as_str(), hour.as_str()))
        .collect();
    board.add(&Panel {
        kind: "heatmap",
        size: FULL,
        ..graph(
            "Calls by hour of the day",
            "Hours in UTC. Choose a time span of a week.",
            "short",
            &hours,
        )
    })?;
    board.finish(
        "callmeter-service",
        "callmeter / Service",
        &[ACCOUNT, CENTER, CLIENT],
    )
}
