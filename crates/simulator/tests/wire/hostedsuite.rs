//! HostedSuite's filters, sorting, billing and world.

use std::collections::BTreeSet;

use crate::common::{JSON, ask, body, options, post, start};
use callmeter_simulator::{LedgerQuery, Options, Running, Tls};
use serde_json::{Value, json};

async fn items(running: &Running, mut members: Value) -> Vec<Value> {
    members["ItemsPerPage"] = json!(10_000);
    let page = ask(running, "/api/calls", members).await.json();
    page["Items"].as_array().expect("items").clone()
}

fn seconds(item: &Value, name: &str) -> f64 {
    item[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name} of {item}"))
}

/// Milliseconds, exactly as the text says.
fn ms(item: &Value, name: &str) -> u64 {
    let text = item[name].to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole: u64 = whole.parse().expect("digits");
    let fraction: u64 = format!("{fraction:0<3}")
        .parse()
        .expect("three digits at most");
    whole * 1_000 + fraction
}

#[tokio::test]
async fn every_filter_narrows_the_list_to_what_it_names() {
    let running = start(options()).await;
    let all = items(&running, json!({})).await;
    assert_eq!(
        all.len() as u64,
        running.ledger(&LedgerQuery::default()).total.calls
    );
    let first = all[0].clone();

    for (filter, member) in [("ClientId", "ClientId"), ("CenterId", "CenterId")] {
        let wanted = all
            .iter()
            .filter(|item| item[member] == first[member])
            .cloned();
        let found = items(&running, json!({filter: first[member]})).await;
        assert_eq!(found, wanted.collect::<Vec<_>>(), "{filter}");
        assert!(found.len() < all.len());
    }
    let one = items(&running, json!({"CallRecordId": first["Id"]})).await;
    assert_eq!(one, vec![first.clone()]);
    let none = items(&running, json!({"CallRecordId": "0".repeat(32)})).await;
    assert!(none.is_empty());

    for kind in ["Incoming", "Outgoing"] {
        let found = items(&running, json!({"CallType": kind})).await;
        assert!(!found.is_empty() && found.iter().all(|item| item["Type"] == kind));
    }
    let found = items(
        &running,
        json!({"MinCallDuration": 60, "MaxCallDuration": 120.5}),
    )
    .await;
    let within = |item: &&Value| (60.0..=120.5).contains(&seconds(item, "TalkTimeInSeconds"));
    assert_eq!(found.len(), all.iter().filter(within).count());

    let range = json!({"StartDate": "2026-08-06 09:00:00", "EndDate": "8/6/2026 12:00"});
    let found = items(&running, range).await;
    let inside = |item: &&Value| {
        let start = item["StartTime"].as_str().expect("a time");
        ("2026-08-06 09:00:00"..="2026-08-06 12:00:00").contains(&start)
    };
    assert!(!found.is_empty());
    assert_eq!(found.len(), all.iter().filter(inside).count());
}

#[tokio::test]
async fn a_list_can_be_sorted_by_any_of_its_fields() {
    let running = start(options()).await;
    let fields = [
        "DurationInSeconds",
        "RingTimeInSeconds",
        "HoldTimeInSeconds",
        "TalkTimeInSeconds",
        "TransferTimeInSeconds",
        "WorkTimeInSeconds",
    ];
    for field in fields {
        let up = items(&running, json!({"SortField": field})).await;
        assert!(
            up.is_sorted_by(|a, b| seconds(a, field) <= seconds(b, field)),
            "{field}"
        );
        let down = items(&running, json!({"sortfield": field, "SortDir": "desc"})).await;
        assert!(
            down.is_sorted_by(|a, b| seconds(a, field) >= seconds(b, field)),
            "{field}"
        );
    }
    for field in ["StartTime", "ClientId", "Id"] {
        let up = items(&running, json!({"SortField": field, "SortDir": "Asc"})).await;
        assert!(up.is_sorted_by_key(|item| item[field].as_str().expect("text").to_owned()));
    }
    let newest = items(&running, json!({"SortField": "no such field"})).await;
    assert!(newest.is_sorted_by(|a, b| a["StartTime"].as_str() >= b["StartTime"].as_str()));
}

