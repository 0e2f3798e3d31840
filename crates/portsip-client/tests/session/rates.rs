//! Walking over the list of rates.

use portsip_client::{DeckSource, ErrorKind, RatesQuery, Reason, WhyNoExport};
use proptest::prelude::*;

use crate::canned::{Reply, Seen, answer, json, with_headers};
use crate::{session, signed_in};

fn parameter(request: &Seen, name: &str) -> usize {
    let query = request.line().split_once('?').unwrap().1;
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    value.unwrap().parse().unwrap()
}

/// A server of `rows` rates that sends at most `most` at a time and whose `skip` counts from
/// `from`.
fn page(request: &Seen, rows: usize, most: usize, from: usize, counts: bool) -> Reply {
    let (skip, top) = (
        parameter(request, "skip"),
        parameter(request, "top").min(most),
    );
    let items: Vec<_> = (skip.saturating_sub(from).min(rows)..rows)
        .take(top)
        .map(|id| format!(r#"{{"id":"{id}","prefix":"{id}","price_1":0.1}}"#))
        .collect();
    let count = if counts {
        format!(r#""count":{rows},"#)
    } else {
        String::new()
    };
    json(format!(r#"{{{count}"items":[{}]}}"#, items.join(",")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_rate_once(rows in 0_usize..40, most in 2_usize..15, top in 2_u32..15, from in 0_usize..2, counts: bool) {
        // Without a count, a server that sends fewer than asked for looks like one at its end.
        prop_assume!(counts || most >= top as usize);
        let ids = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let server = signed_in(move |request| page(request, rows, most, from, counts)).await;
            let mut pages = session(&server).rates(&RatesQuery::default().top(top));
            let mut ids = Vec::new();
            while let Some(page) = pages.next().await {
                for rate in page.unwrap().rates {
                    ids.push(rate.unwrap().id.unwrap().parse::<usize>().unwrap());
                }
            }
            ids
        });
        prop_assert_eq!(ids, (0..rows).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn bounds_are_checked_here_as_the_server_may_not() {
    let server = signed_in(|request| page(request, 500, 100, 0, true)).await;
    let session = session(&server);
    let first = async |query: RatesQuery| session.rates(&query).next().await.unwrap();
    for top in [0, 101] {
        let error = first(RatesQuery::default().top(top)).await.unwrap_err();
        assert!(
            matches!(error.reason(), Reason::InvalidRequest { field: "top", .. }),
            "{error}"
        );
    }
    let mut pages = session.rates(&RatesQuery::default().max_rows(150));
    let mut results = Vec::new();
    while let Some(page) = pages.next().await {
        results.push(page);
    }
    assert_eq!(results.len(), 3);
    let error = results.remove(2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    assert!(matches!(
        error.reason(),
        Reason::Truncated { limit: 150, .. }
    ));
    assert_eq!(pages.shortfall(), Some(300));
}

#[tokio::test]
async fn a_deck_goes_the_other_way_where_the_export_is_of_no_use() {
    let exports = [
        (
            answer(
                "200 OK",
                "application/octet-stream",
                "Prefix,Price 1\n49,0.1\n",
            ),
            "interval_1",
        ),
        (with_headers("404 Not Found", &[], ""), "not found"),
        (
            answer("200 OK", "application/octet-stream", "<!DOCTYPE html>"),
            "HTML",
        ),
    ];
    for (export, why) in exports {
        let server = signed_in(move |request| match request.line() {
            "GET /api/call_rates/export" => export.clone(),
            "GET /api/call_rates/0" => json(r#"{"id":"0","prefix":"0","connect_fee":0.5}"#),
            "GET /api/call_rates/1" => with_headers("404 Not Found", &[], ""),
            _ => page(request, 2, 100, 0, true),
        })
        .await;
        let deck = session(&server).deck().await.unwrap();
        assert_eq!(deck.rates.len(), 2);
        let first = deck.rates[0].as_ref().unwrap();
        assert_eq!(first.connect_fee, Some("0.5".parse().unwrap()));
        let second = deck.rates[1].as_ref().unwrap_err().to_string();
        assert!(
            second.contains("not found"),
            "a fee that nobody said is gone: {second}"
        );
        let DeckSource::ListAndDetails(reason) = deck.source else {
            panic!("not by the export");
        };
        assert!(reason.to_string().contains(why), "{reason}");
        if let WhyNoExport::Columns(missing) = reason {
            assert_eq!(missing.headers, ["Prefix", "Price 1"]);
        }
    }
}

/// A rate whose details cannot be read costs itself; a server that fails costs the deck.
#[tokio::test]
async fn details_that_cannot_be_read() {
    let server = signed_in(|request| match request.line() {
        "GET /api/call_rates/export" => with_headers("404 Not Found", &[], ""),
        "GET /api/call_rates/1" => json(r#"{"id":"1","prefix":"1","price_1":"n/a"}"#),
        "GET /api/call_rates/2" => json(r#"{"connect_fee":0.5}"#),
        "GET /api/call_rates/4" => with_headers("500 Internal Server Error", &[], ""),
        line if line.contains('?') => json(
            r#"{"count":7,"items":[{"id":"0","prefix":"0","interval_n":1},{"id":"1","prefix":"1"},
            {"id":"2","prefix":"2","price_1":0.1},{"id":"3","prefix":" "},{"id":"4","prefix":"4"},
            {"prefix":"5","price_n":0.2},{"prefix":"6"}]}"#,
        ),
        line => json(format!(
            r#"{{"prefix":"{}"}}"#,
            line.rsplit('/').next().unwrap()
        )),
    })
    .await;
    let deck = session(&server).deck().await.unwrap();
    let said: Vec<_> = deck
        .rates
        .iter()
        .map(|rate| match rate {
            Ok(rate) => format!(
                "{:?} {:?} {:?}",
                rate.prefix, rate.price_1, rate.connect_fee
            ),
            Err(error) => error.to_string(),
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    Some("0") None None
    row 1 cannot be read: get_call_rate: unreadable answer (200, application/json; charset=utf-8): a value of the wrong kind at line 1 column 39
    Some("2") Some(Amount(0.1)) Some(Amount(0.5))
    row 3 cannot be read: it has no prefix
    row 4 cannot be read: get_call_rate: server error (500)
    Some("5") None None
    row 6 cannot be read: it has neither intervals nor prices
    "#);

    let server = signed_in(|request| match request.line() {
        "GET /api/call_rates/export" => with_headers("404 Not Found", &[], ""),
        line if line.contains('?') => page(request, 50, 100, 0, true),
        _ => with_headers("500 Internal Server Error", &[], ""),
    })
    .await;
    let error = session(&server).deck().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert!(server.seen().len() < 20, "it is not asked 50 times");

    let server = signed_in(|request| match request.line() {
        line if line.contains('?') => page(request, 50, 100, 0, true),
        _ => with_headers("404 Not Found", &[], ""),
    })
    .await;
    let error = session(&server).deck().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.operation(), Some("get_call_rate"));
}

#[tokio::test]
async fn the_count_of_the_list() {
    let cases = [
        (json(r#"{"count":7,"items":[{"id":"1"}]}"#), Some(7)),
        (json(r#"{"count":0,"items":[]}"#), Some(0)),
        (json(r#"{"count":7,"items":[]}"#), Some(7)),
        // Not a count.
        (json(r#"{"count":0,"items":[{"id":"1"}]}"#), None),
        (json(r#"{"count":-1,"items":[{"id":"1"}]}"#), None),
        (json(r#"{"items":[{"id":"1"}]}"#), None),
        (with_headers("403 Forbidden", &[], ""), None),
        (with_headers("404 Not Found", &[], ""), None),
    ];
    for (reply, wanted) in cases {
        let server = signed_in({
            let reply = reply.clone();
            move |_| reply.clone()
        })
        .await;
        let count = session(&server).count_rates().await.unwrap();
        assert_eq!(count, wanted, "{reply:?}");
    }
    let server = signed_in(|_| with_headers("503 Service Unavailable", &[], "")).await;
    assert!(session(&server).count_rates().await.is_err());
}

/// A line of totals may have a number in every column. Its first one is no prefix of a number.
#[tokio::test]
async fn a_line_of_totals_is_no_rate() {
    const HEADER: &str = "prefix,type,free_seconds,grace_period,interval_1,interval_n,connect_fee,postcall_surcharge,price_1,price_n,description";
    let prefixes = [
        "49", "+", "*", "#31", "+1", "Total", "-", "Summe:", "\u{3a3}",
    ];
    let rows = prefixes.map(|prefix| format!("{prefix},LOCAL,0,0,60,1,0.1,0,1.5,1.5,"));
    let body = format!("{HEADER}\n{}\n", rows.join("\n"));
    let server = signed_in(move |_| answer("200 OK", "text/csv", body.as_bytes())).await;
    let deck = session(&server).deck().await.unwrap();
    let said: Vec<_> = deck
        .rates
        .into_iter()
        .map(|rate| rate.map_or_else(|error| error.to_string(), |rate| rate.prefix.unwrap()))
        .collect();
    assert_eq!(
        said,
        [
            "49",
            "+",
            "*",
            "#31",
            "+1",
            "row 5 cannot be read: no number begins with the prefix \"Total\"",
            "row 6 cannot be read: no number begins with the prefix \"-\"",
            "row 7 cannot be read: no number begins with the prefix \"Summe:\"",
            "row 8 cannot be read: no number begins with the prefix \"\u{3a3}\"",
        ]
    );
}
