//! `GET /sd`: the accounts as targets, for Prometheus' discovery over HTTP.
//!
//! For operators who scrape each account on its own, so that limits, intervals and relabelling can
//! differ. So has each entry of `charges` that reads its deck from a file. One more target has the
//! series of no account: outputs, journal, configuration.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::metrics::NO_ACCOUNT;
use super::state::WebState;

/// Responds with the targets. While the accounts are not known, it fails: Prometheus then keeps the
/// targets that it has.
pub(super) async fn targets(State(state): State<Arc<WebState>>, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST);
    let Some(host) = host.and_then(|host| host.to_str().ok()) else {
        let text = "The request has no Host header.\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    if !state.status.is_ready() {
        let text = "callmeter is not ready.\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    let snapshot = state.meter.snapshot();
    let mut accounts = state.metrics.polled();
    accounts.extend(snapshot.accounts().map(|(account, _)| account.to_owned()));
    // An empty value would be the same as none: Prometheus leaves empty labels out.
    let accounts = accounts.into_iter().chain([NO_ACCOUNT.to_owned()]);
    let path = &state.args.telemetry_path;
    let targets: Vec<Value> = accounts
        .map(|account| {
            // All targets have one address, so each needs a label `instance` of its own. A name
            // with brackets, as in `account[]`, is not valid in every version of Prometheus.
            let labels = json!({
                "__metrics_path__": path,
                "__param_account": account,
                "instance": format!("{host}/{account}"),
            });
            json!({ "targets": [host], "labels": labels })
        })
        .collect();
    Json(targets).into_response()
}
