//! Every operation against Prism, a mock server made from the API's description. `cargo xtask
//! conformance` starts it, once with the description's examples and once with random bodies, and
//! runs this.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::sync::Arc;

use api_client::{Answer, ExecutorBuilder};
use hostedsuite_client::{
    BalanceQuery, CallRounding, CallType, CallsQuery, Client, ClientsQuery, Error, ErrorKind,
    HttpOptions, RequestContext, RetryPolicy, SortDir, generated,
};

/// Where Prism listens, and how many calls to make.
fn prism() -> (String, u32) {
    let variable = |name: &str| {
        std::env::var(name)
            .unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask conformance`"))
    };
    (
        variable("PRISM_HOSTEDSUITE_URL"),
        variable("PRISM_CALLS").parse().unwrap(),
    )
}

/// A random body may say that the login is refused; it must be readable all the same.
fn readable<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(answer) => Some(answer),
        Err(error) if error.kind() == ErrorKind::RefusedLogin => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
#[ignore = "needs Prism: cargo xtask conformance"]
async fn prism_and_the_client_understand_each_other() {
    let (url, calls) = prism();
    let client = Client::builder(url)
        .credentials("Acme", "exporter", "simulated")
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let days = CallsQuery::between(
        "2026-08-06T00:00:00".parse().unwrap(),
        "2026-08-07T00:00:00".parse().unwrap(),
    )
    .client("1a2b3c")
    .call_type(CallType::Incoming)
    .sort("StartTime", SortDir::Asc)
    .page_size(500);
    let month = BalanceQuery::between("2026-08-01".parse().unwrap(), "2026-08-31".parse().unwrap())
        .bill_talk(true)
        .rounding(CallRounding::NextMinute);
    let clients = ClientsQuery::all().center("c-1");

    let mut rows = [0; 3];
    for _ in 0..calls.div_ceil(4) {
        readable(client.authenticate().await);
        if let Some(page) = readable(client.calls_page(&days, 0).await) {
            rows[0] += page.calls().map(Result::unwrap).count();
        }
        if let Some(balances) = readable(client.balances(&month).await) {
            rows[1] += balances.rows().map(Result::unwrap).count();
        }
        if let Some(list) = readable(client.clients(&clients).await) {
            rows[2] += list.rows().map(Result::unwrap).count();
        }
    }
    assert!(rows.iter().all(|count| *count > 0), "rows seen: {rows:?}");
}

#[tokio::test]
#[ignore = "needs Prism: cargo xtask conformance"]
async fn prism_and_the_generated_client_understand_each_other() {
    use generated::types::{
        AuthenticateRequest, CallRoundingType, ListCallAllowanceBalanceRequest,
        ListCallRecordsRequest, ListCallRecordsRequestCallType, ListClientsRequest, SortDir,
    };
    let (url, calls) = prism();
    let http = HttpOptions::default().build().unwrap();
    let refuse = |answer: &Answer| answer.error_by_status("");
    let executor = ExecutorBuilder::new("hostedsuite", Arc::new(http.clone()), refuse)
        .retry(RetryPolicy::never())
        .build();
    let client = generated::ReadClient::new(&url, http, RequestContext::new(executor));

    for _ in 0..calls.div_ceil(4) {
        client
            .authenticate(&AuthenticateRequest {
                customer_name: "Acme".to_owned(),
                user_name: "exporter".to_owned(),
                password: "simulated".into(),
            })
            .await
            .unwrap()
            .decode()
            .unwrap();
        client
            .list_call_allowance_balances(&ListCallAllowanceBalanceRequest {
                start_date: Some("2026-08-01".to_owned()),
                bill_talk: Some(true),
                call_rounding: Some(CallRoundingType::Next30Seconds),
                min_call_duration: Some(1.5),
                customer_name: "Acme".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap()
            .decode()
            .unwrap();
        client
            .list_calls(&ListCallRecordsRequest {
                call_type: Some(ListCallRecordsRequestCallType::Outgoing),
                page: Some(1),
                items_per_page: Some(500),
                disable_stats: Some(false),
                sort_dir: Some(SortDir::Desc),
                ..Default::default()
            })
            .await
            .unwrap()
            .decode()
            .unwrap();
        client
            .list_clients(&ListClientsRequest {
                category_ids: vec!["a".to_owned()],
                custom_fields_filter: [("a".to_owned(), "b".to_owned())].into(),
                ..Default::default()
            })
            .await
            .unwrap()
            .decode()
            .unwrap();
    }
}
