//! Servers whose records, times and ids are unlike those that readers expect.

use std::collections::BTreeMap;

use callmeter_simulator::{Faults, LedgerQuery, Running, Sums};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::common::{CALLS, ask, ids, options, page, start, start_with, truth};

/// All records, by id.
async fn records(running: &Running) -> BTreeMap<String, Value> {
    let page = page(running, json!({"ItemsPerPage": 10_000})).await;
    let items = page["Items"].as_array().expect("items").iter();
    items
        .map(|item| (item["Id"].as_str().expect("an id").to_owned(), item.clone()))
        .collect()
}

fn total(running: &Running) -> Sums {
    running.ledger(&LedgerQuery::default()).total
}

fn milliseconds(record: &Value, member: &str) -> Option<u64> {
    let seconds = record.get(member)?.as_f64()?;
    format!("{:.0}", seconds * 1_000.0).parse().ok()
}

fn end_faults(running: &Running) {
    running.set_faults(Faults::default()).expect("in bounds");
}

#[tokio::test]
async fn records_can_lack_their_start_or_have_a_wrong_one() {
    let running = start_with(&["no_start=0.3"]).await;
    let found = records(&running).await;
    let without = found
        .values()
        .filter(|one| one.get("StartTime").is_none())
        .count();
    assert!((1..found.len()).contains(&without));
    assert_eq!(found.len(), truth(&running).len());

    let running = start_with(&[r#"no_start={"style":"min_value"}"#]).await;
    for record in records(&running).await.values() {
        assert_eq!(record["StartTime"], "0001-01-01T00:00:00");
        assert_eq!(
            record["Interactions"][0]["StartTime"],
            "0001-01-01T00:00:00"
        );
    }

    let running = start_with(&[r#"no_start={"style":"century"}"#]).await;
    for record in records(&running).await.values() {
        let year: u32 = record["StartTime"].as_str().unwrap()[..4].parse().unwrap();
        assert!(year > 2100, "{year}");
    }
}

#[tokio::test]
async fn a_running_call_gets_its_durations_when_it_ends() {
    let running = start_with(&["running"]).await;
    let plain = start(options()).await;
    let mut seen = 0;
    for _ in 0..40 {
        let (ended, found) = (truth(&running), records(&running).await);
        assert_eq!(ended, truth(&plain), "the ledger has calls that have ended");
        for (id, record) in &found {
            let talk = record.get("TalkTimeInSeconds");
            assert_eq!(talk.is_some(), ended.contains(id), "{record}");
            assert!(talk.is_some() || record.get("AnsweredBy").is_none());
        }
        seen += found.len() - ended.len();
        for one in [&running, &plain] {
            one.advance(60).expect("forward");
        }
    }
    assert!(seen > 0, "no call was running");
}

#[tokio::test]
async fn a_start_that_is_edited_moves_the_call_to_another_day() {
    let running = start_with(&[r#"moved_starts={"rate":0.3,"days":-3}"#]).await;
    let all = truth(&running);
    running.advance(2 * 3_600).expect("forward");
    let old = json!({"EndDate": "2026-08-03 23:59:59", "ItemsPerPage": 10_000});
    let moved = ids(&page(&running, old.clone()).await);
    let plain = start(options()).await;
    let before = ids(&page(&plain, old).await);
    assert!(moved.len() > before.len(), "no call has moved");
    let oldest = json!({"SortField": "StartTime", "SortDir": "Asc", "ItemsPerPage": 10_000});
    let sorted = page(&running, oldest).await;
    let starts = sorted["Items"].as_array().expect("items").iter();
    assert!(starts.is_sorted_by_key(|item| item["StartTime"].as_str().expect("a start")));
    assert!(truth(&running).is_superset(&all));

    end_faults(&running);
    let old = json!({"EndDate": "2026-08-03 23:59:59", "ItemsPerPage": 10_000});
    assert_eq!(ids(&page(&running, old).await), moved, "an edit stays");
}

#[tokio::test]
async fn a_duration_can_be_longer_than_calls_are() {
    let running = start_with(&["long_calls=0.1"]).await;
    let found = records(&running).await;
    let long = |record: &&Value| record["DurationInSeconds"] == 600_000;
    let number = found.values().filter(long).count() as u64;
    assert!(number > 0);
    let sum: u64 = found
        .values()
        .filter_map(|one| milliseconds(one, "DurationInSeconds"))
        .sum();
    assert_eq!(total(&running).duration_ms, sum);
    end_faults(&running);
    assert!(total(&running).duration_ms < number * 600_000_000);
}

#[tokio::test]
async fn an_unknown_talk_time_says_neither_answered_nor_unanswered() {
    for (style, talk) in [("text", Some(json!("n/a"))), ("missing", None)] {
        let fault = format!(r#"unknown_talk={{"rate":0.5,"style":"{style}"}}"#);
        let running = start_with(&[&fault]).await;
        let truth = total(&running);
        let mut counted = Sums {
            calls: truth.calls,
            ..Sums::default()
        };
        for record in records(&running).await.values() {
            match milliseconds(record, "TalkTimeInSeconds") {
                Some(0) => counted.unanswered += 1,
                Some(known) => counted.talk_ms += known,
                None => {
                    assert_eq!(record.get("TalkTimeInSeconds"), talk.as_ref());
                    assert!(record.get("AnsweredBy").is_none());
                    counted.answer_unknown += 1;
                }
            }
        }
        assert!(counted.answer_unknown > 0);
        let of = |sums: &Sums| (sums.unanswered, sums.answer_unknown, sums.talk_ms);
        assert_eq!(of(&counted), of(&truth));
        end_faults(&running);
        assert_eq!(total(&running).answer_unknown, 0);
    }
}

#[tokio::test]
async fn a_latin_1_byte_stands_beside_a_real_replacement_character() {
    let running = start_with(&["latin1_notes=0.05"]).await;
    for accept in ["application/json", "application/jsv"] {
        let headers = [("Content-Type", "application/json"), ("Accept", accept)];
        let body = crate::common::body(&json!({"ItemsPerPage": 10_000}));
        let answer = crate::common::post(&running, CALLS, &headers, &body).await;
        let has = |text: &[u8]| answer.body.windows(text.len()).any(|bytes| bytes == text);
        assert!(has(b"Caf\xe9") && has("Caf\u{fffd}".as_bytes()), "{accept}");
        assert!(String::from_utf8(answer.body.clone()).is_err());
    }
    end_faults(&running);
    assert!(
        !ids(&page(&running, json!({})).await).is_empty(),
        "UTF-8 again"
    );
}

#[tokio::test]
async fn a_duration_can_come_and_go() {
    let running = start_with(&[r#"flapping={"seconds":1800}"#]).await;
    // A call that has just ended, from its first value to its last.
    let before = truth(&running);
    let id = loop {
        running.advance(30).expect("forward");
        if let Some(new) = truth(&running).difference(&before).next() {
            break new.clone();
        }
    };
    let mut seen = Vec::new();
    for _ in 0..6 {
        let record = &page(&running, json!({"CallRecordId": id})).await["Items"][0];
        seen.push(record.get("DurationInSeconds").and_then(Value::as_u64));
        running.advance(1_800).expect("forward");
    }
    assert_eq!(seen, [Some(10), None, Some(12), None, Some(13), Some(13)]);
    // The ledger has the last value that was known.
    let settled = truth(&running).len() as u64;
    assert!(total(&running).duration_ms <= settled * 13_000);
}

#[tokio::test]
async fn times_can_carry_their_offset() {
    let mut options = options();
    options.time_zone = "America/New_York".to_owned();
    let plain = records(&start(options.clone()).await).await;
    for style in ["offset", "utc"] {
        let mut options = options.clone();
        options
            .faults
            .merge_word(&format!("time_style={style}"))
            .expect("a fault");
        for (id, record) in records(&start(options).await).await {
            let written = record["StartTime"].as_str().expect("a start");
            assert!(
                written.ends_with(if style == "utc" { "Z" } else { "-04:00" }),
                "{written}"
            );
            let at: Timestamp = written.parse().expect("a time");
            let local = at.in_tz("America/New_York").expect("a zone");
            let local = local.strftime("%Y-%m-%d %H:%M:%S").to_string();
            assert_eq!(plain[&id]["StartTime"], local);
        }
    }
}

#[tokio::test]
async fn the_date_header_can_be_ahead_or_behind() {
    for seconds in [0, 3_600, -86_400] {
        let running = start_with(&[&format!("date_skew={seconds}")]).await;
        let answer = ask(&running, CALLS, json!({})).await;
        let date = answer.header("date").expect("a date");
        let date = jiff::fmt::rfc2822::parse(date)
            .expect("RFC 2822")
            .timestamp();
        let ahead = date.as_second() - Timestamp::now().as_second();
        assert!(
            (ahead - seconds).abs() <= 5,
            "{ahead} s ahead, not {seconds}"
        );
    }
}

#[tokio::test]
async fn ids_change_their_spelling_after_some_requests() {
    for style in ["dashes", "capitals", "braces"] {
        let fault = format!(r#"id_spelling={{"style":"{style}","after":2}}"#);
        let running = start_with(&[&fault]).await;
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(ids(&page(&running, json!({})).await));
        }
        assert_eq!(answers[0], answers[1]);
        for (plain, spelled) in answers[0].iter().zip(&answers[2]) {
            assert_ne!(plain, spelled);
            let digits = spelled.replace(['-', '{', '}'], "").to_lowercase();
            assert_eq!(*plain, digits);
            let found = page(&running, json!({"CallRecordId": spelled})).await;
            assert_eq!(ids(&found), std::slice::from_ref(spelled));
        }
    }
}
