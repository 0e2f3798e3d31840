//! Exactly what is sent over the wire.

use std::time::Duration;

use hostedsuite_client::{
    BalanceQuery, CallRounding, CallType, CallsQuery, ClientsQuery, Format, SortDir,
};

use crate::canned::{Canned, Seen, answer, json};
use crate::{builder, day};

fn all_calls_query() -> CallsQuery {
    day()
        .client("c1")
        .center("z9")
        .call_record("r7")
        .talk_time(
            Some(Duration::from_millis(1500)),
            Some(Duration::from_secs(60)),
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
async fn a_walk_asks_for_the_order_of_start_times() {
    let server = Canned::always(json(r#"{"Items":[{"Id":"1"}],"TotalCount":1}"#)).await;
    let client = builder(&server.url()).build().unwrap();
    let mut pages = client.calls(&day());
    while let Some(page) = pages.next().await {
        page.unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    for member in [
        r#""StartDate":"2026-08-06 00:00:00""#,
        r#""EndDate":"2026-08-07 00:00:00""#,
        r#""SortField":"StartTime""#,
        r#""SortDir":"Asc""#,
    ] {
        assert!(seen[0].body().contains(member), "{}", seen[0].body());
    }
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
