//! Tokens: fetched once, refreshed in time, fetched again once when refused, and not more often
//! than that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portsip_client::{ErrorKind, Reason, SecretSource};

use crate::canned::{Canned, Reply, Seen, answer, json, with_headers};
use crate::{TOKENS, builder, session};

fn lines(server: &Canned) -> Vec<String> {
    server
        .seen()
        .iter()
        .map(|request| request.line().to_owned())
        .collect()
}

const SIGN_IN: &str = "POST /api/auth/sign_in";
const BALANCE: &str = "GET /api/tenant/balance";

#[tokio::test]
async fn many_tasks_share_one_sign_in() {
    let server = Canned::start(|request, _| match request.line() {
        SIGN_IN => json(TOKENS),
        _ => json(r#"{"balance":0.1}"#),
    })
    .await;
    let session = session(&server);
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.balance().await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().known(), Some("0.1".parse().unwrap()));
    }
    let sign_ins = lines(&server)
        .iter()
        .filter(|line| *line == SIGN_IN)
        .count();
    assert_eq!(sign_ins, 1);
}

/// Refusals as servers put them: documented, newer, and by a gateway.
#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let refusals = [
        answer(
            "400 Bad Request",
            "application/json",
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"x"}]}"#,
        ),
        with_headers("401 Unauthorized", &[], ""),
        with_headers("403 Forbidden", &[], ""),
    ];
    for refusal in refusals {
        let issued = Arc::new(AtomicUsize::new(0));
        let server = Canned::start(move |request: &Seen, _| {
            if request.line() == SIGN_IN {
                let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
                return json(format!(
                    r#"{{"access_token":"token-{number}","expires_in":1800}}"#
                ));
            }
            match request.header("authorization") {
                Some("Bearer token-2") => json(r#"{"balance":7}"#),
                _ => refusal.clone(),
            }
        })
        .await;
        let session = session(&server);
        assert_eq!(
            session.balance().await.unwrap().known(),
            Some("7".parse().unwrap())
        );
        assert_eq!(lines(&server), [SIGN_IN, BALANCE, SIGN_IN, BALANCE]);
        session.balance().await.unwrap();
        assert_eq!(server.seen().len(), 5, "the new token is kept");
    }
}

