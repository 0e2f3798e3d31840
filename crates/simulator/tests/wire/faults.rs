//! Every fault, seen on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use callmeter_simulator::{LedgerQuery, Running};
use serde_json::{Value, json};

use crate::common::{
    CALLS, LOGIN, ask, ids, options, page, pbx, start, start_with, token, truth, unique,
};

/// Reads pages until one is empty, as a reader that trusts nothing else.
async fn read_all(running: &Running, size: u32) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    for number in 0..1_000 {
        let page = page(running, json!({"Page": number, "ItemsPerPage": size})).await;
        let ids = ids(&page);
        if ids.is_empty() {
            return pages;
        }
        pages.push(ids);
    }
    panic!("the pages do not end");
}

#[tokio::test]
async fn without_faults_the_pages_are_the_ledger() {
    let running = start(options()).await;
    for size in [1, 7, 25, 10_000] {
        let pages = read_all(&running, size).await;
        let read: Vec<_> = pages.concat();
        assert_eq!(unique(&pages), truth(&running));
        assert_eq!(read.len(), truth(&running).len(), "a record came twice");
    }
}

#[tokio::test]
async fn late_records_appear_later_and_all_appear() {
    let running = start_with(&["late=0.5"]).await;
    let all = {
        let running = start(options()).await;
        truth(&running)
    };
    let before = unique(&read_all(&running, 50).await);
    assert!(before.len() < all.len(), "nothing is late");
    assert_eq!(before, truth(&running));
    running.advance(2 * 3_600).expect("forward");
    let after = unique(&read_all(&running, 50).await);
    assert!(after.is_superset(&all), "something never came");
    assert_eq!(after, truth(&running));
}

#[tokio::test]
async fn late_records_do_not_vanish_when_the_fault_ends_or_starts() {
    let running = start(options()).await;
    let before = truth(&running);
    let mut faults = running.faults();
    faults.merge_word("late").expect("a fault");
    running.set_faults(faults).expect("in bounds");
    assert_eq!(truth(&running), before);
    running.advance(600).expect("forward");
    running
        .set_faults(callmeter_simulator::Faults::default())
        .expect("in bounds");
    assert!(truth(&running).is_superset(&before));
}

#[tokio::test]
async fn edits_change_records_and_the_ledger_with_them() {
    let running = start_with(&["edits=0.5"]).await;
    let whole = json!({"ItemsPerPage": 10_000, "EndDate": "2026-08-06 18:00:00"});
    let before = page(&running, whole.clone()).await;
    let sums_before = running.ledger(&LedgerQuery::default()).total;
    running.advance(3_600).expect("forward");
    let after = page(&running, whole).await;
    let sums_after = running.ledger(&LedgerQuery::default()).total;

    let by_id = |page: &Value| -> BTreeMap<String, Value> {
        let items = page["Items"].as_array().expect("items").iter();
        let id = |item: &Value| item["Id"].as_str().expect("an id").to_owned();
        items.map(|item| (id(item), item.clone())).collect()
    };
    let (before, after) = (by_id(&before), by_id(&after));
    let edited: Vec<_> = (before.iter())
        .filter(|(id, record)| after.get(*id) != Some(record))
        .collect();
    assert!(!edited.is_empty(), "nothing was edited");
    let changed = |name: &str| (edited.iter()).any(|(id, record)| after[*id][name] != record[name]);
    assert!(changed("Notes") || changed("Flagged"));
    assert!(sums_before != sums_after);
}

