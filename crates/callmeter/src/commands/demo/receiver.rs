//! A minimal webhook receiver: counts posts, and lists the last ones and the last record of each
//! stream on a page of plain text.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use jiff::Timestamp;
use tokio::net::TcpListener;

/// The signing secret of the demo. It protects nothing.
pub(super) const SECRET: &str = "whsec_ZGVtb25zdHJhdGlvbi1vbmx5LTEyMzQ1Njc4";

/// The number of posts on the page.
const SHOWN: usize = 20;
/// The number of streams of which the last record is shown.
const STREAMS: usize = 16;

/// A receiver that runs until the program exits.
pub(super) struct Receiver {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    posts: u64,
    records: u64,
    last: VecDeque<String>,
    /// The last record of each stream, as JSON.
    samples: BTreeMap<String, String>,
}

impl Receiver {
    /// Listens on a free port of this machine.
    pub(super) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Mutex::new(Inner::default()));
        let app = Router::new()
            .route("/hooks/calls", post(take))
            .route("/", get(page))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&inner));
        // It stops with the runtime. Its result is not needed.
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, inner })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hooks/calls", self.address)
    }

    pub(super) fn page_url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn posts(&self) -> u64 {
        lock(&self.inner).posts
    }

    pub(super) fn records(&self) -> u64 {
        lock(&self.inner).records
    }
}

fn lock(inner: &Mutex<Inner>) -> std::sync::MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(
    State(inner): State<Arc<Mutex<Inner>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("-")
            .to_owned()
    };
    let records = records_in(&body);
    let sample = last_record(&body);
    let mut inner = lock(&inner);
    if let Some((stream, record)) = sample
        && (inner.samples.len() < STREAMS || inner.samples.contains_key(&stream))
    {
        inner.samples.insert(stream, record);
    }
    inner.posts += 1;
    inner.records += records;
    let line = format!(
        "{:.3}  {records} records, {} bytes, webhook-id {}, {}",
        Timestamp::now(),
        body.len(),
        header("webhook-id"),
        if headers.contains_key("webhook-signature") {
            "signed"
        } else {
            "not signed"
        },
    );
    if inner.last.len() == SHOWN {
        inner.last.pop_front();
    }
    inner.last.push_back(line);
    StatusCode::NO_CONTENT
}

/// The number of records in a post: the items of its JSON array, those under `data`, or its lines.
fn records_in(body: &[u8]) -> u64 {
    let count = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(serde_json::Value::Array(items)) => items.len(),
        Ok(value) => value
            .get("data")
            .and_then(serde_json::Value::as_array)
            .map_or(1, Vec::len),
        Err(_) => body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .count(),
    };
    count as u64
}

/// The stream and the last record of a post in the default format.
fn last_record(body: &[u8]) -> Option<(String, String)> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let stream = value.get("type")?.as_str()?.to_owned();
    let record = value.get("data")?.as_array()?.last()?;
    Some((stream, record.to_string()))
}

async fn page(State(inner): State<Arc<Mutex<Inner>>>) -> String {
    let inner = lock(&inner);
    let mut page = format!(
        "{} posts, {} records. The last posts:\n\n",
        inner.posts, inner.records
    );
    for line in inner.last.iter().rev() {
        page.push_str(line);
        page.push('\n');
    }
    for (stream, record) in &inner.samples {
        page.push_str("\nThe last record of ");
        page.push_str(stream);
        page.push_str(":\n");
        page.push_str(record);
        page.push('\n');
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_in_each_shape() {
        assert_eq!(records_in(br#"[{"id":1},{"id":2}]"#), 2);
        assert_eq!(records_in(br#"{"data":[{},{},{}]}"#), 3);
        assert_eq!(records_in(b"{\"id\":1}\n{\"id\":2}\n"), 2);
        assert_eq!(records_in(b"{\"id\":1}\n"), 1);
        let post = br#"{"type":"charges","data":[{"amount":"1"},{"amount":"2"}]}"#;
        let shown = last_record(post).unwrap();
        assert_eq!(
            shown,
            ("charges".to_owned(), r#"{"amount":"2"}"#.to_owned())
        );
        assert_eq!(last_record(b"[1]"), None);
    }
}
