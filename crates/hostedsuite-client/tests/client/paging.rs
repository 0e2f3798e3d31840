//! Walks over the pages of servers that differ in how they page.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hostedsuite_client::{
    CallPages, CallsQuery, Caps, Client, Ending, Error, ErrorKind, FirstPage, RetryPolicy, Secret,
    Shortfall, Transport, TransportError,
};
use proptest::prelude::*;

/// How a server pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Zero,
    OneTakesZeroForOne,
    OneRefusesZero,
    OneHasNothingAtZero,
}

#[derive(Debug, Clone, Copy)]
struct Manners {
    base: Base,
    rows: i64,
    most_per_page: i64,
    total_count: bool,
    total_pages: bool,
}

/// A server in memory: calls `1`, `2`, …
struct Server {
    manners: Mutex<Manners>,
    asked: Mutex<Vec<i64>>,
}

impl Server {
    fn body(&self, page: i64, size: i64) -> Result<String, u16> {
        let manners = *self.manners.lock().unwrap();
        self.asked.lock().unwrap().push(page);
        let size = size.min(manners.most_per_page);
        let index = match (manners.base, page) {
            (Base::Zero, page) => page,
            (Base::OneTakesZeroForOne, 0) => 0,
            (Base::OneRefusesZero, 0) => return Err(400),
            (Base::OneHasNothingAtZero, 0) => i64::MAX / size,
            (_, page) => page - 1,
        };
        let first = index.saturating_mul(size).min(manners.rows);
        let ids: Vec<_> = (first..(first + size).min(manners.rows))
            .map(|id| format!(r#"{{"Id":"{id}"}}"#))
            .collect();
        let mut body = format!(r#"{{"Items":[{}],"Page":{page}"#, ids.join(","));
        let counts = |is: bool, count: i64| if is { count } else { 0 };
        body.push_str(&format!(
            r#","TotalCount":{},"TotalPages":{}}}"#,
            counts(manners.total_count, manners.rows),
            counts(manners.total_pages, (manners.rows + size - 1) / size),
        ));
        Ok(body)
    }
}

struct InMemory(Arc<Server>);

impl Transport for InMemory {
    fn execute(
        &self,
        request: reqwest::Request,
    ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap();
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        let number = |name: &str| body[name].as_i64().unwrap();
        let (status, text) = match self.0.body(number("Page"), number("ItemsPerPage")) {
            Ok(text) => (200, text),
            Err(status) => (status, String::new()),
        };
        let mut response = http::Response::new(text);
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        Box::pin(async move { Ok(response.into()) })
    }
}

fn start(manners: Manners) -> (Arc<Server>, Client) {
    let server = Arc::new(Server {
        manners: Mutex::new(manners),
        asked: Mutex::default(),
    });
    let client = in_memory(Arc::new(InMemory(Arc::clone(&server))));
    (server, client)
}

fn in_memory(transport: Arc<dyn Transport>) -> Client {
    Client::builder("http://memory/api")
        .credentials("c", "u", Secret::from("p"))
        .transport(transport)
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
}

/// Walks to the end. Returns the ids in order, and the walk.
async fn walk(client: &Client, query: &CallsQuery) -> (Vec<i64>, CallPages, Option<Error>) {
    let mut pages = client.calls(query);
    let (ids, ended) = read(&mut pages).await;
    (ids, pages, ended)
}

async fn read(pages: &mut CallPages) -> (Vec<i64>, Option<Error>) {
    let mut ids = Vec::new();
    let mut ended = None;
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => {
                for call in page.calls() {
                    ids.push(call.unwrap().id().unwrap().parse().unwrap());
                }
            }
            Err(error) => ended = Some(error),
        }
    }
    (ids, ended)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn bases() -> impl Strategy<Value = Base> {
    prop_oneof![
        Just(Base::Zero),
        Just(Base::OneTakesZeroForOne),
        Just(Base::OneRefusesZero),
        Just(Base::OneHasNothingAtZero),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Every call is read exactly once, however the server pages, with few more requests than
    /// pages.
    #[test]
    fn every_call_once(
        base in bases(), rows in 0_i64..60, most_per_page in 1_i64..20, size in 1_u32..20,
        total_count: bool, total_pages: bool,
    ) {
        let (server, client) = start(Manners { base, rows, most_per_page, total_count, total_pages });
        let query = CallsQuery::all().page_size(size);
        let (mut ids, pages, error) = run(walk(&client, &query));
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids, (0..rows).collect::<Vec<_>>());
        // Only a count proves that a refused page 0 held nothing.
        if base == Base::OneRefusesZero && (rows == 0 || !total_count) {
            prop_assert_eq!(pages.ending(), Some(Ending::Refused));
            prop_assert_eq!(error.unwrap().kind(), ErrorKind::Validation);
            return Ok(());
        }
        prop_assert!(error.is_none(), "{error:?}");
        // Without a count, one full page that is also the next one may be all that the server
        // sends.
        let same_page = !total_count && base == Base::OneTakesZeroForOne && rows == i64::from(size);
        if !same_page {
            prop_assert_eq!(pages.ending(), Some(Ending::Complete));
        }
        let real_pages = usize::try_from((rows + most_per_page.min(size.into()) - 1) / most_per_page.min(size.into())).unwrap();
        let asked = server.asked.lock().unwrap().len();
        prop_assert!(asked <= real_pages + 3, "{asked} requests for {real_pages} pages");
        // What was learned is right: with it, no row comes twice if the server counts.
        if pages.first_page() != FirstPage::Unknown && total_count {
            let expected = if base == Base::Zero { FirstPage::Zero } else { FirstPage::One };
            prop_assert_eq!(pages.first_page(), expected);
            let (again, pages, error) = run(walk(&client, &query.first_page(expected)));
            prop_assert!(error.is_none());
            prop_assert_eq!(again, (0..rows).collect::<Vec<_>>());
            prop_assert_eq!(pages.ending(), Some(Ending::Complete));
        }
    }
}

const PLAIN: Manners = Manners {
    base: Base::Zero,
    rows: 25,
    most_per_page: 10,
    total_count: true,
    total_pages: true,
};

#[tokio::test]
async fn a_learned_first_page_that_no_longer_holds_is_unlearned() {
    let (server, client) = start(PLAIN);
    let query = CallsQuery::all().page_size(10).first_page(FirstPage::One);
    let (ids, pages, error) = walk(&client, &query).await;
    assert_eq!(ids, (10..25).collect::<Vec<_>>());
    assert!(error.is_none());
    let missing = Shortfall::Missing { had: 15, count: 25 };
    assert_eq!(pages.ending(), Some(Ending::Incomplete(missing)));
    assert_eq!(pages.first_page(), FirstPage::Unknown);
    assert_eq!(*server.asked.lock().unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn a_refused_page_is_an_error() {
    struct Failing;
    impl Transport for Failing {
        fn execute(
            &self,
            request: reqwest::Request,
        ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
            let body = request.body().and_then(reqwest::Body::as_bytes).unwrap();
            let body: serde_json::Value = serde_json::from_slice(body).unwrap();
            // Page 1 has no rows: nothing says that page 0 failed because of its number.
            let response = match body["Page"].as_i64() {
                Some(0) => {
                    let builder = http::Response::builder().status(500);
                    builder.body("").unwrap()
                }
                _ => http::Response::new(r#"{"Items":[],"TotalCount":0}"#),
            };
            Box::pin(async move { Ok(response.into()) })
        }
    }
    let client = in_memory(Arc::new(Failing));
    let (ids, pages, error) = walk(&client, &CallsQuery::all()).await;
    assert!(ids.is_empty());
    assert_eq!(error.unwrap().status(), Some(500));
    assert_eq!(pages.ending(), Some(Ending::Refused));
    assert_eq!(pages.summary().pages, 1);
}

#[tokio::test]
async fn no_request_outlasts_the_time_of_a_walk() {
    struct Slow;
    impl Transport for Slow {
        fn execute(
            &self,
            _: reqwest::Request,
        ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
            Box::pin(std::future::pending())
        }
    }
    let client = in_memory(Arc::new(Slow));
    // Without the bound this walk would have no end.
    let caps = Caps {
        time: Duration::from_millis(50),
        ..Caps::default()
    };
    let (_, pages, error) = walk(&client, &CallsQuery::all().caps(caps)).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Truncated);
    assert_eq!(pages.ending(), None);
}

#[tokio::test]
async fn a_server_that_ignores_the_page_number_is_left_after_three() {
    struct Same;
    impl Transport for Same {
        fn execute(
            &self,
            _: reqwest::Request,
        ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
            let body = r#"{"Items":[{"Id":"1"},{"Id":"2"}],"TotalCount":9}"#;
            Box::pin(async move { Ok(http::Response::new(body).into()) })
        }
    }
    let client = in_memory(Arc::new(Same));
    let (_, pages, error) = walk(&client, &CallsQuery::all().page_size(2)).await;
    assert!(error.is_none());
    assert_eq!(pages.summary().pages, 3);
    let missing = Shortfall::Missing { had: 2, count: 9 };
    assert_eq!(pages.ending(), Some(Ending::Incomplete(missing)));
}

#[tokio::test]
async fn calls_that_come_in_meanwhile_move_rows_and_lose_none() {
    // Newest first: a new call pushes the last row of a page onto the next one.
    struct Moving(Mutex<i64>);
    impl Transport for Moving {
        fn execute(
            &self,
            request: reqwest::Request,
        ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
            let body: serde_json::Value =
                serde_json::from_slice(request.body().unwrap().as_bytes().unwrap()).unwrap();
            let mut newest = self.0.lock().unwrap();
            let page = body["Page"].as_i64().unwrap();
            let rows: Vec<_> = (0..*newest)
                .rev()
                .skip(usize::try_from(page).unwrap() * 4)
                .take(4)
                .map(|id| format!(r#"{{"Id":"{id}"}}"#))
                .collect();
            let text = format!(r#"{{"Items":[{}],"TotalCount":{newest}}}"#, rows.join(","));
            *newest += 1;
            Box::pin(async move { Ok(http::Response::new(text).into()) })
        }
    }
    let client = in_memory(Arc::new(Moving(Mutex::new(10))));
    let (mut ids, pages, error) = walk(&client, &CallsQuery::all().page_size(4)).await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(
        ids,
        (0..10).collect::<Vec<_>>(),
        "those that were there at the start"
    );
    assert!(error.is_none());
    // The new calls may have come anywhere, so nothing is proven.
    let ending = pages.ending();
    let changed = matches!(
        ending,
        Some(Ending::Incomplete(Shortfall::Changed { had: 10, .. }))
    );
    assert!(changed, "{ending:?}");
    assert!(pages.summary().rows > 10);
}

#[tokio::test]
async fn an_interrupted_walk_continues_until_it_is_complete() {
    let caps = Caps {
        pages: 1,
        ..Caps::default()
    };
    for base in [
        Base::Zero,
        Base::OneTakesZeroForOne,
        Base::OneHasNothingAtZero,
    ] {
        let (_, client) = start(Manners { base, ..PLAIN });
        let query = CallsQuery::all().page_size(5).caps(caps);
        let mut ids = Vec::new();
        let mut position = None;
        for turn in 0.. {
            assert!(turn < 6, "no progress at {position:?}");
            let pages = client.calls(&query);
            let mut pages = match position {
                Some(position) => pages.resume(position),
                None => pages,
            };
            let (some, error) = read(&mut pages).await;
            ids.extend(some);
            position = pages.position();
            let Some(error) = error else {
                assert_eq!(pages.ending(), Some(Ending::Complete));
                break;
            };
            assert_eq!(error.kind(), ErrorKind::Truncated);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids, (0..25).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn caps_end_a_walk_with_an_error() {
    let caps = |pages, rows, bytes| Caps {
        pages,
        rows,
        bytes,
        ..Caps::default()
    };
    for (caps, text) in [
        (caps(2, 1000, 1 << 20), "stopped at the cap of 2 pages"),
        (caps(100, 15, 1 << 20), "stopped at the cap of 15 rows"),
        (caps(100, 1000, 150), "stopped at the cap of 150 bytes"),
    ] {
        let (_, client) = start(PLAIN);
        let (ids, _, error) = walk(&client, &CallsQuery::all().page_size(10).caps(caps)).await;
        let error = error.unwrap().to_string();
        assert!(error.contains(text), "{error}");
        assert!(ids.len() < 25 && !ids.is_empty());
    }
}

#[tokio::test]
async fn a_refused_login_is_not_taken_for_a_matter_of_page_numbers() {
    struct Refusing(Mutex<u32>);
    impl Transport for Refusing {
        fn execute(
            &self,
            _: reqwest::Request,
        ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
            *self.0.lock().unwrap() += 1;
            let mut response = http::Response::new("");
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
            Box::pin(async move { Ok(response.into()) })
        }
    }
    let transport = Arc::new(Refusing(Mutex::new(0)));
    let client = in_memory(transport.clone());
    let (_, _, error) = walk(&client, &CallsQuery::all()).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::RefusedLogin);
    assert_eq!(*transport.0.lock().unwrap(), 1);
}

/// Requests of clients that share a limit wait for each other.
#[tokio::test]
async fn a_shared_limit_lets_one_request_run_at_a_time() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Counting {
        running: AtomicUsize,
        most: AtomicUsize,
    }
    impl Transport for Counting {
        fn execute(
            &self,
            _: reqwest::Request,
        ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
            Box::pin(async {
                let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(running, Ordering::SeqCst);
                tokio::task::yield_now().await;
                self.running.fetch_sub(1, Ordering::SeqCst);
                Ok(http::Response::new("{\"Items\":[]}").into())
            })
        }
    }
    for (at_once, most) in [(1, 1), (8, 5)] {
        let transport = Arc::new(Counting::default());
        let limit = hostedsuite_client::ConcurrencyLimit::new(at_once);
        let client = |()| {
            Client::builder("http://memory/api")
                .credentials("c", "u", Secret::from("p"))
                .transport(Arc::clone(&transport) as Arc<dyn Transport>)
                .concurrency(vec![limit.clone()])
                .build()
                .unwrap()
        };
        let query = CallsQuery::all();
        let clients = [(); 5].map(client);
        let requests = clients.iter().map(|client| client.calls_page(&query, 0));
        for page in futures_util::future::join_all(requests).await {
            assert!(page.unwrap().is_empty());
        }
        assert_eq!(transport.most.load(Ordering::SeqCst), most);
    }
}
