//! `/_sim`: controls of the ledger, the clock and the faults.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::faults::Faults;
use crate::ledger::LedgerQuery;
use crate::state::State;

type Simulator = Shared<Arc<State>>;
/// The answer, or what is wrong with the request.
type Answer = Result<Response, (StatusCode, String)>;

pub(crate) fn router(state: &Arc<State>) -> Router {
    Router::new()
        .route("/_sim/ledger", get(ledger))
        .route(
            "/_sim/faults",
            get(faults).post(change_faults).delete(end_faults),
        )
        .route("/_sim/clock", get(clock).post(move_clock))
        .route("/_sim/requests", get(requests))
        .route("/_sim/ca.pem", get(certificate))
        .fallback(async || {
            let known = "there are /_sim/ledger, faults, clock, requests and ca.pem\n";
            (StatusCode::NOT_FOUND, known)
        })
        .with_state(Arc::clone(state))
}

async fn ledger(Shared(state): Simulator, RawQuery(query): RawQuery) -> Answer {
    let mut wanted = LedgerQuery::default();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let time = || {
            (value.parse::<Timestamp>())
                .map(Some)
                .map_err(|error| refused(format!("{name}: {error}; write 2026-08-06T08:45:00Z")))
        };
        match (&*name, &*value) {
            ("settled_before", _) => wanted.settled_before = time()?,
            ("started_after", _) => wanted.started_after = time()?,
            ("ids", "true" | "false") => wanted.without_ids = value == "false",
            _ => {
                let known = "settled_before, started_after and ids=true|false";
                return Err(refused(format!("{name}={value}: a ledger takes {known}")));
            }
        }
    }
    // A ledger of a million calls takes a while.
    let ledger = tokio::task::spawn_blocking(move || state.ledger(&wanted))
        .await
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(as_json(&ledger))
}

async fn faults(Shared(state): Simulator) -> Response {
    as_json(&state.faults())
}

async fn change_faults(Shared(state): Simulator, body: Bytes) -> Answer {
    let changes: Map<String, Value> = read(&body)?;
    let mut faults = state.faults();
    faults
        .merge(&changes)
        .map_err(|error| refused(error.to_string()))?;
    state.set_faults(faults.clone());
    Ok(as_json(&faults))
}

async fn end_faults(Shared(state): Simulator) -> Response {
    state.set_faults(Faults::default());
    as_json(&Faults::default())
}

async fn clock(Shared(state): Simulator) -> Response {
    as_json(&state.clock.read())
}

/// Changes of the clock, which are applied in this order.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ClockChange {
    speed: Option<f64>,
    freeze: Option<bool>,
    set: Option<Timestamp>,
    /// In simulated seconds.
    advance: Option<u32>,
}

async fn move_clock(Shared(state): Simulator, body: Bytes) -> Answer {
    let change: ClockChange = read(&body)?;
    let clock = &state.clock;
    let moved = (|| {
        change
            .speed
            .map_or(Ok(()), |speed| clock.set_speed(speed))?;
        if let Some(freeze) = change.freeze {
            clock.freeze(freeze);
        }
        (change.set).map_or(Ok(()), |to| clock.set(to.as_millisecond()))?;
        (change.advance).map_or(Ok(()), |seconds| {
            clock.set(clock.now() + i64::from(seconds) * 1_000)
        })
    })();
    moved.map_err(|error| refused(error.to_string()))?;
    Ok(as_json(&clock.read()))
}

async fn requests(Shared(state): Simulator) -> Response {
    as_json(&state.requests.read())
}

async fn certificate(Shared(state): Simulator) -> Answer {
    let pem = state.certificate.clone();
    pem.map(|pem| ([(CONTENT_TYPE, "application/x-pem-file")], pem).into_response())
        .ok_or_else(|| {
            (
                StatusCode::NOT_FOUND,
                "neither server uses TLS\n".to_owned(),
            )
        })
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(body).map_err(|error| refused(format!("the body: {error}")))
}

fn refused(reason: String) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, reason + "\n")
}

fn as_json(value: &impl Serialize) -> Response {
    let body = serde_json::to_string(value)
        .unwrap_or_else(|error| json!({ "error": error.to_string() }).to_string());
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
