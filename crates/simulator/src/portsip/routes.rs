//! The paths of the PBX and their handlers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, Request, State as Shared};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::query::Query;
use super::rate::{Rate, Shown, read_id, write_id};
use crate::faults::RefusedLogin;
use crate::options::{PortSipLogin, SignIn};
use crate::state::State;

type Simulator = Shared<Arc<State>>;
type Answer = Result<Response, ApiError>;

/// The client id that the documented form contains.
const CLIENT_ID: &str = "9d806019-75b2-4b3d-bb8b-f5a3a412cc0a";

/// Everything below `/api`.
pub(crate) fn router(state: &Arc<State>) -> Router {
    let guarded = Router::new()
        .route("/tenant", get(tenant))
        .route("/tenant/balance", get(balance))
        .route("/tenant/billing", get(billing).post(update_billing))
        .route("/call_rates", get(list).post(create))
        // Before the id, which would otherwise be "export".
        .route("/call_rates/export", get(export))
        .route("/call_rates/{id}", get(show).post(update))
        .route("/call_rates/{id}/destroy", post(destroy))
        .route_layer(from_fn_with_state(Arc::clone(state), guard));
    let mut open = Router::new();
    if state.options.sign_in != SignIn::Form {
        open = open
            .route("/auth/sign_in", post(sign_in))
            .route("/auth/refresh_token", post(refresh));
    }
    if state.options.sign_in != SignIn::Json {
        open = open.route("/login/oauth/token", post(form_token));
    }
    guarded
        .merge(open)
        .method_not_allowed_fallback(async || ApiError::method())
        .fallback(async || ApiError::no_such("resource"))
        .with_state(Arc::clone(state))
}

/// Refuses requests without a valid token, and writes if only reading is allowed.
async fn guard(Shared(state): Simulator, request: Request, next: Next) -> Answer {
    let authorization =
        (request.headers().get(AUTHORIZATION)).and_then(|value| value.to_str().ok());
    if !authorization.is_some_and(|header| state.pbx.tokens().is_valid(header)) {
        return Err(ApiError::token());
    }
    if state.options.require_get_only && request.method() == Method::POST {
        state.pbx.writes_refused.fetch_add(1, Ordering::Relaxed);
        return Err(ApiError::only_get());
    }
    Ok(next.run(request).await)
}

async fn sign_in(Shared(state): Simulator, RawQuery(query): RawQuery, body: Bytes) -> Answer {
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if name == "qr" && value != "true" && value != "false" {
            return Err(ApiError::validation("qr must be true or false"));
        }
    }
    let members = object(&body)?;
    let text = |name: &str, least: usize, most: usize| match members.get(name) {
        Some(Value::String(text)) if (least..=most).contains(&text.chars().count()) => {
            Ok(text.as_str())
        }
        _ => Err(ApiError::validation(format!(
            "{name} must have {least} to {most} characters"
        ))),
    };
    let username = text("username", 1, 64)?;
    let password = text("password", 0, 1_024)?;
    let domain = match members.get("domain") {
        None => None,
        Some(_) => Some(text("domain", 1, 280)?),
    };
    grant(&state, username, password, domain)
}

async fn refresh(Shared(state): Simulator, body: Bytes) -> Answer {
    match object(&body)?.get("refresh_token") {
        Some(Value::String(token)) => refreshed(&state, token),
        _ => Err(ApiError::validation("refresh_token is required")),
    }
}

async fn form_token(Shared(state): Simulator, body: Bytes) -> Answer {
    let form: Map<String, Value> = url::form_urlencoded::parse(&body)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    let text = |name: &str| form.get(name).and_then(Value::as_str);
    if text("client_id") != Some(CLIENT_ID) {
        return Err(ApiError::validation("client_id is not the documented one"));
    }
    match text("grant_type") {
        Some("password") => grant(
            &state,
            text("username").unwrap_or_default(),
            text("password").unwrap_or_default(),
            text("domain").filter(|domain| !domain.is_empty()),
        ),
        Some("refresh_token") => refreshed(&state, text("refresh_token").unwrap_or_default()),
        _ => Err(ApiError::validation(
            "grant_type must be password or refresh_token",
        )),
    }
}

/// A tenant's user must name the tenant's domain.
fn grant(state: &State, username: &str, password: &str, domain: Option<&str>) -> Answer {
    let PortSipLogin {
        username: known_username,
        password: known_password,
        domain: known_domain,
    } = &state.options.credentials.portsip;
    let faults = state.faults();
    if faults.refuse_login == Some(RefusedLogin::Unauthorized)
        || username.to_lowercase() != known_username.to_lowercase()
        || password != known_password
        || domain.map(str::to_lowercase) != Some(known_domain.to_lowercase())
    {
        return Err(ApiError::login());
    }
    let mut tokens = state.pbx.tokens();
    if faults.two_factor {
        let session = json!({ "two_factor_enabled": true, "token": tokens.session() });
        return Ok(as_json(&session));
    }
    Ok(as_json(&tokens.grant()))
}

