//! The paths and their handlers.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tracing::debug;

use super::metrics::{self, Scrapes};
use super::rendered::Rendered;
use super::state::WebState;
use super::usage::{self, Wanted};
use super::{discovery, guard, page};
use crate::status::Status;

/// All paths, behind the access rules.
pub(super) fn router(state: WebState) -> Router {
    let state = Arc::new(state);
    let scrapes = Router::new()
        .route(&state.args.telemetry_path, get(metrics::scrape))
        .with_state(Scrapes::new(Arc::clone(&state)));
    let pages = Router::new()
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload).put(reload))
        .route("/config", get(config))
        .route("/sd", get(discovery::targets));
    let mut expensive = Router::new()
        .route("/api/v1/status", get(status))
        .route("/usage", get(usage_page));
    if state.args.telemetry_path != "/" {
        expensive = expensive.route("/", get(landing));
    }
    let expensive = expensive.with_state(Arc::new(Pages {
        state: Arc::clone(&state),
        landing: Rendered::default(),
        status: Rendered::default(),
        usage: Mutex::default(),
    }));
    pages
        .with_state(Arc::clone(&state))
        .merge(expensive)
        .merge(scrapes)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state.access),
            guard::guard,
        ))
        .layer(middleware::from_fn_with_state(state, count))
}

/// The pages that take time with the number of accounts.
struct Pages {
    state: Arc<WebState>,
    landing: Rendered,
    status: Rendered,
    /// One page of usage is made at a time.
    usage: Mutex<()>,
}

/// Counts and logs a request, and sets the headers of every response.
async fn count(State(state): State<Arc<WebState>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    // Only known paths are label values.
    let path = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => "other".to_owned(),
    };
    let mut response = next.run(request).await;
    let code = response.status();
    state
        .metrics
        .http_requests
        .with_label_values(&[path.as_str(), code.as_str()])
        .inc();
    debug!(%method, path, code = code.as_u16(), microseconds = start.elapsed().as_micros(), "request");
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers
        .entry(header::X_CONTENT_TYPE_OPTIONS)
        .or_insert(nosniff);
    response
}

async fn landing(State(pages): State<Arc<Pages>>) -> Response {
    let state = Arc::clone(&pages.state);
    let render = move || {
        let status = scrubbed_status(&state);
        Ok(page::render(&status, &state.args.telemetry_path))
    };
    rendered(pages.landing.get(render).await, PAGE)
}

/// The headers of a page, which needs only its own style: everything else is forbidden.
const PAGE: [(HeaderName, &str); 3] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    ),
];

/// The page of usage, from the snapshot that a scrape at this time would get.
async fn usage_page(State(pages): State<Arc<Pages>>, uri: Uri) -> Response {
    let _alone = pages.usage.lock().await;
    let snapshot = pages.state.meter.snapshot();
    let wanted = Wanted::of(uri.query().unwrap_or_default());
    let sharing = pages.state.status.sharing();
    let elsewhere = sharing.map(|sharing| sharing.polled_elsewhere());
    let elsewhere = elsewhere.unwrap_or_default();
    let render = move || usage::render(&snapshot, &elsewhere, &wanted, Timestamp::now());
    let page = tokio::task::spawn_blocking(render).await;
    rendered(
        page.map(Bytes::from).map_err(|error| error.to_string()),
        PAGE,
    )
}

fn scrubbed_status(state: &WebState) -> Status {
    let status = state.status.status();
    status.scrubbed(|text| state.redactor.scrub(text))
}

fn rendered(
    page: Result<Bytes, String>,
    headers: impl axum::response::IntoResponseParts,
) -> Response {
    match page {
        Ok(page) => (headers, page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

async fn healthy() -> &'static str {
    "callmeter is healthy.\n"
}

async fn ready(State(state): State<Arc<WebState>>) -> (StatusCode, &'static str) {
    if state.status.is_ready() {
        (StatusCode::OK, "callmeter is ready.\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "callmeter is not ready.\n")
    }
}

async fn reload(State(state): State<Arc<WebState>>) -> (StatusCode, String) {
    if !state.args.enable_lifecycle {
        let text = "Lifecycle API is not enabled; start with --web.enable-lifecycle.\n";
        return (StatusCode::FORBIDDEN, text.to_owned());
    }
    match state.reload.reload().await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(reason) => {
            let reason = state.redactor.scrub(&reason);
            let text = format!("failed to reload config: {reason}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

async fn status(State(pages): State<Arc<Pages>>) -> Response {
    let state = Arc::clone(&pages.state);
    let render =
        move || serde_json::to_string(&scrubbed_status(&state)).map_err(|error| error.to_string());
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    rendered(pages.status.get(render).await, headers)
}

async fn config(State(state): State<Arc<WebState>>) -> String {
    state.config_page.load().as_ref().clone()
}