#[tokio::test]
async fn the_records_add_up_to_the_ledger_and_to_themselves() {
    let running = start(options()).await;
    let all = items(&running, json!({})).await;
    let total = running.ledger(&LedgerQuery::default()).total;
    let sum = |name: &str| all.iter().map(|item| ms(item, name)).sum::<u64>();
    assert_eq!(sum("DurationInSeconds"), total.duration_ms);
    assert_eq!(sum("RingTimeInSeconds"), total.ring_ms);
    assert_eq!(sum("HoldTimeInSeconds"), total.hold_ms);
    assert_eq!(sum("TalkTimeInSeconds"), total.talk_ms);
    assert_eq!(sum("TransferTimeInSeconds"), total.transfer_ms);
    assert_eq!(sum("WorkTimeInSeconds"), total.work_ms);
    for item in &all {
        let parts: u64 = ["Ring", "Hold", "Talk", "Transfer"]
            .map(|part| ms(item, &format!("{part}TimeInSeconds")))
            .iter()
            .sum();
        assert_eq!(ms(item, "DurationInSeconds"), parts, "{item}");
        let answered = ms(item, "TalkTimeInSeconds") > 0;
        assert_eq!(item.get("AnsweredBy").is_some(), answered, "{item}");
        assert_eq!(ms(item, "HoldTimeInSeconds") > 0, item["HoldCount"] != 0);
    }
    let groups = running.ledger(&LedgerQuery::default()).groups;
    assert_eq!(
        groups.iter().map(|group| group.sums.calls).sum::<u64>(),
        total.calls
    );
}

#[tokio::test]
async fn balances_bill_what_was_asked_for() {
    let running = start(options()).await;
    let all = items(&running, json!({})).await;
    let flags: [(&str, &[&str]); 4] = [
        ("BillTalk", &["TalkTimeInSeconds"]),
        ("BillHold", &["HoldTimeInSeconds"]),
        ("BillRing", &["RingTimeInSeconds"]),
        ("BillTransfer", &["TransferTimeInSeconds"]),
    ];
    for (rounding, step) in [
        ("None", 1),
        ("NextMinute", 60_000),
        ("next30seconds", 30_000),
    ] {
        for (flag, parts) in flags {
            let members = json!({flag: true, "CallRounding": rounding});
            let rows = ask(&running, "/api/call-allowance/balance", members)
                .await
                .json();
            for row in rows.as_array().expect("rows") {
                let calls = all
                    .iter()
                    .filter(|item| item["ClientId"] == row["ClientId"]);
                let used: u64 = (calls.clone())
                    .map(|item| parts.iter().map(|part| ms(item, part)).sum::<u64>())
                    .map(|used| used.next_multiple_of(step))
                    .sum();
                assert_eq!(row["NumCalls"], calls.count());
                let hundredths = (used * 100 + 30_000) / 60_000;
                assert_eq!(
                    ms(row, "NumMins"),
                    hundredths * 10,
                    "{flag} {rounding} {row}"
                );
            }
        }
    }
    // Nothing is billed unless it is requested.
    let rows = ask(&running, "/api/call-allowance/balance", json!({}))
        .await
        .json();
    assert!(
        rows.as_array()
            .expect("rows")
            .iter()
            .all(|row| row["NumMins"] == 0)
    );

    let one =
        json!({"ClientId": all[0]["ClientId"], "MinCallDuration": 30, "StartDate": "2026-08-06"});
    let rows = ask(&running, "/api/call-allowance/balance", one)
        .await
        .json();
    let long = all.iter().filter(|item| {
        item["ClientId"] == all[0]["ClientId"]
            && seconds(item, "TalkTimeInSeconds") >= 30.0
            && item["StartTime"].as_str() >= Some("2026-08-06")
    });
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    assert_eq!(rows[0]["NumCalls"], long.count());
}

