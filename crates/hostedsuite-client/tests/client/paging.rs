//! Walks over the pages of servers of every manner.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use hostedsuite_client::{
    CallPages, CallsQuery, Caps, Client, Error, ErrorKind, PageBase, RetryPolicy, Secret,
    Transport, TransportError,
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
    let client = Client::builder("http://memory/api")
        .credentials("c", "u", Secret::from("p"))
        .transport(Arc::new(InMemory(Arc::clone(&server))))
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    (server, client)
}

/// Walks to the end; the ids in order, and the walk.
async fn walk(client: &Client, query: &CallsQuery) -> (Vec<i64>, CallPages, Option<Error>) {
    let mut pages = client.calls(query);
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
    (ids, pages, ended)
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

    /// Every call exactly once, whatever the server's manners, with few requests more than pages.
    #[test]
    fn every_call_once(
        base in bases(), rows in 0_i64..60, most_per_page in 1_i64..20, size in 1_u32..20,
        total_count: bool, total_pages: bool,
    ) {
        // A server that has nothing at 0 and does not count is an empty one, to all appearances.
        prop_assume!(base != Base::OneHasNothingAtZero || total_count || total_pages);
        let (server, client) = start(Manners { base, rows, most_per_page, total_count, total_pages });
        let query = CallsQuery::all().page_size(size);
        let (ids, pages, error) = run(walk(&client, &query));
        if base == Base::OneRefusesZero && rows == 0 {
            prop_assert!(ids.is_empty());
        } else {
            prop_assert!(error.is_none(), "{error:?}");
        }
        prop_assert_eq!(ids, (0..rows).collect::<Vec<_>>());
        let real_pages = usize::try_from((rows + most_per_page.min(size.into()) - 1) / most_per_page.min(size.into())).unwrap();
        let asked = server.asked.lock().unwrap().len();
        prop_assert!(asked <= real_pages + 3, "{asked} requests for {real_pages} pages");
        if total_count && rows > 0 {
            prop_assert_eq!(pages.summary().shortfall(), Some(0));
        }
        // What was learnt holds: with it the walk asks for no page twice.
        if pages.base() != PageBase::Unknown {
            let expected = if base == Base::Zero { PageBase::Zero } else { PageBase::One };
            prop_assert_eq!(pages.base(), expected);
            server.asked.lock().unwrap().clear();
            let (again, _, error) = run(walk(&client, &query.clone().page_base(pages.base())));
            prop_assert!(error.is_none());
            prop_assert_eq!(again, (0..rows).collect::<Vec<_>>());
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
async fn a_remembered_base_that_no_longer_holds_costs_no_call() {
    let (server, client) = start(PLAIN);
    let query = CallsQuery::all().page_size(10).page_base(PageBase::One);
    let (mut ids, pages, error) = walk(&client, &query).await;
    ids.sort_unstable();
    assert_eq!(ids, (0..25).collect::<Vec<_>>());
    assert!(error.is_none());
    assert_eq!(pages.base(), PageBase::Zero);
    assert_eq!(*server.asked.lock().unwrap(), [1, 2, 3, 0]);
}

#[tokio::test]
async fn a_server_that_ignores_the_page_number_is_left_after_three() {
    struct Same;
    impl Transport for Same {
        fn execute(
            &self,
            _: reqwest::Request,
        ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
            let body = r#"{"Items":[{"Id":"a"},{"Id":"b"}],"TotalCount":9}"#;
            Box::pin(async move { Ok(http::Response::new(body).into()) })
        }
    }
    let client = Client::builder("http://memory/api")
        .credentials("c", "u", Secret::from("p"))
        .transport(Arc::new(Same))
        .build()
        .unwrap();
    let mut pages = client.calls(&CallsQuery::all().page_size(2));
    assert_eq!(pages.next().await.unwrap().unwrap().calls().count(), 2);
    assert!(pages.next().await.is_none());
    let summary = pages.summary();
    assert_eq!((summary.pages, summary.unique, summary.repeated), (3, 2, 4));
    assert_eq!(summary.shortfall(), Some(7));
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
    let client = Client::builder("http://memory/api")
        .credentials("c", "u", Secret::from("p"))
        .transport(Arc::new(Moving(Mutex::new(10))))
        .build()
        .unwrap();
    let (mut ids, pages, error) = walk(&client, &CallsQuery::all().page_size(4)).await;
    ids.sort_unstable();
    assert_eq!(
        ids,
        (0..10).collect::<Vec<_>>(),
        "those that were there at the start"
    );
    assert!(error.is_none());
    assert_eq!(pages.base(), PageBase::Zero);
    assert!(pages.summary().repeated > 0);
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
    let client = Client::builder("http://memory/api")
        .credentials("c", "u", Secret::from("p"))
        .transport(transport.clone())
        .build()
        .unwrap();
    let (_, _, error) = walk(&client, &CallsQuery::all()).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::RefusedLogin);
    assert_eq!(*transport.0.lock().unwrap(), 1);
}
