//! A table of answers, good and bad, and what the client returns for each.

use std::time::Duration;

use hostedsuite_client::{
    BalanceQuery, Client, ClientsQuery, Error, ErrorKind, Format, Reason, RetryPolicy, Secret,
    SecretSource,
};

use crate::canned::{Canned, Reply, answer, json, with_headers};
use crate::{PASSWORD, builder, client, day};

/// What a client returns for an answer to a request for a page of calls.
async fn outcome(reply: Reply) -> String {
    let server = Canned::always(reply).await;
    let text = say(&client(&server)).await;
    format!("{text}\n    requests: {}", server.seen().len())
}

async fn say(client: &Client) -> String {
    match client.calls_page(&day(), 0).await {
        Ok(page) => {
            let mut text = format!(
                "page of {} rows, total {:?}",
                page.len(),
                page.total_count()
            );
            for call in page.calls() {
                text.push_str("\n    ");
                text.push_str(&match call {
                    Ok(call) => format!(
                        "id {:?} type {:?} talk {:?} holds {:?} flagged {:?} notes {:?}",
                        call.id(),
                        call.call_type(),
                        call.talk_time().duration_ms(),
                        call.hold_count().whole(),
                        call.flagged(),
                        call.notes(),
                    ),
                    Err(error) => error.to_string(),
                });
            }
            text
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("s3\"cret") && !shown.contains("Mr Private"),
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
    let json_500 = |body: &str| answer("500 Internal Server Error", "application/json", body);
    let echo = serde_json::json!({"ResponseStatus": {
        "ErrorCode": "SecurityException",
        "Message": "no",
        "StackTrace": format!("[REQUEST: {{Password:{PASSWORD}}}]"),
    }})
    .to_string();
    let rows: Vec<(&str, Reply)> = vec![
        ("a plain page", json(r#"{"Items":[{"Id":"1","Type":"Incoming","TalkTimeInSeconds":61.5,"HoldCount":2,"Flagged":true}],"TotalCount":1}"#)),
        ("unknown and empty enum values", json(r#"{"Items":[{"Id":"1","Type":"SATELLITE"},{"Id":"2","Type":""}]}"#)),
        ("floats and texts for numbers", json(r#"{"Items":[{"Id":1,"HoldCount":1.0,"TalkTimeInSeconds":"0.12","Flagged":"True"},{"Id":"2","HoldCount":"1"}]}"#)),
        ("null, missing and extra members", json(r#"{"Items":[{"Id":null},{},{"Id":"3","More":{"a":[1,"}"]}}],"Other":[{}]}"#)),
        ("items null", json(r#"{"Items":null,"TotalCount":0}"#)),
        ("names in another case", json(r#"{"items":[{"ID":"1","talktimeinseconds":5}],"totalCount":7}"#)),
        ("bare NaN and Infinity", json(r#"{"Items":[{"Id":"1","TalkTimeInSeconds":NaN},{"Id":"2","TalkTimeInSeconds":-Infinity},{"Id":"3","TalkTimeInSeconds":3}]}"#)),
        ("a word for a number, a list for a text", json(r#"{"Items":[{"Id":"1","TalkTimeInSeconds":"long","Notes":[1],"Flagged":"maybe"}]}"#)),
        ("one broken record", json(r#"{"Items":[{"Id":"1"},{"Id":"2","Notes":"\q"},7,{"Id" "3"},{"Id":"4"}],"TotalCount":5}"#)),
        ("a byte order mark", json(b"\xEF\xBB\xBF{\"Items\":[{\"Id\":\"1\"}]}")),
        ("a duplicate member: the last one counts", json(r#"{"Items":[{"Id":"1","Id":"2"}]}"#)),
        ("escapes", json(r#"{"Items":[{"Id":"\u0041\ud83d\ude00","Notes":"a\n\"b\"\\"}]}"#)),
        ("an array at the top", json(r#"[{"Id":"1"}]"#)),
        ("trailing garbage", json(r#"{"Items":[]} x"#)),
        ("an empty body", json("")),
        ("a page without items", json(r#"{"Page":0,"TotalCount":0}"#)),
        ("an object without members", json("{}")),
        ("an object that is no page", json(r#"{"Page":0,"Message":"Mr Private"}"#)),
        ("a page without items, with an empty status", json(r#"{"ResponseStatus":{}}"#)),
        ("an empty web page", answer("200 OK", "text/html", "")),
        ("HTML with 200", answer("200 OK", "text/html", "<!DOCTYPE html><p>Mr Private</p>")),
        ("HTML under a JSON type", json("<html><body>login</body></html>")),
        ("201 for 200", answer("201 Created", "application/json", r#"{"Items":[{"Id":"1"}]}"#)),
        ("204 without content", with_headers("204 No Content", &[], "")),
        ("401 with an empty body", with_headers("401 Unauthorized", &[], "")),
        ("403", with_headers("403 Forbidden", &[], "")),
        ("404 with an empty body", with_headers("404 Not Found", &[], "")),
        ("405", json_like("405 NotImplementedException", "NotImplementedException")),
        ("500 SecurityException that echoes the password", json_500(&echo)),
        ("500 of another kind", json_500(r#"{"ResponseStatus":{"ErrorCode":"NullReferenceException","Message":"Mr Private"}}"#)),
        ("500 with an error of the answer's own type", json_500(r#"{"Items":[],"responseStatus":{"errorCode":"ArgumentException","errors":[{"errorCode":"NotEmpty","fieldName":"StartDate","message":"Mr Private"}]}}"#)),
        ("500 in text", answer("500 Internal Server Error", "text/plain", "Mr Private")),
        ("500 in JSV", answer("500 SecurityException", "application/jsv", "{ResponseStatus:{ErrorCode:SecurityException,Message:no}}")),
        ("500 SecurityException in HTML", answer("500 SecurityException", "text/html", "<html>Mr Private</html>")),
        ("500 SecurityException without a body", with_headers("500 SecurityException", &[], "")),
        ("500 SecurityException in XML", answer("500 System.Security.SecurityException", "application/xml", "<ErrorResponse/>")),
        ("500 with a phrase of its own", answer("500 Mr Private called", "text/plain", "")),
        ("400 ValidationException", json_like("400 ValidationException", "ValidationException")),
        ("a code that is no name", json_500(r#"{"ResponseStatus":{"ErrorCode":"Mr Private called"}}"#)),
        ("200 with an error in it", json(r#"{"ResponseStatus":{"ErrorCode":"SecurityException"}}"#)),
        ("200 with an empty status in it", json(r#"{"Items":[{"Id":"1"}],"ResponseStatus":{}}"#)),
        ("429 with Retry-After beyond patience", with_headers("429 Too Many Requests", &[("Retry-After", "120")], "")),
        ("502 HTML", answer("502 Bad Gateway", "text/html", "<html>Mr Private</html>")),
        ("503", with_headers("503 Service Unavailable", &[], "")),
        ("a body cut off", Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Items\":[{\"Id\":\"1\"}".to_vec())),
        ("a body cut off without a length", Reply::Raw(b"HTTP/1.1 200 OK\r\n\r\n{\"Items\":[{\"Id\":\"1\"},{\"Id\":".to_vec())),
        ("a connection closed at once", Reply::Close),
        ("a redirect to another host", with_headers("307 Temporary Redirect", &[("Location", "https://user:pw@evil.example/api/calls?x=1")], "")),
        ("windows-1252 in one record", answer("200 OK", "application/json; charset=windows-1252", b"{\"Items\":[{\"Id\":\"1\"},{\"Id\":\"2\",\"Notes\":\"M\xFCller\"},{\"Id\":\"3\"}]}")),
        ("windows-1252 beside a replacement character", answer("200 OK", "application/json", b"{\"Items\":[{\"Id\":\"1\",\"Notes\":\"\xEF\xBF\xBD \xC3\xBC\"},{\"Id\":\"2\",\"Notes\":\"caf\xE9 \x80\"}]}")),
        ("windows-1252 in JSV", answer("200 OK", "text/jsv", b"{Items:[{Id:1,Notes:M\xFCller},{Id:2}],TotalCount:2}")),
        ("JSV without items", answer("200 OK", "text/jsv", "{Page:0,TotalCount:0}")),
        ("UTF-16", answer("200 OK", "application/json; charset=utf-16", b"\xFF\xFE{\0}\0")),
        ("a type of no use", answer("200 OK", "application/octet-stream", r#"{"Items":[{"Id":"1"}]}"#)),
        ("JSV where JSON was asked", answer("200 OK", "text/jsv", r#"{Items:[{Id:1,TalkTimeInSeconds:61.5,Notes:"a ""b"", c",Flagged:True},{Id:"2,"""},7],TotalCount:3}"#)),
    ];
    let mut table = String::new();
    for (name, reply) in rows {
        table.push_str(&format!("{name}\n    {}\n\n", outcome(reply).await));
    }
    insta::assert_snapshot!(table);
}

fn json_like(status: &str, code: &str) -> Reply {
    let body = format!(
        r#"{{"ResponseStatus":{{"ErrorCode":"{code}","Message":"Mr Private","Errors":[{{"ErrorCode":"NotEmpty","FieldName":"StartDate"}},{{"FieldName":"Mr Private","ErrorCode":"x"}}]}}}}"#
    );
    answer(status, "application/json", body)
}

#[tokio::test]
async fn reads_are_repeated_and_refused_logins_are_not() {
    let server = Canned::start(|_, before| match before {
        0 => with_headers("503 Service Unavailable", &[], ""),
        1 => with_headers("429 Too Many Requests", &[("Retry-After", "0")], ""),
        _ => json(r#"{"Items":[{"Id":"1"}]}"#),
    })
    .await;
    let events = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let client = builder(&server.url())
        .observe({
            let events = events.clone();
            move |event| events.lock().unwrap().push(event.clone())
        })
        .build()
        .unwrap();
    assert_eq!(client.calls_page(&day(), 0).await.unwrap().len(), 1);
    assert_eq!(server.seen().len(), 3);
    let events = events.lock().unwrap().clone();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].operation, events[0].outcome.as_str()),
        ("list_calls", "ok")
    );
    assert_eq!((events[0].retries, events[0].status), (2, Some(200)));
    assert_eq!(events[0].bytes, 22);

    let refusing = Canned::always(json_like("500 SecurityException", "SecurityException")).await;
    let error = builder(&refusing.url())
        .build()
        .unwrap()
        .authenticate()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RefusedLogin);
    assert_eq!(refusing.seen().len(), 1);
}

#[tokio::test]
async fn authenticated_false_is_a_refused_login() {
    let server = Canned::always(json(r#"{"authenticated":"False"}"#)).await;
    let error = client(&server).authenticate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RefusedLogin, "{error}");
    assert_eq!(error.status(), Some(200));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_taken_in() {
    // 100 MB, with and without a `Content-Length`.
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n{",
        "HTTP/1.1 200 OK\r\n\r\n{",
    ] {
        let server = Canned::always(Reply::Flood(head.into(), 100_000_000)).await;
        let client = builder(&server.url())
            .body_limit(1024 * 1024)
            .build()
            .unwrap();
        let error = client.calls_page(&day(), 0).await.unwrap_err();
        let limit = 1_048_576;
        assert_eq!(*error.reason(), Reason::BodyTooLarge { limit }, "{error}");
        assert_eq!(server.seen().len(), 1, "no second try");
    }
}

#[tokio::test]
async fn a_compressed_body_counts_as_it_unfolds() {
    // 2 MiB of blanks in a few bytes.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gzip, &vec![b' '; 2 * 1024 * 1024]).unwrap();
    let body = gzip.finish().unwrap();
    let headers = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
    ];
    let server = Canned::always(with_headers("200 OK", &headers, body)).await;
    let client = builder(&server.url())
        .body_limit(1024 * 1024)
        .build()
        .unwrap();
    let error = client.calls_page(&day(), 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BodyTooLarge);
}

#[tokio::test]
async fn time_outs_end_a_slow_drip_and_a_silence() {
    let drip = Reply::Drip(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec(),
        vec![b' '; 1000],
        Duration::from_millis(50),
    );
    // The other time-out is out of reach, however slow the machine is.
    let (short, long) = (Duration::from_millis(400), Duration::from_mins(10));
    for (reply, read, total, text) in [
        (drip, long, short, "total time-out"),
        (Reply::Silence, short, long, "read time-out"),
    ] {
        let server = Canned::always(reply).await;
        let client = builder(&server.url())
            .read_timeout(read)
            .total_timeout(total)
            .retry(RetryPolicy::never())
            .build()
            .unwrap();
        let error = client.calls_page(&day(), 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_sent_for_requests_that_make_no_sense() {
    let server = Canned::always(json("[]")).await;
    let client = client(&server);
    let date = |text: &str| text.parse().unwrap();
    let errors = [
        client.calls_page(&day().page_size(0), 0).await.unwrap_err(),
        client
            .balances(&BalanceQuery::between(
                date("2026-08-02"),
                date("2026-08-01"),
            ))
            .await
            .unwrap_err(),
        client
            .calls_page(
                &day().talk_time(Some(Duration::from_secs(2)), Some(Duration::from_secs(1))),
                0,
            )
            .await
            .unwrap_err(),
        builder(&server.url())
            .credentials("Acme", "exporter", SecretSource::file("/nowhere/password"))
            .build()
            .unwrap()
            .clients(&ClientsQuery::all())
            .await
            .unwrap_err(),
        Client::builder(server.url()).build().unwrap_err(),
        Client::builder("host/api").build().unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Local));
    assert!(server.seen().is_empty());
    let texts: Vec<_> = errors.iter().map(Error::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn a_password_that_changes_in_its_file_takes_effect_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "one\n").unwrap();
    let server = Canned::always(json("[]")).await;
    let client = builder(&server.url())
        .credentials("Acme", "exporter", SecretSource::file(&path))
        .build()
        .unwrap();
    client.clients(&ClientsQuery::all()).await.unwrap();
    std::fs::write(&path, "two\n").unwrap();
    client.clients(&ClientsQuery::all()).await.unwrap();
    let seen = server.seen();
    assert!(seen[0].body().contains(r#""Password":"one""#));
    assert!(seen[1].body().contains(r#""Password":"two""#));
}

#[tokio::test]
async fn answers_without_a_body_are_empty_lists() {
    for reply in [with_headers("204 No Content", &[], ""), json(""), json(" ")] {
        let server = Canned::always(reply).await;
        let client = client(&server);
        assert!(client.calls_page(&day(), 0).await.unwrap().is_empty());
        assert!(
            client
                .balances(&BalanceQuery::default())
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            client
                .clients(&ClientsQuery::all())
                .await
                .unwrap()
                .is_empty()
        );
    }
    // They must be lists, so an object is not a valid answer.
    let server = Canned::always(json("{}")).await;
    let client = client(&server);
    let error = client.balances(&BalanceQuery::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreadable);
}

#[tokio::test]
async fn a_page_has_the_time_of_the_servers_clock() {
    let headers = [
        ("Content-Type", "application/json"),
        ("Date", "Thu, 06 Aug 2026 08:45:00 GMT"),
    ];
    let server = Canned::always(with_headers("200 OK", &headers, "[]")).await;
    let page = client(&server).calls_page(&day(), 0).await.unwrap();
    assert_eq!(page.date().unwrap().to_string(), "2026-08-06T08:45:00Z");
}

#[tokio::test]
async fn balances_and_clients_are_read_row_by_row() {
    let server = Canned::start(|request, _| match request.line() {
        "POST /api/clients" => json(
            r#"[{"Id":"1","Name":"A","CenterId":"z","CallAllowanceType":"NumberOfMinutes","CallAllowanceAmount":100.5,"Greeting":"hello"},{"Id":"2","CallAllowanceType":"Other"}]"#,
        ),
        _ => json(
            r#"[{"ClientId":"1","NumCalls":3,"NumMins":12.25,"Balance":-0.1},{"ClientId":{},"NumCalls":"x"},{"Balance"},{"ClientId":"4"}]"#,
        ),
    })
    .await;
    let client = client(&server);
    let balances = client.balances(&BalanceQuery::default()).await.unwrap();
    let rows: Vec<_> = balances
        .rows()
        .map(|row| match row {
            Ok(row) => format!(
                "{:?} {:?} {:?} {:?}",
                row.client_id(),
                row.num_calls().whole(),
                row.num_mins().scaled(2),
                row.balance().scaled(9)
            ),
            Err(error) => error.to_string(),
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"));
    let clients = client.clients(&ClientsQuery::all()).await.unwrap();
    let types: Vec<_> = clients
        .rows()
        .map(|row| row.unwrap().allowance_type())
        .collect();
    assert_eq!(
        types[0],
        Some(hostedsuite_client::CallAllowanceType::NumberOfMinutes)
    );
    assert!(types[1].as_ref().unwrap().is_unknown());
}

#[test]
fn nothing_prints_a_password() {
    let client = Client::builder("https://host/api")
        .credentials("Acme", "exporter", Secret::from(PASSWORD))
        .format(Format::Jsv)
        .build()
        .unwrap();
    let text = format!("{client:?}");
    assert!(!text.contains("s3") && text.contains("Acme"), "{text}");
    assert_eq!(client.scrubber().scrub(&format!("x{PASSWORD}y")), "x***y");
}
