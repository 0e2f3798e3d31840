//! Polls of a server that answers from a script.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use callmeter_journal::{Journal, Options};
use callmeter_plugin_host::Outputs;
use hostedsuite_client::{Client, RetryPolicy, Secret};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::super::clocks::WallClock;
use super::super::known_texts::KnownTexts;
use super::super::reader::{Connection, Retries};
use super::*;
use crate::config::Calls;
use crate::config::SecretSource;
use crate::context::AppContext;
use crate::sources::poll::AccountContext;
use crate::stop::{StopSender, stop};
use callmeter_error_chain::chain;

/// Answers a request for a page of the day that was so many days ago.
type Answer = fn(days_ago: i64, page: i64) -> (StatusCode, Value);

struct Rig {
    task: CallsTask,
    journal: Journal,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<i64>>>,
    _stop: StopSender,
    dir: tempfile::TempDir,
}

/// The time of the reader and of the server: the first test of a process begins at noon, so that
/// no test sees midnight.
fn now() -> Timestamp {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    let noon: Timestamp = "2026-08-06T12:00:00Z".parse().unwrap();
    noon + SignedDuration::try_from(STARTED.elapsed()).unwrap()
}

fn today() -> Date {
    now().to_zoned(TimeZone::UTC).date()
}

fn day(days_ago: i64) -> Date {
    today() - days_ago.days()
}

/// A page with these calls of a day.
fn page(days_ago: i64, calls: std::ops::Range<i64>, count: i64) -> (StatusCode, Value) {
    let rows: Vec<Value> = calls
        .map(|call| {
            json!({
                "Id": format!("{days_ago}-{call}"),
                "StartTime": format!("{} 00:00:00", day(days_ago)),
                "DurationInSeconds": 0,
            })
        })
        .collect();
    (StatusCode::OK, json!({"Items": rows, "TotalCount": count}))
}