#[tokio::test]
async fn each_duration_can_be_missing_misspelt_or_no_number() {
    const NAMES: [&str; 6] = [
        "DurationInSeconds",
        "RingTimeInSeconds",
        "HoldTimeInSeconds",
        "TalkTimeInSeconds",
        "TransferTimeInSeconds",
        "WorkTimeInSeconds",
    ];
    let whole = json!({"ItemsPerPage": 10_000});
    for fault in ["missing_numbers", "misspelt_names"] {
        let running = start_with(&[fault]).await;
        let page = page(&running, whole.clone()).await;
        let items = page["Items"].as_array().expect("items");
        for item in items {
            let missing = NAMES.iter().filter(|name| item.get(**name).is_none());
            assert_eq!(missing.count(), 1, "{fault}: {item}");
        }
        for name in NAMES {
            assert!(items.iter().any(|item| item.get(name).is_none()), "{name}");
        }
    }
    let running = start_with(&["nan"]).await;
    let answer = ask(&running, CALLS, whole).await.text();
    for name in NAMES {
        assert!(answer.contains(&format!("\"{name}\":NaN")), "{name}");
    }
    assert!(
        serde_json::from_str::<Value>(&answer).is_err(),
        "NaN is no JSON"
    );
}

#[tokio::test]
async fn a_share_of_records_is_hit_and_heals_when_the_fault_ends() {
    let running = start_with(&["missing_numbers=0.3"]).await;
    let whole = json!({"ItemsPerPage": 10_000});
    let spoiled = page(&running, whole.clone()).await;
    running
        .set_faults(callmeter_simulator::Faults::default())
        .expect("in bounds");
    let healed = page(&running, whole).await;
    let pairs = (spoiled["Items"].as_array().expect("items").iter())
        .zip(healed["Items"].as_array().expect("items"));
    let hit = pairs.filter(|(spoiled, healed)| spoiled != healed).count();
    let all = ids(&healed).len();
    assert!((all / 6..all / 2).contains(&hit), "{hit} of {all}");
}

#[tokio::test]
async fn the_same_record_comes_on_two_pages_and_none_is_lost() {
    for fault in ["repeats", "repeats=0.5"] {
        let running = start_with(&[fault]).await;
        let pages = read_all(&running, 10).await;
        let repeats = pages
            .windows(2)
            .filter(|pair| pair[0].last() == pair[1].first())
            .count();
        assert!(repeats > 0, "nothing came twice");
        assert_eq!(repeats == pages.len() - 1, fault == "repeats");
        assert_eq!(unique(&pages), truth(&running));
        let stated = page(&running, json!({"ItemsPerPage": 10})).await;
        assert_eq!(stated["TotalPages"], pages.len());
    }
}

