//! A scrape: what the snapshot and the registry say, in the format and compression asked for, made while it is sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use callmeter_exposition::{Coding, Compressed, Exposition, Negotiated, Options};
use tokio::sync::Semaphore;

use super::state::WebState;

/// Tells a server when all counters began that start with the process.
const PROCESS_START: HeaderName = HeaderName::from_static("process-start-time-unix");

/// What scrapes share.
#[derive(Clone)]
pub(super) struct Scrapes {
    state: Arc<WebState>,
    /// Places for scrapes at one time; as many as you like when there is none.
    places: Option<Arc<Semaphore>>,
}

impl Scrapes {
    pub(super) fn new(state: Arc<WebState>) -> Self {
        let most = state.args.max_requests;
        let places = (most > 0).then(|| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))));
        Self { state, places }
    }
}

/// Answers a scrape.
pub(super) async fn scrape(
    State(scrapes): State<Scrapes>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let place = match scrapes.places.map(Semaphore::try_acquire_owned).transpose() {
        Ok(place) => place,
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
    // The place is given up when the last chunk has been sent, or the client has gone.
    let chunks = chunks.inspect(move |_| {
        let _held = &place;
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

/// The families that the query asks for by `name[]`.
fn names(uri: &Uri) -> BTreeSet<String> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(key, _)| key == "name[]")
        .map(|(_, value)| value.into_owned())
        .collect()
}
