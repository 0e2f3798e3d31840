//! The table of answers: what the session makes of each.

use std::sync::{Arc, Mutex};

use portsip_client::{ErrorKind, Session};

use crate::canned::{Reply, answer, json, with_headers};
use crate::{builder, session, signed_in};

async fn outcome(reply: Reply) -> String {
    let server = signed_in(move |_| reply.clone()).await;
    let text = say(&session(&server)).await;
    format!("{text}\n    requests: {}", server.seen().len() - 1)
}

async fn say(session: &Session) -> String {
    let mut pages = session.rates(&portsip_client::RatesQuery::default().max_rows(1));
    match pages.next().await {
        None => "no page".to_owned(),
        Some(Ok(page)) => {
            let mut text = format!("page, count {:?}", page.count);
            for rate in page.rates {
                text.push_str("\n    ");
                text.push_str(&match rate {
                    Ok(rate) => format!(
                        "id {:?} prefix {:?} type {:?} interval_1 {:?} price_1 {:?}",
                        rate.id,
                        rate.prefix,
                        rate.type_,
                        rate.interval_1,
                        rate.price_1.map(|price| price.to_string()),
                    ),
                    Err(error) => error.to_string(),
                });
            }
            text
        }
        Some(Err(error)) => {
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("Mr Private") && !shown.contains("token-1"),
                "{shown}"
            );
            format!(
                "{:?}, retryable {}: {error}",
                error.kind(),
                error.is_retryable()
            )
        }
    }
}

#[tokio::test]
async fn table() {
    let failed = |status: &str, code: &str| {
        let body = format!(
            r#"{{"errors":[{{"code":"{code}","message":"Mr Private","detail":{{"x":1}}}}]}}"#
        );
        answer(status, "application/json", body)
    };
    let rows: Vec<(&str, Reply)> = vec![
        (
            "a plain page",
            json(
                r#"{"count":1,"items":[{"id":"1","prefix":"49","type":"LOCAL","interval_1":60,"price_1":0.12345}]}"#,
            ),
        ),
        (
            "an unknown and an empty type",
            json(r#"{"count":2,"items":[{"id":"1","type":"SATELLITE"},{"id":"2","type":""}]}"#),
        ),
        (
            "floats and texts for numbers",
            json(
                r#"{"count":"1","items":[{"id":"1","interval_1":1.0,"price_1":"0.12"},{"id":"2","interval_1":"6"}]}"#,
            ),
        ),
        (
            "null, missing and extra members",
            json(r#"{"count":null,"items":[{"id":null,"price_1":null,"more":[1]},{}]}"#),
        ),
        ("items null", json(r#"{"count":0,"items":null}"#)),
        ("an empty object", json("{}")),
        (
            "names in another case",
            json(r#"{"Count":1,"Items":[{"Id":"1","Price_1":0.1}]}"#),
        ),
        (
            "money to the last digit",
            json(r#"{"count":1,"items":[{"id":"1","price_1":0.1000000000000000055511151231}]}"#),
        ),
        (
            "one rate whose money cannot be read",
            json(
                r#"{"count":3,"items":[{"id":"1","price_1":0.1},{"id":"2","price_1":"Mr Private"},{"id":"3","price_1":0.3}]}"#,
            ),
        ),
        (
            "one rate that is no object",
            json(r#"{"count":2,"items":[7,{"id":"3"}]}"#),
        ),
        (
            "bare NaN spoils the text",
            json(r#"{"count":1,"items":[{"id":"1","price_1":NaN}]}"#),
        ),
        (
            "a byte order mark",
            json(b"\xEF\xBB\xBF{\"count\":1,\"items\":[{\"id\":\"1\"}]}"),
        ),
        (
            "a repeated id",
            json(r#"{"count":2,"items":[{"id":"1"},{"id":"1"}]}"#),
        ),
        (
            "201 for 200",
            answer(
                "201 Created",
                "application/json",
                r#"{"items":[{"id":"1"}]}"#,
            ),
        ),
        ("an empty body", json("")),
        ("trailing garbage", json("{} x")),
        (
            "HTML with 200",
            answer("200 OK", "text/html", "<html>Mr Private</html>"),
        ),
        (
            "400 VALIDATE_FAILED",
            failed("400 Bad Request", "VALIDATE_FAILED"),
        ),
        ("400 UNKNOWN", failed("400 Bad Request", "UNKNOWN")),
        (
            "400 of an unknown code",
            failed("400 Bad Request", "QUITE_NEW"),
        ),
        (
            "400 with a code that is no name",
            failed("400 Bad Request", "Mr Private called"),
        ),
        (
            "400 UNAUTHORIZED, even with a fresh token",
            failed("400 Bad Request", "UNAUTHORIZED"),
        ),
        (
            "401 with an empty body",
            with_headers("401 Unauthorized", &[], ""),
        ),
        ("403", failed("403 Forbidden", "UNKNOWN")),
        ("404", with_headers("404 Not Found", &[], "")),
        (
            "429 with Retry-After beyond patience",
            with_headers("429 Too Many Requests", &[("Retry-After", "60")], ""),
        ),
        (
            "500 in text",
            answer("500 Internal Server Error", "text/plain", "Mr Private"),
        ),
        (
            "502 HTML",
            answer("502 Bad Gateway", "text/html", "<html>Mr Private</html>"),
        ),
        ("503", with_headers("503 Service Unavailable", &[], "")),
        (
            "a body cut off",
            Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"items\":[".to_vec()),
        ),
        (
            "a body cut off without a length",
            Reply::Raw(b"HTTP/1.1 200 OK\r\n\r\n{\"items\":[".to_vec()),
        ),
        (
            "a redirect",
            with_headers(
                "302 Found",
                &[("Location", "https://evil.example/?token=x")],
                "",
            ),
        ),
        (
            "wrong charset",
            answer(
                "200 OK",
                "application/json; charset=latin1",
                b"{\"items\":[{\"id\":\"\xFC\"}]}",
            ),
        ),
        (
            "304 of all things",
            with_headers("304 Not Modified", &[], ""),
        ),
    ];
    let mut table = String::new();
    for (name, reply) in rows {
        table.push_str(&format!("{name}\n    {}\n\n", outcome(reply).await));
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn writes_are_sent_once() {
    let server = signed_in(|_| with_headers("503 Service Unavailable", &[], "")).await;
    let writer = builder(&server.url()).build_writable().unwrap();
    let id = "1".parse().unwrap();
    assert_eq!(
        writer.destroy_rate(&id).await.unwrap_err().kind(),
        ErrorKind::Server
    );
    assert_eq!(server.seen().len(), 2);
    // The same status on a read is worth three sends.
    assert_eq!(
        writer.reader().rate(&id).await.unwrap_err().kind(),
        ErrorKind::Server
    );
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn each_operation_is_told_to_the_observer() {
    let server = signed_in(|_| json(r#"{"balance":1}"#)).await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let session = builder(&server.url())
        .observe({
            let events = Arc::clone(&events);
            move |event| {
                let line = (
                    event.api,
                    event.operation,
                    event.outcome.as_str(),
                    event.bytes,
                );
                events.lock().unwrap().push(line);
            }
        })
        .build()
        .unwrap();
    session.balance().await.unwrap();
    assert_eq!(
        *events.lock().unwrap(),
        [
            ("portsip", "sign_in", "ok", crate::TOKENS.len() as u64),
            ("portsip", "get_tenant_balance", "ok", 13),
        ]
    );
}
