//! Responds to scrapes: snapshot and registry, in the negotiated format and compression, encoded
//! while they are sent.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use callmeter_exposition::{Coding, Compressed, Exposition, Negotiated, Options};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::peer::Peer;
use super::state::WebState;

/// The value of `account` that stands for series of no account. No account can have this name.
pub(super) const NO_ACCOUNT: &str = "(none)";

/// Tells Prometheus when the counters that start with the process started.
const PROCESS_START: HeaderName = HeaderName::from_static("process-start-time-unix");

/// What all scrapes share.
#[derive(Clone)]
pub(super) struct Scrapes {
    state: Arc<WebState>,
    /// Permits for concurrent scrapes; `None` for no limit.
    permits: Option<Arc<Semaphore>>,
    clients: Arc<Clients>,
}

/// The scrapes of each client now. A client that reads slowly must not take all permits.
#[derive(Default)]
struct Clients(Mutex<HashMap<Peer, usize>>);

/// One scrape of a client, until it is dropped.
struct ScrapeOf {
    clients: Arc<Clients>,
    peer: Peer,
}

impl Clients {
    /// Counts a scrape; `None` if the client has `most` already.
    fn enter(self: &Arc<Self>, peer: Peer, most: usize) -> Option<ScrapeOf> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients.entry(peer).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(ScrapeOf {
            clients: Arc::clone(self),
            peer,
        })
    }
}

impl Drop for ScrapeOf {
    fn drop(&mut self) {
        let mut clients = self
            .clients
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.peer);
            }
        }
    }
}

impl Scrapes {
    pub(super) fn new(state: Arc<WebState>) -> Self {
        let most = state.args.max_requests;
        let permits =
            (most > 0).then(|| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))));
        Self {
            state,
            permits,
            clients: Arc::default(),
        }
    }

    /// Permits a scrape of a client; `Err` if too many run.
    fn permit(self, peer: Option<Peer>) -> Result<Permit, usize> {
        let most = self.state.args.max_requests;
        let Some(permits) = self.permits else {
            return Ok((None, None));
        };
        let of_client = match peer {
            // One client gets most of the permits at best, so that others are served.
            Some(peer) => {
                let most_of_one = most - most / 4;
                Some(self.clients.enter(peer, most_of_one).ok_or(most_of_one)?)
            }
            None => None,
        };
        let permit = permits.try_acquire_owned().map_err(|_| most)?;
        Ok((Some(permit), of_client))
    }
}

/// Held until a scrape has ended.
type Permit = (Option<OwnedSemaphorePermit>, Option<ScrapeOf>);

/// Responds to a scrape.
pub(super) async fn scrape(
    State(scrapes): State<Scrapes>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let state = Arc::clone(&scrapes.state);
    let permit = match scrapes.permit(peer.map(|Extension(peer)| peer)) {
        Ok(permit) => permit,
        Err(most) => {
            let text = format!("Limit of concurrent requests reached ({most}), try again later.\n");
            return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        }
    };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let negotiated = Negotiated::from_accept(text(header::ACCEPT));
    let coding = Coding::negotiate(text(header::ACCEPT_ENCODING));
    let started = state.status.started();
    let options = Options {
        names: values(&uri, &["name[]"]),
        accounts: accounts(&uri),
        created_lines: state.created_lines,
        process_start: Some(started.as_microsecond()),
    };
    // It may have ceased to be ready by time alone.
    let ready = &state.metrics.ready;
    ready.set(state.status.is_ready().into());
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

/// The accounts selected by `account[]` or `account` in the query.
fn accounts(uri: &Uri) -> BTreeSet<String> {
    let accounts = values(uri, &["account[]", "account"]);
    let empty_for_none = accounts.into_iter().map(|account| {
        if account == NO_ACCOUNT {
            String::new()
        } else {
            account
        }
    });
    empty_for_none.collect()
}

/// The values of these parameters of the query.
fn values(uri: &Uri, names: &[&str]) -> BTreeSet<String> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(key, _)| names.contains(&key.as_ref()))
        .map(|(_, value)| value.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_leaves_room_for_others() {
        let clients = Arc::new(Clients::default());
        let [slow, other] = [1, 2].map(|last| Peer([192, 0, 2, last].into()));
        let mut held: Vec<_> = (0..3).map(|_| clients.enter(slow, 3)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(clients.enter(slow, 3).is_none());
        assert!(clients.enter(other, 3).is_some());
        held.pop();
        assert!(clients.enter(slow, 3).is_some());
        drop(held);
        assert!(clients.0.lock().unwrap().is_empty());
    }
}