fn refreshed(state: &State, token: &str) -> Answer {
    if state.faults().refuse_login == Some(RefusedLogin::Unauthorized) {
        return Err(ApiError::login());
    }
    let granted = state.pbx.tokens().refresh(token);
    granted
        .map(|grant| as_json(&grant))
        .ok_or_else(ApiError::login)
}

async fn tenant(Shared(state): Simulator) -> Response {
    let billing = state.pbx.account().billing;
    as_json(&json!({
        "id": write_id(1),
        "name": "Headquarters",
        "domain": state.options.credentials.portsip.domain,
        "timezone": state.options.time_zone,
        "currency": "EUR",
        "region": "DEU",
        "enable_billing": billing.enabled,
        "enable_feature_billing": true,
    }))
}

async fn balance(Shared(state): Simulator) -> Response {
    let balance = state.pbx.account().balance(state.clock.now());
    as_json(&json!({ "balance": balance }))
}

async fn billing(Shared(state): Simulator) -> Response {
    as_json(&state.pbx.account().billing)
}

async fn update_billing(Shared(state): Simulator, body: Bytes) -> Answer {
    let now = state.clock.now();
    state.pbx.account().update(now, &object(&body)?)?;
    Ok(StatusCode::OK.into_response())
}

#[derive(serde::Serialize)]
struct Page<'a> {
    count: usize,
    items: Vec<Shown<'a>>,
}

async fn list(Shared(state): Simulator, RawQuery(query): RawQuery) -> Answer {
    let query = Query::read(&query.unwrap_or_default())?;
    let (count, rates) = query.page(&state.pbx.deck());
    let items: Vec<_> = (rates.iter())
        .map(|rate| Shown {
            rate,
            in_full: false,
        })
        .collect();
    Ok(as_json(&Page { count, items }))
}

async fn create(Shared(state): Simulator, body: Bytes) -> Answer {
    let members = object(&body)?;
    let id = state.pbx.deck_mut().add(|id| Rate::create(id, &members))?;
    Ok(as_json(&json!({ "id": write_id(id) })))
}

async fn show(Shared(state): Simulator, Path(id): Path<String>) -> Answer {
    let rate = id_of(&id).and_then(|id| state.pbx.deck().get(id).cloned().ok_or_else(no_rate))?;
    Ok(as_json(&Shown {
        rate: &rate,
        in_full: true,
    }))
}

async fn update(Shared(state): Simulator, Path(id): Path<String>, body: Bytes) -> Answer {
    let members = object(&body)?;
    let id = id_of(&id)?;
    let known = (state.pbx.deck_mut()).update(id, |rate| rate.update(&members))?;
    if known {
        Ok(StatusCode::OK.into_response())
    } else {
        Err(no_rate())
    }
}

async fn destroy(Shared(state): Simulator, Path(id): Path<String>) -> Answer {
    if state.pbx.deck_mut().remove(id_of(&id)?) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(no_rate())
    }
}

/// The file that the portal's export gives. Its columns are not documented; these are the fields'
/// names as its forms show them.
const COLUMNS: [&str; 11] = [
    "Prefix",
    "Type",
    "Free Seconds",
    "Grace Period",
    "Interval 1",
    "Interval N",
    "Connect Fee",
    "Postcall Surcharge",
    "Price 1",
    "Price N",
    "Description",
];

async fn export(Shared(state): Simulator) -> Answer {
    let body = write_export(&state).map_err(|error| {
        tracing::error!(%error, "the rates cannot be exported");
        ApiError::no_such("export")
    })?;
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let binary = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, binary);
    let file = HeaderValue::from_static("attachment; filename=\"call_rates.csv\"");
    headers.insert(CONTENT_DISPOSITION, file);
    Ok(response)
}

fn write_export(state: &State) -> Result<Vec<u8>, csv::Error> {
    let deck = state.pbx.deck();
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(64 * deck.by_id().len()));
    writer.write_record(COLUMNS)?;
    for rate in deck.by_id() {
        writer.serialize((
            &rate.prefix,
            rate.kind.name(),
            rate.free_seconds,
            rate.grace_period,
            rate.interval_1,
            rate.interval_n,
            rate.connect_fee,
            rate.postcall_surcharge,
            rate.price_1,
            rate.price_n,
            &rate.description,
        ))?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(ApiError::validation("the body must be a JSON object")),
    }
}

fn id_of(text: &str) -> Result<u64, ApiError> {
    read_id(text).ok_or_else(no_rate)
}

fn no_rate() -> ApiError {
    ApiError::no_such("call rate")
}

fn as_json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut response = body.into_response();
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
