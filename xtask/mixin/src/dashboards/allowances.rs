//! The dashboard of allowances, spend, balances and rates.

use serde_json::Value;

use super::parts::{ACCOUNT, CLIENT, graph, stat};
use crate::names::UnknownFamily;
use crate::panels::{Board, Panel};

pub(super) fn board() -> Result<Value, UnknownFamily> {
    let mut board = Board::new();
    for panel in [
        stat(
            "Clients that will exceed",
            "Clients whose forecast is above their allowance.",
            "short",
            &[(
                "sum(account:callmeter_allowance_forecast_over:count{account=~\"$account\"})",
                "clients",
            )],
        ),
        stat(
            "Clients that exceeded",
            "",
            "short",
            &[(
                "sum(one({AllowanceUsedRatio}{account=~\"$account\", client_id=~\"$client\"}) > bool 1)",
                "clients",
            )],
        ),
        stat(
            "Period elapsed",
            "",
            "percentunit",
            &[(
                "max({AllowancePeriodElapsedRatio}{account=~\"$account\"})",
                "elapsed",
            )],
        ),
        stat(
            "Balance",
            "Of the tenants at PortSIP.",
            "short",
            &[(
                "sum by (account, currency) (one({PortsipBalance}{account=~\"$account\"}))",
                "{{account}} {{currency}}",
            )],
        ),
        Panel {
            kind: "table",
            size: (24, 12),
            ..graph(
                "Clients",
                "Share of the allowance that is used, share of the period that has passed, and the share that will be used at its end.",
                "short",
                &[
                    (
                        "max by (account, client_id) ({AllowanceUsedRatio}{account=~\"$account\", client_id=~\"$client\"})",
                        "used",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceForecastRatio}{account=~\"$account\", client_id=~\"$client\"})",
                        "forecast",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceUsedRatio}{account=~\"$account\", client_id=~\"$client\"} * 0 + on (account) group_left () max by (account) ({AllowancePeriodElapsedRatio}))",
                        "elapsed",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceLimitCalls}{account=~\"$account\", client_id=~\"$client\"})",
                        "limit (calls)",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceUsedCalls}{account=~\"$account\", client_id=~\"$client\"})",
                        "used (calls)",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceLimitSeconds}{account=~\"$account\", client_id=~\"$client\"} / 60)",
                        "limit (minutes)",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceUsedSeconds}{account=~\"$account\", client_id=~\"$client\"} / 60)",
                        "used (minutes)",
                    ),
                    (
                        "max by (account, client_id, client_name) ({ClientInfo}{account=~\"$account\", client_id=~\"$client\"})",
                        "client",
                    ),
                ],
            )
        },
        Panel {
            kind: "bargauge",
            ..graph(
                "Highest forecasts",
                "Above 100 %, the allowance will be exceeded.",
                "percentunit",
                &[(
                    "topk(15, one({AllowanceForecastRatio}{account=~\"$account\", client_id=~\"$client\"}))",
                    "{{client_id}}",
                )],
            )
        },
        graph(
            "Used share",
            "",
            "percentunit",
            &[(
                "topk(15, one({AllowanceUsedRatio}{account=~\"$account\", client_id=~\"$client\"}))",
                "{{client_id}}",
            )],
        ),
        graph(
            "Balance",
            "",
            "short",
            &[(
                "one({PortsipBalance}{account=~\"$account\"})",
                "{{account}} {{currency}}",
            )],
        ),
        graph(
            "Spend an hour",
            "What calls cost by the rate deck, as `charges` says. Later edits are not in it.",
            "short",
            &[(
                "topk(15, sum by (client_id, currency) (one(grown({Charges}{account=~\"$account\", client_id=~\"$client\"}[1h]))))",
                "{{client_id}} {{currency}}",
            )],
        ),
        Panel {
            kind: "bargauge",
            ..graph(
                "Spend in the last 30 days, by client",
                "What calls cost by the rate deck. Later edits are not in it.",
                "short",
                &[(
                    "topk(15, sum by (client_id, currency) (one(grown({Charges}{account=~\"$account\", client_id=~\"$client\"}[30d]))))",
                    "{{client_id}} {{currency}}",
                )],
            )
        },
        Panel {
            kind: "bargauge",
            ..graph(
                "Spend in the last day, by rate type",
                "The destinations that cost the most.",
                "short",
                &[(
                    "topk(15, sum by (rate_type, currency) (one(grown({Charges}{account=~\"$account\", client_id=~\"$client\"}[1d]))))",
                    "{{rate_type}} {{currency}}",
                )],
            )
        },
        graph(
            "Calls not charged, by reason",
            "In an hour. docs/CHARGES.md says what the reasons mean.",
            "short",
            &[(
                "sum by (account, reason) (one(grown({CallsNotCharged}{account=~\"$account\"}[1h])))",
                "{{account}} {{reason}}",
            )],
        ),
        graph(
            "Calls waiting for a deck",
            "They are charged when the rate deck and its currency have been read.",
            "short",
            &[(
                "one({CallsWaitingForDeck}{account=~\"$account\"})",
                "{{account}}",
            )],
        ),
        graph(
            "Mean price per minute",
            "",
            "short",
            &[(
                "one({CallRatePrice}{account=~\"$account\", aggregate=\"mean\", interval=\"first\"})",
                "{{rate_type}} {{currency}}",
            )],
        ),
        graph(
            "Rates in the deck",
            "",
            "short",
            &[(
                "one({CallRates}{account=~\"$account\"})",
                "{{account}} {{rate_type}}",
            )],
        ),
        graph(
            "Changes of rates",
            "",
            "short",
            &[(
                "sum by (account, change) (one(grown({CallRatesChanged}{account=~\"$account\"}[1h])))",
                "{{account}} {{change}}",
            )],
        ),
        graph(
            "Calls billed and not counted, or the reverse",
            "Calls that the balance bills minus calls that callmeter counted.",
            "short",
            &[(
                "topk(10, abs(one({CallsReconciliationDifference}{account=~\"$account\", client_id=~\"$client\"})))",
                "{{client_id}}",
            )],
        ),
        graph(
            "Talk time an hour",
            "",
            "s",
            &[(
                "topk(15, sum by (client_id) (one(increase({ClientTalk}{account=~\"$account\", client_id=~\"$client\"}[1h]))))",
                "{{client_id}}",
            )],
        ),
    ] {
        board.add(&panel)?;
    }
    board.finish(
        "callmeter-allowances",
        "callmeter / Allowances and spend",
        &[ACCOUNT, CLIENT],
    )
}