/// The text of an answer, in which rows begin with their ids, as the service writes them.
fn written(mut answer: Value) -> String {
    let Some(Value::Array(rows)) = answer.get_mut("Items").map(Value::take) else {
        return answer.to_string();
    };
    let rows = rows.into_iter().map(|mut row| {
        let id = row.as_object_mut().and_then(|members| members.remove("Id"));
        match (id, row.to_string().strip_prefix('{')) {
            (Some(id), Some(members)) => format!(r#"{{"Id":{id},{members}"#),
            _ => row.to_string(),
        }
    });
    let rows = format!(r#""Items":[{}]"#, rows.collect::<Vec<_>>().join(","));
    answer.to_string().replacen(r#""Items":null"#, &rows, 1)
}

async fn serve(answer: Arc<Mutex<Answer>>, asked: Arc<Mutex<Vec<i64>>>) -> String {
    let handler = move |body: String| {
        let request: Value = serde_json::from_str(&body).unwrap();
        let start = request["StartDate"].as_str().unwrap();
        let date: Date = start.get(..10).unwrap().parse().unwrap();
        let days_ago = i64::from(date.until(today()).unwrap().get_days());
        asked.lock().unwrap().push(days_ago);
        let answer = *answer.lock().unwrap();
        let (status, body) = answer(days_ago, request["Page"].as_i64().unwrap());
        let headers = [
            ("content-type", "application/json".to_owned()),
            (
                "date",
                jiff::fmt::rfc2822::DateTimePrinter::new()
                    .timestamp_to_rfc9110_string(&now())
                    .unwrap(),
            ),
        ];
        std::future::ready((status, headers, written(body)))
    };
    let router = Router::new().route("/api/calls", axum::routing::post(handler));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn rig(answer: Answer) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
    let outputs = Outputs::new(Arc::new(journal.clone())).unwrap();
    let app = AppContext::of(journal.clone(), Arc::new(outputs));
    let answer = Arc::new(Mutex::new(answer));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let url = serve(Arc::clone(&answer), Arc::clone(&asked)).await;
    let texts = KnownTexts::default();
    let client = Client::builder(url)
        .known_calls(Arc::new(texts.clone()))
        .credentials("Acme", "exporter", Secret::from("password"))
        .env_proxy(false)
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let (sender, stop) = stop();
    let lookback = Duration::from_hours(3 * 24);
    let task = CallsTask::new(CallsReader {
        context: AccountContext {
            account: "acme".into(),
            password: SecretSource::Env("PASSWORD".to_owned()),
            login: Arc::default(),
            app,
            stop,
        },
        connection: Connection {
            client,
            retries: Retries::default(),
            texts,
        },
        config: Calls {
            every: Duration::from_mins(1),
            lookback,
            history: lookback,
            settle: Duration::ZERO,
            page_size: 2,
            page_base: None,
            max_pages: 2,
            max_rows: 1_000,
            time_limit: Duration::from_mins(1),
            tail: false,
            audit: Duration::from_mins(15),
            max_requests_per_minute: 100_000,
        },
        zone: TimeZone::UTC,
        clock: WallClock::new(now),
    });
    Rig {
        task,
        journal,
        answer,
        asked,
        _stop: sender,
        dir,
    }
}

impl Rig {
    fn watermark(&self) -> Option<Date> {
        let state = self.journal.account_state("acme").unwrap();
        let micros = state.watermark?;
        let time = Timestamp::from_microsecond(micros).unwrap();
        Some(time.to_zoned(TimeZone::UTC).date())
    }

    fn take_asked(&self) -> Vec<i64> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[tokio::test]
async fn a_day_that_fails_stops_no_other_day() {
    let mut rig = rig(|days_ago, number| match days_ago {
        2 => (StatusCode::INTERNAL_SERVER_ERROR, json!({})),
        1 => page(1, 0..i64::from(number == 0), 5),
        _ => page(days_ago, 0..1, 1),
    })
    .await;
    let error = rig.task.run().await.unwrap_err();
    let text = chain(&error);
    let expected = format!(
        "{} (and 1 more day): list_calls: server error (500)",
        day(2)
    );
    assert_eq!(text, expected);
    assert_eq!(error.reason(), "server");
    assert_eq!(rig.take_asked(), [0, 3, 2, 2, 1, 1]);
    // The day before the failing one is read: the watermark is at its end.
    assert_eq!(rig.watermark(), Some(day(2)));
    *rig.answer.lock().unwrap() = |days_ago, _| page(days_ago, 0..1, 1);
    let polled = rig.task.run().await.unwrap();
    assert_eq!(polled.truncated, None);
    assert!(polled.found.contains(", 1 new"), "{}", polled.found);
    assert_eq!(rig.watermark(), Some(today()));
}

#[tokio::test]
async fn a_day_larger_than_a_poll_is_read_in_several() {
    // Two days with 7 calls each, on pages of 2, at most 2 pages in a poll.
    let mut rig = rig(|days_ago, number| match days_ago {
        1 | 3 => page(days_ago, (number * 2).min(7)..(number * 2 + 2).min(7), 7),
        _ => page(days_ago, 0..0, 0),
    })
    .await;
    let polled = rig.task.run().await.unwrap();
    let capped = polled.truncated.unwrap();
    assert!(capped.starts_with(&day(3).to_string()), "{capped}");
    assert_eq!(rig.watermark(), None);
    let polled = rig.task.run().await.unwrap();
    assert_eq!(polled.truncated, None);
    assert_eq!(rig.watermark(), Some(today()));
    assert_eq!(rig.take_asked().first(), Some(&0));
}

#[tokio::test]
async fn a_failure_of_the_account_ends_the_poll() {
    let mut rig = rig(|_, _| (StatusCode::TOO_MANY_REQUESTS, json!({}))).await;
    let error = rig.task.run().await.unwrap_err();
    assert_eq!(error.reason(), "throttled");
    assert_eq!(rig.take_asked(), [0]);
    assert_eq!(rig.watermark(), None);
}

#[tokio::test]
async fn a_day_that_is_forbidden_or_throttled_stops_no_other_day() {
    let forbidden: Answer = |days_ago, _| match days_ago {
        3 => (StatusCode::FORBIDDEN, json!({})),
        _ => page(days_ago, 0..1, 1),
    };
    let throttled: Answer = |days_ago, _| match days_ago {
        3 => (StatusCode::TOO_MANY_REQUESTS, json!({})),
        _ => page(days_ago, 0..1, 1),
    };
    for (answer, reason) in [(forbidden, "permission_denied"), (throttled, "throttled")] {
        let mut rig = rig(answer).await;
        let error = rig.task.run().await.unwrap_err();
        assert_eq!(error.reason(), reason);
        assert!(
            chain(&error).starts_with(&format!("{}: ", day(3))),
            "{error}"
        );
        assert_eq!(rig.take_asked(), [0, 3, 2, 1]);
    }
    // If nothing was answered before, nothing shows that only this day fails. Then another one
    // comes first in the next poll.
    let mut rig = rig(|days_ago, _| match days_ago {
        0 => (StatusCode::FORBIDDEN, json!({})),
        _ => page(days_ago, 0..1, 1),
    })
    .await;
    rig.task.run().await.unwrap_err();
    assert_eq!(rig.take_asked(), [0]);
    let error = rig.task.run().await.unwrap_err();
    assert_eq!(rig.take_asked(), [3, 0, 2, 1]);
    assert!(
        chain(&error).starts_with(&format!("{}: ", today())),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_without_a_count_proves_no_empty_day_on_a_server_that_counts() {
    let mut rig = rig(|days_ago, _| match days_ago {
        3 => (StatusCode::OK, json!({})),
        2 => (StatusCode::OK, json!({"TotalCount": 0})),
        1 => (StatusCode::NO_CONTENT, json!({})),
        _ => page(days_ago, 0..1, 1),
    })
    .await;
    for _ in 0..5 {
        let error = chain(&rig.task.run().await.unwrap_err());
        let why = "no calls came, and no count that says that there are none";
        assert_eq!(error, format!("{}: {why}", day(3)));
    }
    assert_eq!(rig.watermark(), None);
    *rig.answer.lock().unwrap() = |days_ago, _| page(days_ago, 0..1, 1);
    rig.task.run().await.unwrap();
    assert_eq!(rig.watermark(), Some(today()));
}

#[tokio::test]
async fn a_part_of_an_answer_is_no_answer() {
    let mut rig = rig(|days_ago, _| match days_ago {
        3 => (StatusCode::PARTIAL_CONTENT, page(3, 0..0, 0).1),
        _ => page(days_ago, 0..1, 1),
    })
    .await;
    let error = chain(&rig.task.run().await.unwrap_err());
    assert!(
        error.contains("206") && error.starts_with(&day(3).to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn a_day_with_a_record_that_cannot_be_read_is_not_proven() {
    let mut rig = rig(|days_ago, number| {
        let first = i64::from(number == 0);
        let (status, mut body) = page(days_ago, 0..first, 1 + i64::from(days_ago == 3));
        if days_ago == 3 && number == 0 {
            body["Items"].as_array_mut().unwrap().push(json!("text"));
        }
        (status, body)
    })
    .await;
    let error = chain(&rig.task.run().await.unwrap_err());
    assert_eq!(
        error,
        format!(
            "{}: 1 of its records cannot be read, such as row 2 of page 0: not an object at byte 79",
            day(3)
        )
    );
}

#[tokio::test]
async fn a_clock_that_is_put_right_while_a_poll_reads_leads_to_no_day_twice() {
    let mut rig = rig(|days_ago, _| page(days_ago, 0..1, 1)).await;
    rig.task.run().await.unwrap();
    rig.take_asked();
    // The clock is set back an hour at its third reading.
    let readings = Arc::new(std::sync::atomic::AtomicU32::new(0));
    rig.task.reader.clock = WallClock::new(move || {
        let is_right = readings.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 2;
        let ahead = i32::from(!is_right);
        now() + ahead.hours()
    });
    rig.task.run().await.unwrap();
    let mut asked = rig.take_asked();
    asked.sort_unstable();
    assert_eq!(asked, [0, 1, 2, 3]);
    // Nor does it keep days from being read in the next one.
    rig.task.run().await.unwrap();
    let mut asked = rig.take_asked();
    asked.sort_unstable();
    assert_eq!(asked, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_server_that_filters_by_another_zone_loses_no_call() {
    // Every request returns the calls of the day before, too.
    let mut rig = rig(|days_ago, _| {
        let (status, mut body) = page(days_ago, 0..1, 2);
        let (_, other) = page(days_ago + 1, 0..1, 2);
        let other = other["Items"][0].clone();
        body["Items"].as_array_mut().unwrap().push(other);
        (status, body)
    })
    .await;
    let polled = rig.task.run().await.unwrap();
    // The ranges of today, of the three days before it, and, because calls of other days came with
    // them, of the day before those.
    assert!(polled.found.contains("6 new"), "{}", polled.found);
    assert!(!polled.found.contains("outside"), "{}", polled.found);
}

/// The page of a day, with a call on top that started on another date.
fn page_with(days_ago: i64, id: &str, start: &str) -> (StatusCode, Value) {
    let (status, mut body) = page(days_ago, 0..1, 2);
    let row = json!({"Id": id, "StartTime": start, "DurationInSeconds": 0});
    body["Items"].as_array_mut().unwrap().push(row);
    (status, body)
}

#[tokio::test]
async fn a_call_that_starts_far_from_its_day_is_shown() {
    let past: Answer = |days_ago, _| match days_ago {
        3 => page_with(3, "far", "2001-08-10T10:00:00"),
        _ => page(days_ago, 0..1, 1),
    };
    let future: Answer = |days_ago, _| match days_ago {
        3 => page_with(3, "far", "9999-12-31T23:59:59"),
        _ => page(days_ago, 0..1, 1),
    };
    for answer in [past, future] {
        let mut rig = rig(answer).await;
        for _ in 0..3 {
            let error = rig.task.run().await.unwrap_err();
            assert_eq!(error.reason(), "incomplete");
            let error = chain(&error);
            assert!(
                error.contains("1 of its calls start far from it"),
                "{error}"
            );
            assert!(error.starts_with(&day(3).to_string()), "{error}");
        }
        assert_eq!(rig.watermark(), None);
        *rig.answer.lock().unwrap() = |days_ago, _| page(days_ago, 0..1, 1);
        rig.task.run().await.unwrap();
        assert_eq!(rig.watermark(), Some(today()));
    }
}

#[tokio::test]
async fn a_server_that_ignores_dates_lists_old_calls_under_every_day() {
    let mut rig = rig(|days_ago, number| match number {
        0 => page_with(days_ago, "old", "2001-08-10T10:00:00"),
        _ => page(days_ago, 0..0, 2),
    })
    .await;
    // Until all days are read, each of them may miss the call.
    rig.task.run().await.unwrap_err();
    let polled = rig.task.run().await.unwrap();
    assert!(polled.found.contains("4 outside"), "{}", polled.found);
    assert_eq!(rig.watermark(), Some(today()));
}

#[tokio::test]
async fn a_day_that_has_lost_calls_is_read_again_from_its_first_page_by_another_process() {
    // 7 calls on pages of 2, at most 2 pages in a poll; the first page has one that starts far off.
    let mut rig = rig(|days_ago, number| match (days_ago, number) {
        (3, 0) => page_with(3, "far", "2001-08-10T10:00:00"),
        (3, _) => page(3, (number * 2 - 1).min(6)..(number * 2 + 1).min(6), 7),
        _ => page(days_ago, 0..0, 0),
    })
    .await;
    rig.task.run().await.unwrap();
    rig.task.memory = None;
    rig.task.run().await.unwrap();
    let error = chain(&rig.task.run().await.unwrap_err());
    assert!(error.contains("start far from it"), "{error}");
    assert_eq!(rig.watermark(), None);
}

/// A day's page with one call, written as the service does, that lasted so long.
fn lasting(days_ago: i64, seconds: i64) -> Value {
    json!({
        "Id": format!("call-{days_ago}"),
        "StartTime": format!("{} 00:00:00", day(days_ago)),
        "DurationInSeconds": seconds,
    })
}

#[tokio::test]
async fn a_text_that_changes_and_changes_back_is_edited_twice() {
    fn answer(days_ago: i64, seconds: i64) -> (StatusCode, Value) {
        let rows = [lasting(days_ago, seconds)];
        (StatusCode::OK, json!({"Items": rows, "TotalCount": 1}))
    }
    let short: Answer = |days_ago, _| answer(days_ago, 7);
    let long: Answer = |days_ago, _| answer(days_ago, 9);
    let mut rig = rig(short).await;
    let mut found = Vec::new();
    // The text is kept at the first reading, and known at the second.
    for answer in [
        short, short, short, long, short, short, short, long, long, long,
    ] {
        *rig.answer.lock().unwrap() = answer;
        found.push(rig.task.run().await.unwrap().found);
    }
    let edited: Vec<usize> = (0..found.len())
        .filter(|&poll| found[poll].contains("4 edited"))
        .collect();
    assert_eq!(edited, [3, 4, 7], "{found:?}");
    assert!(found[0].contains("4 new") && found[2].contains("0 new"));
}

#[tokio::test]
async fn a_text_is_forgotten_when_its_call_comes_with_another_spelling_of_the_id() {
    fn answer(days_ago: i64, seconds: i64, other: usize) -> (StatusCode, Value) {
        let guid = format!("0f8fad5b-d9cb-469f-a165-{days_ago:012}");
        let id = match other {
            0 => guid,
            1 => guid.to_uppercase(),
            2 => format!("{{{guid}}}"),
            3 => guid.replace('-', ""),
            _ => format!(" {guid}"),
        };
        let mut call = lasting(days_ago, seconds);
        call["Id"] = id.into();
        (StatusCode::OK, json!({"Items": [call], "TotalCount": 1}))
    }
    let answers: [Answer; 5] = [
        |days_ago, _| answer(days_ago, 7, 0),
        |days_ago, _| answer(days_ago, 9, 1),
        |days_ago, _| answer(days_ago, 9, 2),
        |days_ago, _| answer(days_ago, 9, 3),
        |days_ago, _| answer(days_ago, 9, 4),
    ];
    let mut rig = rig(answers[0]).await;
    rig.task.run().await.unwrap();
    for other in &answers[1..] {
        let steps = [
            (&answers[0], false),
            (other, true),
            (other, false),
            (&answers[0], true),
        ];
        for (answer, is_edited) in steps {
            *rig.answer.lock().unwrap() = *answer;
            let found = rig.task.run().await.unwrap().found;
            assert_eq!(found.contains("4 edited"), is_edited, "{found}");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_listed_twice_with_two_texts_is_not_edited_at_each_reading() {
    let once: Answer = |days_ago, _| {
        let rows = [lasting(days_ago, 7)];
        (StatusCode::OK, json!({"Items": rows, "TotalCount": 1}))
    };
    let twice: Answer = |days_ago, _| {
        let rows = [lasting(days_ago, 7), lasting(days_ago, 9)];
        (StatusCode::OK, json!({"Items": rows, "TotalCount": 2}))
    };
    let mut rig = rig(once).await;
    for answer in [once, once, twice, twice, twice] {
        *rig.answer.lock().unwrap() = answer;
        let found = rig.task.run().await.unwrap().found;
        assert!(!found.contains("edited"), "{found}");
    }
}

#[tokio::test]
async fn a_text_whose_call_the_journal_does_not_have_is_read() {
    let mut rig = rig(|days_ago, _| page(days_ago, 0..1, 1)).await;
    for _ in 0..3 {
        rig.task.run().await.unwrap();
    }
    // Another journal, which knows nothing.
    let other = Journal::open(rig.dir.path().join("other.db"), &Options::default()).unwrap();
    rig.task.reader.context.app.journal = other;
    rig.task.memory = None;
    let found = rig.task.run().await.unwrap().found;
    assert!(found.contains("4 new"), "{found}");
}

#[tokio::test]
async fn texts_are_kept_of_the_days_that_are_read_again() {
    let mut rig = rig(|days_ago, _| {
        let rows = [lasting(days_ago, 7)];
        (StatusCode::OK, json!({"Items": rows, "TotalCount": 1}))
    })
    .await;
    rig.task.reader.config.history = Duration::from_hours(10 * 24);
    let found = rig.task.run().await.unwrap().found;
    assert!(found.contains("11 new"), "{found}");
    // Today, and the three days of the look-back.
    let texts = rig.task.reader.connection.texts.lock();
    assert_eq!(texts.len(), 4);
}
