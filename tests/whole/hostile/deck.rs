//! Rate decks that are damaged, cut off, or come from another source.

use std::time::{Duration, Instant};

use callmeter_tests::{Exporter, PATIENCE, Samples, World};

use super::canned::{Reply, answer, json, with_headers};
use super::{Scripted, exporter, usual, value};

pub(super) const HEADER: &str = "ID,Prefix,Type,Free Seconds,Grace Period,Interval 1,Interval N,Connect Fee,Postcall Surcharge,Price 1,Price N,Description\n";

fn row(number: usize, price: &str) -> String {
    format!("r{number},49{number},MOBILE,0,0,60,1,0,0,{price},{price},Desc\n")
}

fn deck(rates: usize, price: &str) -> String {
    let rows: String = (0..rates).map(|number| row(number, price)).collect();
    format!("{HEADER}{rows}")
}

pub(super) fn export(body: impl AsRef<[u8]>) -> Reply {
    answer("200 OK", "application/octet-stream", body)
}

/// A body that ends with the connection.
fn without_length(body: &str) -> Reply {
    Reply::Raw(format!("HTTP/1.1 200 OK\r\n\r\n{body}").into_bytes())
}

/// The first page of a list that counts so many rates.
fn list(count: i64) -> Reply {
    json(format!(
        r#"{{"count":{count},"items":[{{"id":"r0","prefix":"490"}}]}}"#
    ))
}

/// What an operator sees of a deck.
#[derive(Debug, PartialEq)]
struct Seen {
    rates: f64,
    new: f64,
    revised: f64,
    removed: f64,
    unreadable: bool,
    failed: bool,
}

impl Seen {
    fn of(metrics: &Samples, account: &str) -> Self {
        let account = format!("account=\"{account}\"");
        let changed = |change: &str| {
            let change = format!("change=\"{change}\"");
            metrics.sum("callmeter_call_rates_changed_total", &[&account, &change])
        };
        let labels = [account.as_str(), "task=\"rates\""];
        Self {
            rates: metrics.sum("callmeter_call_rates", &[&account]),
            new: changed("new"),
            revised: changed("revised"),
            removed: changed("removed"),
            unreadable: metrics.sum("callmeter_records_unreadable_total", &labels) > 0.0,
            failed: metrics.sum("callmeter_poll_failures_total", &labels) > 0.0,
        }
    }
}

const fn seen(rates: f64, new: f64, revised: f64, removed: f64) -> Seen {
    Seen {
        rates,
        new,
        revised,
        removed,
        unreadable: false,
        failed: false,
    }
}

/// What is exported first and then, what the list answers then, and what is seen in the end.
struct Case {
    name: &'static str,
    before: String,
    after: Reply,
    list: Reply,
    wanted: Seen,
    /// Words of the status of the poll of rates.
    words: &'static str,
}

