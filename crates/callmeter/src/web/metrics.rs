//! Responds to scrapes: snapshot and registry, in the negotiated format and compression, encoded
//! while they are sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use callmeter_exposition::{Coding, Compressed, Exposition, Negotiated, Options};
use tokio::sync::Semaphore;

use super::state::WebState;

/// Tells Prometheus when the counters that start with the process started.
const PROCESS_START: HeaderName = HeaderName::from_static("process-start-time-unix");

/// What all scrapes share.
#[derive(Clone)]
pub(super) struct Scrapes {
    state: Arc<WebState>,
    /// Permits for concurrent scrapes; `None` for no limit.
    permits: Option<Arc<Semaphore>>,
}

impl Scrapes {
    pub(super) fn new(state: Arc<WebState>) -> Self {
        let most = state.args.max_requests;
        let permits =
            (most > 0).then(|| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))));
        Self { state, permits }
    }
}

/// Responds to a scrape.
pub(super) async fn scrape(
    State(scrapes): State<Scrapes>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let permit = match scrapes
        .permits
        .map(Semaphore::try_acquire_owned)
        .transpose()
    {
        Ok(permit) => permit,
        Err(_full) => {
            let most = scrapes.state.args.max_requests;
            let text = format!("Limit of concurrent requests reached ({most}), try again later.\n");
            return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        }
    };
    let state = scrapes.state;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let negotiated = Negotiated::from_accept(text(header::ACCEPT));
    let coding = Coding::negotiate(text(header::ACCEPT_ENCODING));
    let started = state.status.started();
    let options = Options {
        names: names(&uri),
        created_lines: state.created_lines,
        process_start: Some(started.as_microsecond()),
    };
    let registry = state.metrics.registry.gather();
    let exposition = Exposition::new(state.meter.snapshot(), registry, negotiated.format, options);
    let chunks = match Compressed::new(exposition, coding) {
        Ok(chunks) => chunks,
        Err(error) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
    };
    // The permit is returned when the last chunk has been sent, or the client has gone away.
    let chunks = chunks.inspect(move |_| {
        let _held = &permit;
    });
    let mut response = Response::new(Body::from_stream(futures_util::stream::iter(chunks)));
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&negotiated.content_type()) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    if let Some(coding) = coding.header() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Accept, Accept-Encoding"),
    );
    headers.insert(PROCESS_START, HeaderValue::from(started.as_second()));
    response
}

/// The families selected by `name[]` in the query.
fn names(uri: &Uri) -> BTreeSet<String> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(key, _)| key == "name[]")
        .map(|(_, value)| value.into_owned())
        .collect()
}
