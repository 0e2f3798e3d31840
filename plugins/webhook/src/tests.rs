//! The output against a server: what it sends, what it makes of answers, what it never tells.

mod fields;
mod files;
mod server;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use callmeter_plugin_sdk::{Batch, Fail, FromConfig as _, Host, OutputPlugin as _, Stream};
use callmeter_records::{BatchHead, Call, CallsBuilder, Interaction, Reading};
use serde_json::{Value, json};
use server::{Answer, Server};

use crate::{Config, Webhook};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn create(config: &Value) -> Result<Webhook, String> {
    let config = Config::from_config(config.to_string().as_bytes())?;
    Webhook::create(Host::for_tests("webhook"), config).map_err(|fatal| fatal.reason().to_owned())
}

fn calls(rows: usize) -> RecordBatch {
    let mut builder = CallsBuilder::with_capacity(rows);
    for i in 1..=rows {
        let id = format!("id-{i}");
        let interactions = [
            Interaction {
                start_time: Reading::Known(1_786_005_300_000_000),
                interaction_type: Some("Answer"),
                description: None,
            },
            Interaction {
                start_time: Reading::Unreadable("soon"),
                interaction_type: Some("TransferCompleted"),
                description: Some("to private-description"),
            },
        ];
        builder.append(&Call {
            id: Some(&id),
            client_id: Some("client-1"),
            client_name: Some("Acme"),
            caller_name: Some("private-name"),
            caller_number: Some("+15550private"),
            transfer_to_name: Some("private-transfer"),
            notes: Some("private-notes"),
            flag_notes: None,
            screen_pop: Some("private-pop"),
            talk_ms: Reading::Unreadable("private-talk"),
            duration_ms: Reading::Known(61_500),
            interactions: Some(&interactions),
            call_type: Some("Incoming"),
            ..Call::default()
        });
    }
    let head = BatchHead {
        account: "acme",
        first_sequence: 1,
        observed_at: 1_786_005_900_000_000,
    };
    builder.finish(&head).unwrap()
}