fn cases() -> Vec<Case> {
    let unreadable = |wanted: Seen| Seen {
        unreadable: true,
        ..wanted
    };
    let failed = |wanted: Seen| Seen {
        failed: true,
        ..wanted
    };
    let none = || with_headers("404 Not Found", &[], "");
    let latin1 = deck(100, "0.05").into_bytes();
    let at = latin1.len() / 2
        + latin1[latin1.len() / 2..]
            .iter()
            .position(|b| *b == b'D')
            .unwrap();
    let latin1 = [&latin1[..at], b"M\xFCnchen ", &latin1[at..]].concat();
    let cut = deck(25, "0.25");
    vec![
        Case {
            name: "decimal-commas",
            before: deck(3, "0.05"),
            after: export(deck(1, "0.05") + &deck(3, "0,05")[HEADER.len()..]),
            list: list(3),
            wanted: unreadable(seen(1.0, 3.0, 0.0, 0.0)),
            words: "3 rates cannot be read",
        },
        Case {
            name: "comma-in-description",
            before: deck(2, "0.05"),
            after: export(deck(2, "0.05").replacen("Desc\n", "Germany, mobile\n", 1)),
            list: list(2),
            wanted: unreadable(seen(1.0, 2.0, 0.0, 0.0)),
            words: "1 rate cannot be read",
        },
        Case {
            name: "underscores",
            before: deck(2, "0.05"),
            after: export(deck(1, "0_05") + &row(1, "1_000") + &row(2, "0.07")),
            list: list(3),
            wanted: unreadable(seen(1.0, 3.0, 0.0, 0.0)),
            words: "2 rates cannot be read",
        },
        Case {
            name: "one-bad-price",
            before: deck(3, "0.05"),
            after: export(deck(1, "n/a") + &row(1, "0.06") + &row(3, "0.07")),
            list: list(3),
            // Removals wait, because the first rate would be one.
            wanted: unreadable(seen(2.0, 4.0, 1.0, 0.0)),
            words: "1 rate cannot be read",
        },
        Case {
            name: "cut-in-a-row",
            before: deck(50, "0.05"),
            after: without_length(&cut[..cut.len() - 3]),
            list: list(50),
            wanted: failed(seen(50.0, 50.0, 0.0, 0.0)),
            words: "the file ends within row 24",
        },
        Case {
            name: "cut-between-rows",
            before: deck(50, "0.05"),
            after: without_length(&cut),
            list: list(50),
            wanted: failed(seen(50.0, 50.0, 0.0, 0.0)),
            words: "it has 25 rates, but the server's list counts 50",
        },
        Case {
            name: "only-the-header",
            before: deck(5, "0.05"),
            after: export(HEADER),
            list: list(5),
            wanted: failed(seen(5.0, 5.0, 0.0, 0.0)),
            words: "it has 0 rates, but the server's list counts 5",
        },
        Case {
            name: "only-the-header-is-true",
            before: deck(5, "0.05"),
            after: export(HEADER),
            list: json(r#"{"count":0,"items":[]}"#),
            wanted: seen(0.0, 5.0, 0.0, 5.0),
            words: "0 rates by export",
        },
        Case {
            name: "only-the-header-without-a-count",
            before: deck(5, "0.05"),
            after: export(HEADER),
            list: none(),
            wanted: seen(0.0, 5.0, 0.0, 0.0),
            words: "5 known rates did not come",
        },
        Case {
            name: "latin1",
            before: deck(100, "0.05"),
            after: export(latin1),
            list: none(),
            wanted: seen(100.0, 100.0, 1.0, 0.0),
            words: "100 rates by export",
        },
        Case {
            name: "quotation-marks",
            before: HEADER.to_owned(),
            after: export(
                deck(3, "0.05")
                    .replacen("Desc\n", "19\" rack line\n", 1)
                    .replacen("Desc\n", "\"first line\nsecond line\"\n", 1),
            ),
            list: none(),
            wanted: seen(3.0, 3.0, 0.0, 0.0),
            words: "3 rates by export",
        },
        Case {
            name: "an-open-quotation-mark",
            before: deck(3, "0.05"),
            after: export(deck(3, "0.05").replacen("Desc\n", "\"19 rack line\n", 1)),
            list: list(3),
            wanted: unreadable(seen(2.0, 3.0, 0.0, 0.0)),
            words: "1 rate cannot be read",
        },
        Case {
            name: "an-open-mark-before-another",
            before: deck(3, "0.05"),
            after: export(
                deck(3, "0.05")
                    .replacen("Desc\n", "\"19 rack line\n", 1)
                    .replacen("Desc\n", "\"two, words\"\n", 1),
            ),
            list: list(3),
            wanted: unreadable(seen(2.0, 3.0, 1.0, 0.0)),
            words: "1 rate cannot be read",
        },
        Case {
            name: "a-prefix-twice",
            before: deck(3, "0.05"),
            after: export(deck(3, "0.05") + &row(1, "7")),
            list: list(4),
            wanted: seen(3.0, 3.0, 0.0, 0.0),
            words: "1 with the prefix of another",
        },
        Case {
            name: "a-prefix-twice-in-another-order",
            before: deck(3, "0.05") + &row(1, "7"),
            after: export(deck(1, "0.05") + &row(1, "7") + &row(1, "0.05") + &row(2, "0.05")),
            list: list(4),
            wanted: seen(3.0, 3.0, 0.0, 0.0),
            words: "1 with the prefix of another",
        },
        Case {
            name: "a-line-of-totals",
            before: deck(4, "0.05"),
            after: export(deck(3, "0.05") + ",Total,,,,,,,,,,3 rates\n"),
            list: list(4),
            // One of the four may be the line that cannot be read.
            wanted: unreadable(seen(3.0, 4.0, 0.0, 0.0)),
            words: "1 rate cannot be read",
        },
        Case {
            name: "a-line-of-totals-that-the-list-does-not-count",
            before: deck(4, "0.05"),
            after: export(deck(3, "0.05") + ",Total,,,,,,,,,,3 rates\n"),
            list: list(3),
            wanted: unreadable(seen(3.0, 4.0, 0.0, 1.0)),
            words: "3 rates by export",
        },
        Case {
            name: "a-negative-interval",
            before: deck(3, "0.05"),
            after: export(deck(3, "0.05").replacen(",60,1,", ",60,-1,", 1)),
            list: list(3),
            wanted: unreadable(seen(2.0, 3.0, 0.0, 0.0)),
            words: "1 rate cannot be read",
        },
        Case {
            name: "br",
            before: deck(3, "0.05"),
            after: with_headers("200 OK", &[("Content-Encoding", "br")], "xyz"),
            list: none(),
            wanted: failed(seen(3.0, 3.0, 0.0, 0.0)),
            words: "not found",
        },
    ]
}

/// Waits until everything is seen as it should be; fails with what is not.
async fn all_seen(exporter: &Exporter, servers: &[(Scripted, Seen, &str, String)]) {
    let begun = Instant::now();
    loop {
        let metrics = exporter.metrics().await;
        let mut wrong = Vec::new();
        for (server, wanted, words, _) in servers {
            let seen = Seen::of(&metrics, server.name);
            let task = exporter.task(server.name, "rates").await.to_string();
            if seen != *wanted || !task.contains(words) {
                wrong.push(format!("{}: {seen:?}, not {wanted:?}, {task}", server.name));
            }
        }
        if wrong.is_empty() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", wrong.join("\n"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_decks_change_nothing_that_nobody_said() {
    let world = World::new();
    let mut servers = Vec::new();
    for case in cases() {
        let (before, after, list) = (export(&case.before), case.after, case.list);
        let server = Scripted::start(case.name, move |request, phase| match request.line() {
            "GET /api/call_rates/export" if phase == 0 => before.clone(),
            "GET /api/call_rates/export" => after.clone(),
            line if line.starts_with("GET /api/call_rates?") => list.clone(),
            _ => usual(request),
        })
        .await;
        servers.push((server, case.wanted, case.words, case.before));
    }
    let accounts: Vec<_> = servers
        .iter()
        .map(|(server, ..)| server.pbx(&world))
        .collect();
    let exporter = exporter(&world, &accounts).await;
    exporter
        .until("first decks", async |exporter| {
            let metrics = exporter.metrics().await;
            servers.iter().all(|(server, _, _, before)| {
                let prefixes = before.lines().skip(1).map(|row| row.split(',').nth(1));
                let prefixes: std::collections::BTreeSet<_> = prefixes.collect();
                #[expect(clippy::cast_precision_loss, reason = "a small count")]
                let rates = prefixes.len() as f64;
                Seen::of(&metrics, server.name).rates == rates
                    && server.seen("call_rates/export") > 0
            })
        })
        .await;
    for (server, ..) in &servers {
        server.advance();
    }
    all_seen(&exporter, &servers).await;
    // After a failure, polls are rarer.
    let (exports, polls) = ("call_rates/export", 2);
    let steady = servers.iter().filter(|(_, wanted, ..)| !wanted.failed);
    let steady: Vec<_> = steady
        .map(|(server, ..)| (server, server.seen(exports) + polls))
        .collect();
    exporter
        .until("polled again", async |_| {
            steady
                .iter()
                .all(|(server, wanted)| server.seen(exports) >= *wanted)
        })
        .await;
    all_seen(&exporter, &servers).await;
    let metrics = exporter.metrics().await;
    // No price was made up.
    let prices: Vec<_> = metrics
        .of("callmeter_call_rate_price_per_minute", &[])
        .collect();
    let known = [0.05, 0.06, 0.07];
    let is_known = |price: f64| known.iter().any(|known| (known - price).abs() < 1e-12);
    let is_mean = |series: &str| series.contains("aggregate=\"mean\"");
    assert!(!prices.is_empty());
    for (series, price) in prices {
        assert!(is_known(price) || is_mean(series), "{series} {price}");
    }
    assert!(exporter.terminate().success());
}

/// The export has no ids, the list has them: a rate is the rate of its prefix.
#[tokio::test(flavor = "multi_thread")]
async fn another_source_is_no_other_deck() {
    let world = World::new();
    let without_ids: String = deck(10, "0.05")
        .lines()
        .map(|line| line.split_once(',').unwrap().1.to_owned() + "\n")
        .collect();
    let details = |number: usize| {
        format!(
            r#"{{"id":"x{number}","prefix":"49{number}","type":"MOBILE","free_seconds":0,"grace_period":0,"interval_1":60,
            "interval_n":1,"connect_fee":0,"postcall_surcharge":0.0,"price_1":"0.050","price_n":0.05,"description":"Desc"}}"#
        )
    };
    let server = Scripted::start("hq", move |request, phase| {
        let line = request.line();
        if let Some(number) = line.strip_prefix("GET /api/call_rates/x") {
            return json(details(number.parse().unwrap()));
        }
        if line.starts_with("GET /api/call_rates?") {
            let items: Vec<_> = (0..10).map(details).collect();
            return json(format!(r#"{{"count":10,"items":[{}]}}"#, items.join(",")));
        }
        match (line, phase) {
            ("GET /api/call_rates/export", 0 | 2) => export(&without_ids),
            _ => usual(request),
        }
    })
    .await;
    let exporter = exporter(&world, &[server.pbx(&world)]).await;
    for words in [
        "10 rates by export",
        "10 rates by list and details",
        "10 rates by export",
    ] {
        exporter
            .until(words, async |exporter| {
                let task = exporter.task("hq", "rates").await.to_string();
                task.contains(words)
            })
            .await;
        server.polled(&exporter, "call_rates/export").await;
        let metrics = exporter.metrics().await;
        assert_eq!(
            Seen::of(&metrics, "hq"),
            seen(10.0, 10.0, 0.0, 0.0),
            "{words}"
        );
        server.advance();
    }
    let up = value(&exporter.metrics().await, "callmeter_up", &[]);
    assert_eq!(up, Some(1.0));
    assert!(exporter.terminate().success());
}
