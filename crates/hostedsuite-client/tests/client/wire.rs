//! What goes over the wire, to the letter; and that the generated client sends the same.

use std::time::Duration;

use api_client::{Call, ExecutorBuilder, HttpOptions};
use hostedsuite_client::generated::types;
use hostedsuite_client::{
    BalanceQuery, CallRounding, CallType, CallsQuery, ClientsQuery, Format, MANNERS, Secret,
    SortDir, generated,
};
use std::sync::Arc;

use crate::canned::{Canned, Seen, answer, json};
use crate::{PASSWORD, builder, day};

fn all_calls_query() -> CallsQuery {
    day()
        .client("c1")
        .center("z9")
        .call_record("r7")
        .talk_time(
            Some(Duration::from_millis(1500)),
            Some(Duration::from_mins(1)),
        )
        .call_type(CallType::Incoming)
        .sort("StartTime", SortDir::Desc)
        .page_size(250)
}

fn balance_query() -> BalanceQuery {
    BalanceQuery::between("2026-08-01".parse().unwrap(), "2026-08-31".parse().unwrap())
        .bill_talk(true)
        .bill_hold(true)
        .rounding(CallRounding::Next30Seconds)
}

async fn server() -> Canned {
    Canned::start(|request, _| match request.line() {
        "POST /api/authenticate" => json(r#"{"Authenticated":true,"Name":"x"}"#),
        "POST /api/calls" => json(r#"{"Items":[],"Page":0,"TotalCount":0,"TotalPages":0}"#),
        _ => json("[]"),
    })
    .await
}

#[tokio::test]
async fn requests_in_json() {
    let server = server().await;
    let client = builder(&server.url()).user_agent("golden").build().unwrap();
    client.authenticate().await.unwrap();
    client.balances(&balance_query()).await.unwrap();
    client.calls_page(&all_calls_query(), 3).await.unwrap();
    client
        .clients(&ClientsQuery::all().center("z9"))
        .await
        .unwrap();
    let sent: Vec<_> = server.seen().iter().map(Seen::golden).collect();
    insta::assert_snapshot!(sent.join("\n\n----\n"));
}

#[tokio::test]
async fn requests_in_jsv() {
    let server = Canned::start(|request, _| {
        let body = if request.line().starts_with("POST /api/calls?") {
            "{Items:[],Page:0,TotalCount:0,TotalPages:0}"
        } else if request.line().starts_with("POST /api/authenticate?") {
            "{Authenticated:True}"
        } else {
            "[]"
        };
        answer("200 OK", "application/jsv", body)
    })
    .await;
    let client = builder(&server.url())
        .user_agent("golden")
        .format(Format::Jsv)
        .build()
        .unwrap();
    client.authenticate().await.unwrap();
    client.balances(&balance_query()).await.unwrap();
    client.calls_page(&all_calls_query(), 3).await.unwrap();
    client.clients(&ClientsQuery::all()).await.unwrap();
    let sent: Vec<_> = server.seen().iter().map(Seen::golden).collect();
    insta::assert_snapshot!(sent.join("\n\n----\n"));
}

/// The facade writes its requests itself, for the sake of JSV and of borrowed pages; they must not drift from the
/// API's description.
#[tokio::test]
async fn the_generated_client_sends_the_same() {
    let server = server().await;
    let client = builder(&server.url()).user_agent("same").build().unwrap();
    client.authenticate().await.unwrap();
    client.balances(&balance_query()).await.unwrap();
    client.calls_page(&all_calls_query(), 3).await.unwrap();
    client
        .clients(&ClientsQuery::all().center("z9"))
        .await
        .unwrap();

    let mut options = HttpOptions::default();
    options.user_agent = "same".to_owned();
    options.use_env_proxy = false;
    let http = options.build().unwrap();
    let executor = ExecutorBuilder::new("hostedsuite", Arc::new(http.clone())).build();
    let bare =
        generated::Client::new_with_client(&server.url(), http, Call::new(executor, MANNERS));
    let login = || {
        (
            "Acme".to_owned(),
            "exporter".to_owned(),
            Secret::from(PASSWORD),
        )
    };
    let (customer_name, user_name, password) = login();
    bare.authenticate(&types::AuthenticateRequest {
        customer_name,
        user_name,
        password,
    })
    .await
    .unwrap();
    let (customer_name, user_name, password) = login();
    bare.list_call_allowance_balances(&types::ListCallAllowanceBalanceRequest {
        start_date: Some("2026-08-01".to_owned()),
        end_date: Some("2026-08-31".to_owned()),
        bill_talk: Some(true),
        bill_hold: Some(true),
        bill_ring: Some(false),
        bill_transfer: Some(false),
        call_rounding: Some(types::CallRoundingType::Next30Seconds),
        customer_name,
        user_name,
        password,
        ..Default::default()
    })
    .await
    .unwrap();
    let (customer_name, user_name, password) = login();
    bare.list_calls(&types::ListCallRecordsRequest {
        start_date: Some("2026-08-06 00:00:00".to_owned()),
        end_date: Some("2026-08-06 23:59:59".to_owned()),
        client_id: Some("c1".to_owned()),
        center_id: Some("z9".to_owned()),
        call_record_id: Some("r7".to_owned()),
        min_call_duration: Some(1.5),
        max_call_duration: Some(60.0),
        call_type: Some(types::ListCallRecordsRequestCallType::Incoming),
        page: Some(3),
        items_per_page: Some(250),
        disable_stats: Some(false),
        sort_field: Some("StartTime".to_owned()),
        sort_dir: Some(SortDir::Desc),
        customer_name,
        user_name,
        password,
    })
    .await
    .unwrap();
    let (customer_name, user_name, password) = login();
    bare.list_clients(&types::ListClientsRequest {
        center_id: Some("z9".to_owned()),
        customer_name,
        user_name,
        password,
        ..Default::default()
    })
    .await
    .unwrap();

    let seen = server.seen();
    let (by_facade, by_generated) = seen.split_at(seen.len() / 2);
    assert_eq!(by_facade.len(), 4);
    for (facade, generated) in by_facade.iter().zip(by_generated) {
        assert_eq!(facade.golden(), generated.golden());
    }
}