fn batch(number: u64, rows: usize) -> Batch {
    let mut id = [0xcd; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    Batch::for_tests(Stream::Calls, number, id, calls(rows)).unwrap()
}

#[test]
fn a_golden_request() {
    let server = Server::start(|_| Answer::status(200));
    let mut webhook = create(
        &json!({"url": server.url("/hook?token=x"), "secret": SECRET,
        "headers": {"X-Tenant": "acme", "Authorization": {"secret": "Bearer abc"}}}),
    )
    .unwrap();
    webhook.write(batch(1, 1)).unwrap();
    let request = server.requests().remove(0);
    let headers: Vec<String> = request
        .headers
        .iter()
        .filter(|(name, _)| {
            !["host", "webhook-timestamp", "webhook-signature"].contains(&name.as_str())
        })
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let shown = serde_json::to_string_pretty(&body).unwrap();
    insta::assert_snapshot!(format!(
        "{}\n{}\n\n{shown}",
        request.line,
        headers.join("\n")
    ));
}

#[test]
fn a_receiver_can_verify_each_signature() {
    let server = Server::start(|_| Answer::status(204));
    let new = "0123456789abcdef";
    let mut webhook = create(&json!({"url": server.url("/"), "secret": new,
        "more_secrets": [{"secret": SECRET}]}))
    .unwrap();
    webhook.write(batch(1, 2)).unwrap();
    let request = server.requests().remove(0);
    let timestamp: u64 = request.header("webhook-timestamp").parse().unwrap();
    let signatures: Vec<String> = [new, SECRET]
        .iter()
        .map(|secret| {
            let signer = crate::sign::Signer::new(&[(*secret).into()]).unwrap();
            signer
                .sign(request.header("webhook-id"), timestamp, &request.body)
                .unwrap()
        })
        .collect();
    assert_eq!(request.header("webhook-signature"), signatures.join(" "));
}

/// With the library that the project of Standard Webhooks publishes, as receivers use it.
#[test]
fn the_official_library_verifies_requests_and_refuses_forged_ones() {
    let server = Server::start(|_| Answer::status(204));
    let (old, new) = (SECRET, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let mut webhook = create(&json!({"url": server.url("/"), "secret": new,
        "more_secrets": [{"secret": old}]}))
    .unwrap();
    webhook.write(batch(1, 2)).unwrap();
    let request = server.requests().remove(0);
    let verify = |secret: &str, change: &dyn Fn(&mut http::HeaderMap, &mut Vec<u8>)| {
        let mut headers: http::HeaderMap = request
            .headers
            .iter()
            .map(|(name, value)| {
                let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                (name, value.parse().unwrap())
            })
            .collect();
        let mut body = request.body.clone();
        change(&mut headers, &mut body);
        let receiver = standardwebhooks::Webhook::new(secret).unwrap();
        receiver.verify(&body, &headers).is_ok()
    };
    // Before, during and after a change of the secret.
    assert!(verify(old, &|_, _| ()) && verify(new, &|_, _| ()));
    assert!(!verify(
        "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &|_, _| ()
    ));
    let set = |headers: &mut http::HeaderMap, name: &'static str, value: String| {
        headers.insert(name, value.parse().unwrap());
    };
    let later = |seconds: u64| {
        let sent: u64 = request.header("webhook-timestamp").parse().unwrap();
        (sent + seconds).to_string()
    };
    let first = request.header("webhook-signature").split(' ').next();
    let only_first = first.unwrap().to_owned();
    assert!(verify(new, &|headers, _| set(
        headers,
        "webhook-signature",
        only_first.clone()
    )));
    assert!(!verify(old, &|headers, _| set(
        headers,
        "webhook-signature",
        only_first.clone()
    )));
    for secret in [old, new] {
        assert!(!verify(secret, &|_, body| body[0] = b' '));
        assert!(!verify(secret, &|_, body| body.push(b'\n')));
        assert!(!verify(secret, &|headers, _| set(
            headers,
            "webhook-id",
            "other".into()
        )));
        assert!(!verify(secret, &|headers, _| set(
            headers,
            "webhook-timestamp",
            later(1)
        )));
        assert!(!verify(secret, &|headers, _| {
            headers.remove("webhook-signature");
        }));
    }
}

#[test]
fn personal_data_is_redacted_unless_revealed() {
    let server = Server::start(|_| Answer::status(200));
    let mut webhook = create(&json!({"url": server.url("/")})).unwrap();
    webhook.write(batch(1, 3)).unwrap();
    let sent = String::from_utf8(server.requests().remove(0).body).unwrap();
    assert!(!sent.contains("private"), "{sent}");
    // What is not personal, and that there is something, is told.
    for kept in [
        "id-1",
        "Acme",
        "61500",
        "[redacted]",
        "TransferCompleted",
        "TalkTimeInSeconds",
    ] {
        assert!(sent.contains(kept), "{kept}: {sent}");
    }
    let body: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(body["data"][0]["flag_notes"], Value::Null);

    let mut webhook =
        create(&json!({"url": server.url("/"), "reveal": crate::redact::PERSONAL})).unwrap();
    webhook.write(batch(1, 1)).unwrap();
    let sent = String::from_utf8(server.requests().remove(1).body).unwrap();
    for word in ["name", "transfer", "notes", "pop", "description", "talk"] {
        assert!(sent.contains(&format!("private-{word}")), "{word}: {sent}");
    }
    assert!(!sent.contains("[redacted]"));
}

#[test]
fn a_batch_goes_in_parts_and_goes_on_with_the_part_that_failed() {
    let server = Server::start(|n| Answer::status(if n == 1 { 503 } else { 200 }));
    let mut webhook = create(&json!({"url": server.url("/"), "batch": 2})).unwrap();
    let fail = webhook.write(batch(7, 5)).unwrap_err();
    assert!(fail.is_retry());
    webhook.write(batch(7, 5)).unwrap();
    let requests = server.requests();
    let ids: Vec<&str> = requests
        .iter()
        .map(|r| r.header("idempotency-key"))
        .collect();
    let id = batch(7, 0).id_hex();
    let [a, b, c] = ["0-2", "2-4", "4-5"].map(|part| format!("{id}-{part}"));
    assert_eq!(ids, [&a, &b, &b, &c]);
    assert_eq!(requests[1].body, requests[2].body);
    // After a restart all of it comes again under the same ids.
    let mut again = create(&json!({"url": server.url("/"), "batch": 2})).unwrap();
    again.write(batch(7, 5)).unwrap();
    let requests = server.requests();
    let ids: Vec<&str> = requests[4..]
        .iter()
        .map(|r| r.header("idempotency-key"))
        .collect();
    assert_eq!(ids, [&a, &b, &c]);
    assert_eq!(requests[4].body, requests[0].body);
}

#[test]
fn answers_mean_what_they_should() {
    for (status, verdict) in [
        (200, "ok"),
        (202, "ok"),
        (302, "retry"),
        (400, "reject"),
        (404, "reject"),
        (408, "retry"),
        (409, "retry"),
        (410, "reject"),
        (425, "retry"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
    ] {
        let server = Server::start(move |_| {
            Answer::status(status)
                .header("Location", "/elsewhere")
                .body("secret-echo")
        });
        let mut webhook = create(&json!({"url": server.url("/")})).unwrap();
        let found = match webhook.write(batch(1, 1)) {
            Ok(()) => "ok",
            Err(fail) => {
                let reason = fail.reason();
                assert!(
                    reason.contains(&status.to_string()) && !reason.contains("secret-echo"),
                    "{reason}"
                );
                if fail.is_retry() {
                    "retry"
                } else if fail.is_reject() {
                    "reject"
                } else {
                    "fatal"
                }
            }
        };
        assert_eq!(found, verdict, "{status}");
        // Redirects are not followed.
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn retry_after_is_handed_on() {
    let server = Server::start(|_| Answer::status(429).header("Retry-After", "17"));
    let mut webhook = create(&json!({"url": server.url("/")})).unwrap();
    let fail = webhook.write(batch(1, 1)).unwrap_err();
    assert_eq!(
        fail,
        Fail::retry("the server answered 429 Too Many Requests").after(Duration::from_secs(17))
    );
}

#[test]
fn a_failing_server_is_left_alone_and_tried_again() {
    for (pause, is_tried_again) in [("1h", false), ("30ms", true)] {
        let server = Server::start(|n| Answer::status(if n < 4 { 500 } else { 200 }));
        let circuit = json!({"failures": 2, "pause": pause});
        let mut webhook = create(&json!({"url": server.url("/"), "circuit": circuit})).unwrap();
        let mut write = || webhook.write(batch(1, 1));
        assert!(write().unwrap_err().is_retry());
        assert!(write().unwrap_err().is_retry());
        if !is_tried_again {
            // Open: nothing is sent.
            let fail = write().unwrap_err();
            assert!(
                fail.is_retry() && fail.reason().contains("left alone"),
                "{fail}"
            );
            assert_eq!(server.requests().len(), 2);
            continue;
        }
        // One try after each pause, until one succeeds. Then everything is sent.
        while let Err(fail) = write() {
            let reason = fail.reason();
            let is_known = reason.contains("500") || reason.contains("left alone");
            assert!(fail.is_retry() && is_known, "{fail}");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(server.requests().len(), 5);
        write().unwrap();
        assert_eq!(server.requests().len(), 6);
    }
}

#[test]
fn servers_that_hang_hang_up_or_are_not_there() {
    let hanging = Server::start(|_| Answer::status(200).after(Duration::from_secs(20)));
    let config = json!({"url": hanging.url("/path-token"), "timeout": "200ms"});
    let fail = create(&config).unwrap().write(batch(1, 1)).unwrap_err();
    assert!(
        fail.is_retry() && !fail.reason().contains("path-token"),
        "{fail}"
    );

    let silent = Server::start(|_| Answer::hang_up());
    let fail = create(&json!({"url": silent.url("/")}))
        .unwrap()
        .write(batch(1, 1))
        .unwrap_err();
    assert!(fail.is_retry(), "{fail}");

    let url = "http://127.0.0.1:1/path-token";
    let fail = create(&json!({"url": url}))
        .unwrap()
        .write(batch(1, 1))
        .unwrap_err();
    let reason = fail.reason();
    assert!(
        fail.is_retry() && reason.contains("http://127.0.0.1:1") && !reason.contains("path-token"),
        "{reason}"
    );
}

#[test]
fn tls_with_an_own_authority_and_a_client_certificate() {
    let pki = server::Pki::new();
    let server = Server::start_tls(Arc::new(pki.server_config()), |_| Answer::status(200));
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (ca, cert, key) = (
        write("ca", &pki.ca),
        write("cert", &pki.client_cert),
        write("key", &pki.client_key),
    );
    let url = server.url("/");
    let with = |extra: Value| {
        let mut config = json!({"url": url, "timeout": "50s"});
        config
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        create(&config).unwrap().write(batch(1, 1))
    };
    with(json!({"ca_file": ca, "client_cert_file": cert, "client_key_file": key})).unwrap();
    // Each of the two sides refuses the other.
    assert!(with(json!({"ca_file": ca})).unwrap_err().is_retry());
    let fail = with(json!({"client_cert_file": cert, "client_key_file": key})).unwrap_err();
    assert!(
        fail.is_retry() && fail.reason().contains("certificate"),
        "{fail}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_proxy_is_used_and_asked_with_its_password() {
    let proxy = Server::start(|_| Answer::status(200));
    let config = json!({"url": "http://crm.example.com/hook", "allow_http": true,
        "proxy": {"url": proxy.url(""), "username": "u", "password": "proxy-secret"}});
    create(&config).unwrap().write(batch(1, 1)).unwrap();
    let request = proxy.requests().remove(0);
    assert_eq!(request.line, "POST http://crm.example.com/hook HTTP/1.1");
    assert_eq!(
        request.header("proxy-authorization"),
        "Basic dTpwcm94eS1zZWNyZXQ="
    );
}

#[test]
fn configurations_that_cannot_work() {
    let url = "https://crm.example.com/hooks/path-token";
    let mut seen = String::new();
    for config in [
        json!({}),
        json!({"url": "crm.example.com/path-token"}),
        json!({"url": "ftp://crm.example.com/path-token"}),
        json!({"url": "http://crm.example.com/path-token"}),
        json!({"url": "https://user:path-token@crm.example.com"}),
        json!({"url": url, "secret": "path-token"}),
        json!({"url": url, "secret": "whsec_path-token"}),
        json!({"url": url, "batch": 0}),
        json!({"url": url, "batch": "path-token"}),
        json!({"url": url, "timeout": "path-token"}),
        json!({"url": url, "timeout": "2m"}),
        json!({"url": url, "headers": {"Host": "x"}}),
        json!({"url": url, "headers": {"Webhook-Id": "x"}}),
        json!({"url": url, "headers": {"X Y": "x"}}),
        json!({"url": url, "headers": {"X": "path-token\nY: z"}}),
        json!({"url": url, "fields": []}),
        json!({"url": url, "reveal": ["client_id"]}),
        json!({"url": url, "ca_file": "/no/such/file"}),
        json!({"url": url, "client_cert_file": "/x"}),
        json!({"url": url, "proxy": {"url": "socks5://path-token"}}),
        json!({"url": url, "proxy": {"url": "http://proxy:3128", "username": "u"}}),
        json!({"url": url, "circuit": {"failures": 0}}),
        json!({"url": url, "redirects": true}),
        json!({"url": "h", "secret": "x", "batch": 0, "fields": [], "circuit": {"failures": 0},
            "headers": {"X Y": "x", "Host": "x"}, "ca_file": "/no/such/file"}),
        json!({"url": url, "batch": 5.5}),
        json!({"url": url, "timeout": 30.0}),
        json!({"url": url, "headers": {"X": 7}}),
        json!({"url": url, "circuit": {"failures": 4_294_967_296_u64}}),
    ] {
        let error = create(&config).unwrap_err();
        assert!(!error.contains("path-token"), "{config}: {error}");
        writeln!(seen, "{config}\n    {error}").unwrap();
    }
    insta::assert_snapshot!(seen);
}

#[test]
fn the_scheme_of_an_address_may_be_in_capitals() {
    assert!(create(&json!({"url": "HTTPS://crm.example.com/"})).is_ok());
}

#[test]
fn nothing_shows_a_secret() {
    let config = json!({"url": "https://crm.example.com/path-token", "secret": "0123456789abcdef",
        "headers": {"Authorization": {"secret": "Bearer header-token"}, "X": "plain-token"},
        "proxy": {"url": "http://proxy:3128", "username": "u", "password": "proxy-secret"}});
    let shown = format!(
        "{:?} {:?}",
        Config::from_config(config.to_string().as_bytes()).unwrap(),
        create(&config).unwrap()
    );
    for secret in [
        "path-token",
        "0123456789abcdef",
        "header-token",
        "plain-token",
        "proxy-secret",
    ] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

#[test]
fn a_cancelled_request_returns_at_once() {
    let server = Server::start(|_| Answer::status(200).after(Duration::from_hours(1)));
    let (stop, mut webhook) = {
        let config =
            Config::from_config(json!({"url": server.url("/")}).to_string().as_bytes()).unwrap();
        let host = Host::for_tests("webhook");
        (host.clone(), Webhook::create(host, config).unwrap())
    };
    let writer = std::thread::spawn(move || webhook.write(batch(1, 1)).unwrap_err());
    while server.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    stop.cancel_for_tests();
    let fail = writer.join().unwrap();
    assert!(
        fail.is_retry() && fail.reason().contains("cancelled"),
        "{fail}"
    );
}

#[test]
fn the_schema_names_every_key() {
    let schema: Value = serde_json::from_str(crate::config::SCHEMA).unwrap();
    let error = Config::from_config(br#"{"x":1}"#).map(drop).unwrap_err();
    let keys: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), error.matches('`').count() / 2 - 1, "{error}");
    assert!(
        keys.iter().all(|key| error.contains(&format!("`{key}`"))),
        "{error}"
    );
}