#[tokio::test]
async fn every_kind_of_allowance_and_the_same_name_twice_occur() {
    let running = start(Options {
        clients: 30,
        ..options()
    })
    .await;
    let clients = ask(&running, "/api/clients", json!({})).await.json();
    let clients = clients.as_array().expect("rows");
    let kinds: BTreeSet<_> = clients
        .iter()
        .filter_map(|client| client["CallAllowanceType"].as_str())
        .collect();
    assert_eq!(kinds.len(), 3);
    let names: BTreeSet<_> = clients
        .iter()
        .map(|client| client["Name"].as_str())
        .collect();
    assert!(
        names.len() < clients.len(),
        "no two clients are called alike"
    );
    let ids: BTreeSet<_> = clients.iter().map(|client| client["Id"].as_str()).collect();
    assert_eq!(ids.len(), clients.len());
    let center = &clients[0]["CenterId"];
    let of_center = ask(&running, "/api/clients", json!({"CenterId": center}))
        .await
        .json();
    assert_eq!(of_center.as_array().map(Vec::len), Some(15));
}

#[tokio::test]
async fn the_same_options_give_the_same_bytes_however_the_clock_moved() {
    let whole = body(&json!({"ItemsPerPage": 10_000}));
    let read = async |running: &Running| post(running, "/api/calls", &JSON, &whole).await.body;
    let at_once = start(options()).await;
    at_once.advance(36_000).expect("forward");
    let in_steps = start(options()).await;
    for _ in 0..100 {
        in_steps.advance(360).expect("forward");
        read(&in_steps).await;
    }
    assert_eq!(read(&at_once).await, read(&in_steps).await);
    let other = start(Options {
        seed: 8,
        ..options()
    })
    .await;
    other.advance(36_000).expect("forward");
    assert_ne!(read(&at_once).await, read(&other).await);
}

#[tokio::test]
async fn a_call_appears_when_it_has_ended() {
    let running = start(Options {
        calls_per_day: Some(20_000),
        ..options()
    })
    .await;
    let now = running.clock().now.as_millisecond();
    let mut before = running.ledger(&LedgerQuery::default()).total.calls;
    for minute in 1..=10 {
        running.advance(60).expect("forward");
        let newest = items(&running, json!({"StartDate": "2026-08-06 16:00:00"})).await;
        for item in &newest {
            let start: jiff::civil::DateTime = item["StartTime"]
                .as_str()
                .expect("a time")
                .parse()
                .expect("a date");
            let start = start
                .to_zoned(jiff::tz::TimeZone::UTC)
                .expect("UTC")
                .timestamp();
            let end = start.as_millisecond()
                + i64::try_from(ms(item, "DurationInSeconds")).expect("small");
            assert!(end <= now + minute * 60_000, "{item} has not ended");
        }
        let after = running.ledger(&LedgerQuery::default()).total.calls;
        assert!(
            after > before,
            "nothing happened in a minute of the afternoon"
        );
        before = after;
    }
}

#[tokio::test]
async fn the_number_of_calls_is_exact_when_it_is_asked_for() {
    for calls in [1, 99, 12_345] {
        let running = start(Options {
            calls: Some(calls),
            calls_per_day: None,
            ..options()
        })
        .await;
        let total = async || running.ledger(&LedgerQuery::default()).total.calls;
        assert_eq!(total().await, calls);
        running.advance(86_400).expect("forward");
        assert_eq!(total().await, calls);
    }
}

#[tokio::test]
async fn dates_are_those_of_the_servers_zone() {
    let zone = "America/New_York".to_owned();
    let running = start(Options {
        time_zone: zone,
        ..options()
    })
    .await;
    let newest = items(&running, json!({})).await;
    // The clock shows 18:00 UTC.
    let start = newest[0]["StartTime"].as_str().expect("a time");
    assert!(
        ("2026-08-06 12:30:00".."2026-08-06 14:00:00").contains(&start),
        "{start}"
    );
    let none = items(&running, json!({"StartDate": "2026-08-06 14:00:00"})).await;
    assert!(none.is_empty());
}

#[tokio::test]
async fn tls_is_spoken_with_the_certificate_that_is_given_out() {
    let running = start(Options {
        tls: Tls::All,
        ..options()
    })
    .await;
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let pem = running.certificate().expect("a certificate");
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).expect("PEM")])
        .build()
        .expect("a client");
    for url in [running.hostedsuite_url(), running.portsip_url()] {
        assert!(url.starts_with("https://"));
        let control = url.replace("/api", "/_sim/ca.pem");
        let answer = client.get(control).send().await.expect("trusted");
        assert_eq!(answer.text().await.expect("text"), pem);
    }
}