#[tokio::test]
async fn a_missing_right_does_not_sign_in_again_and_again() {
    let server = Canned::start(|request, _| match request.line() {
        SIGN_IN => json(TOKENS),
        _ => with_headers("403 Forbidden", &[], ""),
    })
    .await;
    let session = session(&server);
    for _ in 0..3 {
        let error = session.balance().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
    assert_eq!(
        lines(&server),
        [SIGN_IN, BALANCE, SIGN_IN, BALANCE, BALANCE, BALANCE]
    );
}

#[tokio::test]
async fn what_one_operation_may_not_do_says_nothing_of_another() {
    let issued = Arc::new(AtomicUsize::new(0));
    let server = Canned::start(move |request: &Seen, _| {
        if request.line() == SIGN_IN {
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            return json(format!(
                r#"{{"access_token":"token-{number}","expires_in":1800}}"#
            ));
        }
        match (request.line(), request.header("authorization")) {
            (BALANCE, _) => with_headers("403 Forbidden", &[], ""),
            (_, Some("Bearer token-3")) => json("{}"),
            _ => with_headers("403 Forbidden", &[], ""),
        }
    })
    .await;
    let session = session(&server);
    assert!(session.balance().await.is_err());
    assert!(
        session.billing().await.is_ok(),
        "its own refusal is worth a sign-in"
    );
    assert!(session.balance().await.is_err());
    let sign_ins = lines(&server)
        .iter()
        .filter(|line| *line == SIGN_IN)
        .count();
    assert_eq!(sign_ins, 3);
}

#[tokio::test]
async fn refused_credentials_rest_until_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "wrong\n").unwrap();
    let server = Canned::start(|request, _| match request.line() {
        SIGN_IN if request.body().contains("wrong") => answer(
            "400 Bad Request",
            "application/json",
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong, says the server"}]}"#,
        ),
        SIGN_IN => json(TOKENS),
        _ => json(r#"{"balance":1}"#),
    })
    .await;
    let session = builder(&server.url())
        .credentials("billing", SecretSource::file(&path))
        .build()
        .unwrap();
    for _ in 0..5 {
        let error = session.balance().await.unwrap_err();
        assert_eq!(*error.reason(), Reason::RefusedLogin);
        assert_eq!(
            (error.operation(), error.status()),
            (Some("sign_in"), Some(400))
        );
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    assert_eq!(server.seen().len(), 1, "tried once");
    std::fs::write(&path, "right\n").unwrap();
    assert!(session.balance().await.is_ok());
}

#[tokio::test]
async fn a_second_factor_is_told_apart() {
    let server = Canned::always(json(r#"{"two_factor_enabled":true,"token":"half"}"#)).await;
    let error = session(&server).billing().await.unwrap_err();
    assert_eq!(*error.reason(), Reason::SecondFactorRequired);
    assert!(error.to_string().contains("without two-factor"), "{error}");
}

#[tokio::test]
async fn an_expiring_token_is_refreshed_and_a_refused_refresh_signs_in() {
    // Each use needs a new token, and the second refresh is refused.
    let server = Canned::start(|request, before| match request.line() {
        SIGN_IN => json(r#"{"access_token":"a","refresh_token":"r","expires_in":1}"#),
        "POST /api/auth/refresh_token" if before < 4 => {
            json(r#"{"access_token":"b","expires_in":1}"#)
        }
        "POST /api/auth/refresh_token" => with_headers("401 Unauthorized", &[], ""),
        _ => json(r#"{"balance":1}"#),
    })
    .await;
    let session = session(&server);
    for _ in 0..3 {
        session.balance().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let refresh = "POST /api/auth/refresh_token";
    assert_eq!(
        lines(&server),
        [
            SIGN_IN, BALANCE, refresh, BALANCE, refresh, SIGN_IN, BALANCE
        ]
    );
    assert!(
        server.seen()[4].body().contains(r#""refresh_token":"r""#),
        "kept, as none came"
    );
}

/// No token is issued that has expired: 0 and -1 are what servers write that do not say.
#[tokio::test]
async fn a_lifetime_that_says_nothing_is_no_reason_to_sign_in_again() {
    let lifetimes = [
        "0",
        "-1",
        "null",
        "\"0\"",
        "0.0",
        "\"\"",
        "0.5",
        "true",
        "\"abc\"",
        "9223372036854775808",
        "[1]",
        "{\"s\":1}",
    ];
    for lifetime in lifetimes {
        let server = Canned::start(move |request, _| match request.line() {
            SIGN_IN => json(format!(
                r#"{{"access_token":"a","refresh_token":"r","expires_in":{lifetime}}}"#
            )),
            _ => json(r#"{"balance":1}"#),
        })
        .await;
        let session = session(&server);
        for _ in 0..4 {
            session.balance().await.unwrap();
        }
        let wanted = [SIGN_IN, BALANCE, BALANCE, BALANCE, BALANCE];
        assert_eq!(lines(&server), wanted, "{lifetime}");
    }
}

#[tokio::test]
async fn a_sign_in_without_token_is_unreadable() {
    for body in ["{}", r#"{"access_token":""}"#] {
        let server = Canned::always(json(body)).await;
        let error = session(&server).balance().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreadable);
    }
}

/// Servers lock logins that are refused repeatedly, and say so in many ways.
#[tokio::test]
async fn a_failed_sign_in_is_shared_whatever_its_form() {
    let cut = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n{\"errors\":[".to_vec();
    let grant = r#"{"error":"invalid_grant"}"#;
    // The answer, and how many sends one attempt takes.
    let cases: Vec<(&str, Reply, usize)> = vec![
        ("401 cut off", Reply::Raw(cut), 1),
        ("401", with_headers("401 Unauthorized", &[], ""), 1),
        (
            "400 invalid_grant",
            answer("400 Bad Request", "application/json", grant),
            1,
        ),
        ("400 empty", with_headers("400 Bad Request", &[], ""), 1),
        ("403", with_headers("403 Forbidden", &[], ""), 1),
        ("423", with_headers("423 Locked", &[], ""), 1),
        // The older way to sign in is tried, too.
        ("404", with_headers("404 Not Found", &[], ""), 2),
        ("200 with errors", json(r#"{"errors":[{"code":"X"}]}"#), 1),
        (
            "200 with HTML",
            answer("200 OK", "text/html", "<html>no</html>"),
            1,
        ),
        (
            "302",
            with_headers("302 Found", &[("Location", "/login")], ""),
            1,
        ),
        ("501", with_headers("501 Not Implemented", &[], ""), 1),
    ];
    for (name, reply, sends) in cases {
        let server = Canned::always(reply).await;
        let session = session(&server);
        let tasks: Vec<_> = (0..5)
            .map(|_| {
                let session = session.clone();
                tokio::spawn(async move { session.balance().await })
            })
            .collect();
        for task in tasks {
            let error = task.await.unwrap().unwrap_err();
            assert!(portsip_client::Session::is_of_sign_in(&error), "{name}");
        }
        assert_eq!(server.seen().len(), sends, "{name}");
    }
}

/// A server that accepts no token is not asked for one by each operation.
#[tokio::test]
async fn a_fresh_token_that_is_refused_is_refused_for_all() {
    let server = Canned::start(|request, _| match request.line() {
        SIGN_IN => json(TOKENS),
        _ => with_headers("401 Unauthorized", &[], ""),
    })
    .await;
    let session = session(&server);
    for _ in 0..2 {
        assert!(session.balance().await.is_err());
        assert!(session.billing().await.is_err());
        assert!(session.tenant().await.is_err());
    }
    let sign_ins = lines(&server)
        .iter()
        .filter(|line| *line == SIGN_IN)
        .count();
    assert_eq!(sign_ins, 2);
}
