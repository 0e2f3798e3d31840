//! Servers whose pages, ranges and failures are unlike those that readers expect.

use callmeter_simulator::{Options, Running};
use serde_json::{Value, json};

use crate::common::{CALLS, ask, ids, options, page, start, start_with, truth};

/// The ids of a range of one page.
async fn range(running: &Running, from: &str, until: &str) -> Vec<String> {
    let members = json!({"StartDate": from, "EndDate": until, "ItemsPerPage": 10_000});
    ids(&page(running, members).await)
}

/// The start times of the oldest calls, in order, as they are written.
async fn starts(running: &Running) -> Vec<String> {
    let oldest = json!({"SortField": "StartTime", "SortDir": "Asc", "ItemsPerPage": 10_000});
    let page = page(running, oldest).await;
    let items = page["Items"].as_array().expect("items");
    let start = |item: &Value| item["StartTime"].as_str().expect("a start").to_owned();
    items.iter().map(start).collect()
}

#[tokio::test]
async fn page_zero_of_a_server_that_counts_from_one_is_empty_or_refused() {
    let sized = |number: u32| json!({"Page": number, "ItemsPerPage": 10});
    let plain = start(options()).await;
    let first = ids(&page(&plain, sized(0)).await);

    let running = start_with(&["one_based_pages", "page_zero=empty"]).await;
    let zero = page(&running, sized(0)).await;
    assert!(ids(&zero).is_empty());
    assert_eq!(
        (&zero["Page"], zero["TotalCount"].as_u64() > Some(0)),
        (&json!(0), true)
    );
    assert_eq!(ids(&page(&running, sized(1)).await), first);

    let running = start_with(&["one_based_pages", "page_zero=refused"]).await;
    let refused = ask(&running, CALLS, sized(0)).await;
    assert_eq!(refused.status(), "500 SqlException");
    assert_eq!(ids(&page(&running, sized(1)).await), first);
}

#[tokio::test]
async fn the_number_of_pages_can_be_that_of_the_size_asked_for() {
    let running = start_with(&["page_size_limit=6", "pages_as_asked"]).await;
    let page = page(&running, json!({"ItemsPerPage": 20})).await;
    let total = truth(&running).len() as u64;
    assert_eq!(ids(&page).len(), 6);
    assert_eq!(page["TotalCount"].as_u64(), Some(total));
    assert_eq!(page["TotalPages"].as_u64(), Some(total.div_ceil(20)));
}

#[tokio::test]
async fn the_last_page_can_be_repeated_beyond_the_end() {
    for base in [&[][..], &["one_based_pages"]] {
        let running = start_with(&[&["last_page_repeats"], base].concat()).await;
        let sized = |number: u64| json!({"Page": number, "ItemsPerPage": 50});
        let pages = page(&running, sized(1)).await["TotalPages"]
            .as_u64()
            .expect("a number");
        let last = pages - 1 + base.len() as u64;
        let rows = ids(&page(&running, sized(last)).await);
        assert!(!rows.is_empty());
        for beyond in [1, 7] {
            assert_eq!(ids(&page(&running, sized(last + beyond)).await), rows);
        }
        assert_ne!(ids(&page(&running, sized(last - 1)).await), rows);
    }
}

#[tokio::test]
async fn an_empty_page_can_lack_its_items_or_be_no_content() {
    let past = json!({"StartDate": "2020-01-01", "EndDate": "2020-01-31"});
    let running = start_with(&["empty_page=without_items"]).await;
    let empty = page(&running, past.clone()).await;
    assert_eq!(empty, json!({"Page": 0, "TotalCount": 0, "TotalPages": 0}));
    assert!(!ids(&page(&running, json!({})).await).is_empty());

    let running = start_with(&["empty_page=no_content"]).await;
    let nothing = ask(&running, CALLS, past).await;
    assert_eq!(
        (nothing.status(), nothing.body.len()),
        ("204 No Content", 0)
    );
    assert!(!ids(&page(&running, json!({})).await).is_empty());
}

#[tokio::test]
async fn one_page_can_fail_with_any_status_and_a_number_of_times() {
    let fault = r#"fail_page={"page":1,"status":503,"times":2}"#;
    let running = start_with(&[fault]).await;
    let mut seen = Vec::new();
    for number in [0, 1, 2, 1, 1] {
        let answer = ask(&running, CALLS, json!({"Page": number, "ItemsPerPage": 10})).await;
        seen.push(answer.status()[..3].to_owned());
    }
    assert_eq!(seen, ["200", "503", "200", "503", "200"]);
}