#[tokio::test]
async fn records_shift_between_pages_while_new_ones_arrive() {
    let running = start_with(&[r#"shifts={"rate":0.5,"recent_seconds":86400}"#]).await;
    let pages = read_all(&running, 5).await;
    let read: usize = pages.iter().map(Vec::len).sum();
    assert!(read > unique(&pages).len(), "no record came twice");
    let first = page(&running, json!({"ItemsPerPage": 5})).await;
    let later = page(&running, json!({"ItemsPerPage": 5, "Page": 3})).await;
    assert!(first["TotalCount"].as_u64() < later["TotalCount"].as_u64());
    // When they are no longer recent, all of them have appeared.
    running.advance(86_400).expect("forward");
    let truth = truth(&running);
    assert!(unique(&pages).is_subset(&truth));
}

#[tokio::test]
async fn pages_can_count_from_one() {
    let running = start_with(&["one_based_pages"]).await;
    let mut pages = Vec::new();
    for number in 0..3 {
        pages.push(page(&running, json!({"Page": number, "ItemsPerPage": 10})).await);
    }
    assert_eq!(ids(&pages[0]), ids(&pages[1]));
    assert_eq!(pages[0]["Page"], 1);
    assert_ne!(ids(&pages[1]), ids(&pages[2]));
}

#[tokio::test]
async fn a_page_can_be_smaller_than_asked_for() {
    let running = start_with(&["page_size_limit=6"]).await;
    let page = page(&running, json!({"ItemsPerPage": 500})).await;
    assert_eq!(ids(&page).len(), 6);
    let total = page["TotalCount"].as_u64().expect("a total");
    assert_eq!(page["TotalPages"].as_u64(), Some(total.div_ceil(6)));
}

#[tokio::test]
async fn totals_can_be_zero_or_absent() {
    let running = start(options()).await;
    let off = page(&running, json!({"DisableStats": true})).await;
    assert_eq!(
        (&off["TotalCount"], &off["TotalPages"]),
        (&json!(0), &json!(0))
    );
    let running = start_with(&["totals=zero"]).await;
    assert_eq!(page(&running, json!({})).await["TotalCount"], 0);
    let running = start_with(&["totals=absent"]).await;
    let absent = page(&running, json!({})).await;
    assert!(absent.get("TotalCount").is_none() && absent.get("TotalPages").is_none());
    assert!(!ids(&absent).is_empty());
}

#[tokio::test]
async fn a_date_filter_can_be_ignored() {
    let past = json!({"StartDate": "2020-01-01", "EndDate": "2020-01-31"});
    let running = start(options()).await;
    assert!(ids(&page(&running, past.clone()).await).is_empty());
    // An unreadable one is always ignored.
    let unreadable = json!({"StartDate": "last week", "EndDate": "31.01.2020"});
    assert!(!ids(&page(&running, unreadable).await).is_empty());
    let running = start_with(&["ignore_dates"]).await;
    assert!(!ids(&page(&running, past).await).is_empty());
}

#[tokio::test]
async fn an_answer_can_be_slow() {
    let running = start_with(&[r#"latency={"ms":120,"jitter_ms":30}"#]).await;
    let asked = Instant::now();
    page(&running, json!({})).await;
    assert!(asked.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn an_answer_can_stall_in_the_middle() {
    let running = start_with(&[r#"stall={"seconds":1}"#]).await;
    let asked = Instant::now();
    let whole = page(&running, json!({})).await;
    assert!(asked.elapsed() >= Duration::from_secs(1));
    assert!(!ids(&whole).is_empty(), "it arrives in the end");
}

#[tokio::test]
async fn a_connection_can_end_before_or_within_the_answer() {
    let running = start_with(&["disconnect"]).await;
    let nothing = ask(&running, CALLS, json!({})).await;
    assert_eq!((nothing.head.as_str(), nothing.body.len()), ("", 0));
    assert_eq!(running.requests().counts[0].status, 0);

    let running = start_with(&["truncate"]).await;
    let half = ask(&running, CALLS, json!({})).await;
    assert_eq!(half.status(), "200 OK");
    let announced: usize = (half.header("content-length").expect("a length"))
        .parse()
        .expect("a number");
    assert!(!half.body.is_empty() && half.body.len() < announced);
}

#[tokio::test]
async fn requests_can_be_throttled_with_and_without_a_hint() {
    let running = start_with(&[r#"throttle={"retry_after":3,"times":1}"#]).await;
    let throttled = ask(&running, CALLS, json!({})).await;
    assert_eq!(throttled.status(), "429 Too Many Requests");
    assert_eq!(throttled.header("retry-after"), Some("3"));
    assert_eq!(ask(&running, CALLS, json!({})).await.status(), "200 OK");

    let running = start_with(&["throttle"]).await;
    let throttled = ask(&running, CALLS, json!({})).await;
    assert_eq!(throttled.header("retry-after"), None);
}

#[tokio::test]
async fn a_gateway_can_fail_or_answer_html() {
    let running = start_with(&[r#"server_error={"status":502}"#]).await;
    let failed = ask(&running, CALLS, json!({})).await;
    assert_eq!(failed.status(), "502 Bad Gateway");
    assert!(failed.text().contains("<html>"));

    let running = start_with(&[r#"html={"path":"/calls"}"#]).await;
    let html = ask(&running, CALLS, json!({})).await;
    assert_eq!(html.status(), "200 OK");
    assert_eq!(
        html.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let other = ask(&running, "/api/clients", json!({})).await;
    assert!(other.json().is_array(), "only the path that was named");
}

#[tokio::test]
async fn an_error_can_repeat_the_request_in_every_encoding() {
    let password = "p\"a%ß word";
    for (encoding, secret) in [
        ("jsv", "\"p\"\"a%ß word\"".to_owned()),
        ("json", r#"p\"a%ß word"#.to_owned()),
        ("url", "p%22a%25%C3%9F+word".to_owned()),
        ("base64", "cCJhJcOfIHdvcmQ=".to_owned()),
    ] {
        let fault = format!("echo={{\"encoding\":\"{encoding}\"}}");
        let running = start_with(&[&fault]).await;
        let echoed = ask(&running, CALLS, json!({"Password": password})).await;
        assert_eq!(echoed.status(), "500 NullReferenceException");
        let trace = echoed.json()["ResponseStatus"]["StackTrace"].clone();
        assert!(
            trace.as_str().is_some_and(|trace| trace.contains(&secret)),
            "{trace}"
        );
    }
    let running = start_with(&["echo"]).await;
    let echoed = pbx(&running, "POST", "/api/auth/sign_in", None, LOGIN).await;
    assert_eq!(echoed.status(), "500 Internal Server Error");
    assert!(echoed.text().contains("simulated"));
}

#[tokio::test]
async fn logins_are_refused_in_three_ways() {
    let running = start_with(&["refuse_login=security_exception"]).await;
    for path in ["/api/authenticate", CALLS] {
        let refused = ask(&running, path, json!({})).await;
        assert_eq!(refused.status(), "500 SecurityException");
    }
    let running = start_with(&["refuse_login=not_authenticated"]).await;
    let user = ask(&running, "/api/authenticate", json!({})).await;
    assert_eq!(
        (user.status(), user.json()),
        ("200 OK", json!({"Authenticated": false}))
    );
    assert_eq!(
        ask(&running, CALLS, json!({})).await.status(),
        "500 SecurityException"
    );

    let running = start_with(&["refuse_login=unauthorized"]).await;
    let refused = pbx(&running, "POST", "/api/auth/sign_in", None, LOGIN).await;
    assert_eq!(refused.status(), "400 Bad Request");
    assert_eq!(refused.json()["errors"][0]["code"], "UNAUTHORIZED");
}

#[tokio::test]
async fn tokens_expire_and_can_be_refreshed() {
    let running = start(options()).await;
    let granted = pbx(&running, "POST", "/api/auth/sign_in", None, LOGIN)
        .await
        .json();
    let access = granted["access_token"].as_str().expect("a token");
    let mut faults = running.faults();
    faults
        .merge_word(r#"expire_tokens={"times":1}"#)
        .expect("a fault");
    running.set_faults(faults).expect("in bounds");
    for _ in 0..2 {
        let refused = pbx(&running, "GET", "/api/tenant", Some(access), "").await;
        assert_eq!(refused.status(), "401 Unauthorized");
    }
    let body = json!({"refresh_token": granted["refresh_token"]}).to_string();
    let again = pbx(&running, "POST", "/api/auth/refresh_token", None, &body)
        .await
        .json();
    let access = again["access_token"].as_str().expect("a token");
    let answer = pbx(&running, "GET", "/api/tenant", Some(access), "").await;
    assert_eq!(answer.status(), "200 OK");
}

#[tokio::test]
async fn a_second_factor_can_be_asked_for() {
    let running = start_with(&["two_factor"]).await;
    let asked = pbx(&running, "POST", "/api/auth/sign_in", None, LOGIN)
        .await
        .json();
    assert_eq!(asked["two_factor_enabled"], true);
    assert!(asked.get("access_token").is_none());
}

#[tokio::test]
async fn the_deck_changes_under_the_reader() {
    let running = start_with(&["deck_changes"]).await;
    let token = token(&running).await;
    let mut counts = BTreeSet::new();
    for skip in [0, 100] {
        let path = format!("/api/call_rates?orderby=prefix&skip={skip}");
        let page = pbx(&running, "GET", &path, Some(&token), "").await.json();
        counts.insert(page["count"].as_u64().expect("a count"));
    }
    let truth = running.ledger(&LedgerQuery::default()).portsip;
    assert_eq!(truth.rates_changed, 2);
    let export = pbx(&running, "GET", "/api/call_rates/export", Some(&token), "").await;
    let rows = csv::Reader::from_reader(export.body.as_slice())
        .into_records()
        .count();
    let truth = running.ledger(&LedgerQuery::default()).portsip;
    assert_eq!((rows as u64, truth.rates_changed), (truth.rates, 3));
}