#[tokio::test]
async fn one_day_can_always_fail() {
    let running = start_with(&[r#"fail_day={"day":"2026-08-05"}"#]).await;
    let status = async |from: &str, until: &str| {
        let answer = ask(
            &running,
            CALLS,
            json!({"StartDate": from, "EndDate": until}),
        )
        .await;
        answer.status()[..3].to_owned()
    };
    assert_eq!(status("2026-08-05", "2026-08-05").await, "500");
    assert_eq!(
        status("2026-08-05 03:00:00", "2026-08-05 04:00:00").await,
        "500"
    );
    assert_eq!(status("2026-08-01", "2026-08-31").await, "500");
    assert_eq!(status("2026-08-06", "2026-08-06").await, "200");
    // The neighbours' ranges may overlap the day.
    assert_eq!(
        status("2026-08-05 23:50:00", "2026-08-06 23:59:59").await,
        "200"
    );
    assert_eq!(status("2026-08-04", "2026-08-05 00:10:00").await, "200");
    assert!(truth(&running).len() > range(&running, "2026-08-06", "2026-08-06").await.len());
}

#[tokio::test]
async fn the_end_of_a_range_can_be_excluded() {
    let running = start(options()).await;
    let last = starts(&running).await.pop().expect("a call");
    let before = "2026-08-04";
    let included = range(&running, before, &last).await;
    assert_eq!(included.len(), truth(&running).len());

    let running = start_with(&["end_exclusive"]).await;
    assert!(range(&running, before, &last).await.len() < included.len());
    // A date without a time is still its whole day.
    assert_eq!(range(&running, before, "2026-08-06").await, included);
}

#[tokio::test]
async fn starts_can_have_fractions_that_the_last_second_of_a_range_lacks() {
    let options = Options {
        fractions: true,
        ..options()
    };
    let running = start(options).await;
    let written = starts(&running).await;
    assert!(written.is_sorted());
    assert!(
        written
            .iter()
            .all(|start| start.len() == "2026-08-06 08:45:00.123".len())
    );
    assert!(written.iter().any(|start| !start.ends_with(".000")));
    let last = written.last().expect("a call");
    let all = range(&running, "2026-08-04", last).await.len();
    assert_eq!(all, truth(&running).len());
    let second = &last[..last.len() - 4];
    assert!(range(&running, "2026-08-04", second).await.len() < all);
}

#[tokio::test]
async fn a_server_can_filter_in_a_zone_other_than_the_one_it_writes() {
    let mut options = options();
    options.time_zone = "America/New_York".to_owned();
    let day = ("2026-08-05 00:00:00", "2026-08-05 23:59:59");
    let running = start(options.clone()).await;
    let own = range(&running, day.0, day.1).await;
    options
        .faults
        .merge_word("filter_zone=UTC")
        .expect("a fault");
    let running = start(options).await;
    let page = page(
        &running,
        json!({"StartDate": day.0, "EndDate": day.1, "ItemsPerPage": 10_000}),
    )
    .await;
    assert_ne!(ids(&page), own);
    // New York is four hours behind: its evening belongs to the next day of the filter.
    let starts = page["Items"].as_array().expect("items").iter();
    let starts: Vec<_> = starts
        .map(|item| item["StartTime"].as_str().expect("a start"))
        .collect();
    assert!(
        starts
            .iter()
            .all(|start| ("2026-08-04 20:00:00".."2026-08-05 20:00:00").contains(start))
    );
    assert!(starts.iter().any(|start| start.starts_with("2026-08-04")));
}

#[tokio::test]
async fn the_order_asked_for_is_honoured_unless_it_is_ignored() {
    let running = start(options()).await;
    let by_start = |direction: &str| json!({"SortField": "StartTime", "SortDir": direction});
    let oldest = page(&running, by_start("Asc")).await;
    let newest = page(&running, by_start("Desc")).await;
    assert_ne!(ids(&oldest), ids(&newest));
    assert!(starts(&running).await.is_sorted());

    let running = start_with(&["ignore_order"]).await;
    assert_eq!(ids(&page(&running, by_start("Asc")).await), ids(&newest));
    assert_eq!(
        ids(&page(&running, json!({"SortField": "Id"})).await),
        ids(&newest)
    );
}
