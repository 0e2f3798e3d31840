//! Sessions and billing of PortSIP: refusals, tokens, codings, and parts that fail.

use std::io::Write as _;

use callmeter_tests::{Exporter, World};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::canned::{Reply, json, with_headers};
use super::{Scripted, exporter, usual, value};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const TENANT: &str = "GET /api/tenant";
const OF_BALANCE: &str = "GET /api/tenant/balance";
const SETTINGS: &str = "GET /api/tenant/billing";

const BALANCE: &str = "callmeter_portsip_balance";
const ENABLED: &str = "callmeter_portsip_billing_enabled";

/// A part that cannot be read costs itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_billing_poll_fail_one_by_one() {
    let forbidden = || with_headers("403 Forbidden", &[], "");
    let broken = || with_headers("501 Not Implemented", &[], "");
    let coded = |coding: &'static str, body: Vec<u8>| {
        with_headers("200 OK", &[("Content-Encoding", coding)], body)
    };
    let twelve = r#"{"balance":12.5}"#;
    // The account, the request, its answer, whether balance and settings are shown, the state of
    // the poll, and words of its status.
    let cases: Vec<(&str, &str, Reply, bool, bool, &str, &str)> = vec![
        (
            "no-tenant",
            TENANT,
            forbidden(),
            true,
            true,
            "ok",
            "no currency: get_tenant: permission denied",
        ),
        (
            "broken-tenant",
            TENANT,
            broken(),
            true,
            true,
            "ok",
            "no currency: get_tenant: server error",
        ),
        (
            "latin1-tenant",
            TENANT,
            json(b"{\"name\":\"M\xFCller\",\"currency\":\"EUR\"}"),
            true,
            true,
            "ok",
            "",
        ),
        (
            "odd-currency",
            TENANT,
            json(r#"{"currency":"the dollar of \"a\""}"#),
            true,
            true,
            "ok",
            "is not three capital letters, such as USD",
        ),
        (
            "small-letters",
            TENANT,
            json(r#"{"currency":" chf "}"#),
            true,
            true,
            "ok",
            "",
        ),
        (
            "comma",
            OF_BALANCE,
            json(r#"{"balance":"12,50"}"#),
            false,
            true,
            "ok",
            "the balance is not a number",
        ),
        (
            "no-balance",
            OF_BALANCE,
            forbidden(),
            false,
            true,
            "ok",
            "no balance: get_tenant_balance: permission",
        ),
        (
            "broken-balance",
            OF_BALANCE,
            json("nonsense"),
            false,
            true,
            "failing",
            "get_tenant_balance: unreadable",
        ),
        (
            "no-settings",
            SETTINGS,
            forbidden(),
            true,
            false,
            "ok",
            "no settings: get_tenant_billing: permission",
        ),
        (
            "broken-settings",
            SETTINGS,
            broken(),
            true,
            false,
            "failing",
            "get_tenant_billing: server error",
        ),
        (
            "gzip",
            OF_BALANCE,
            coded("GZIP", gzip(twelve)),
            true,
            true,
            "ok",
            "",
        ),
        (
            "x-gzip",
            OF_BALANCE,
            coded("x-gzip", gzip(twelve)),
            true,
            true,
            "ok",
            "",
        ),
        (
            "br",
            OF_BALANCE,
            coded("br", twelve.into()),
            false,
            true,
            "failing",
            "content coding is \\\"br\\\"",
        ),
    ];
    let world = World::new();
    let mut servers = Vec::new();
    for (name, line, reply, balance, settings, state, words) in cases {
        let server = Scripted::start(name, move |request, _| {
            if request.line() == line {
                reply.clone()
            } else {
                usual(request)
            }
        })
        .await;
        servers.push((server, balance, settings, state, words));
    }
    let accounts: Vec<_> = servers
        .iter()
        .map(|(server, ..)| server.pbx(&world))
        .collect();
    let exporter = exporter(&world, &accounts).await;
    for (server, balance, settings, state, words) in &servers {
        let name = server.name;
        let account = format!("account=\"{name}\"");
        let mut last = String::new();
        let begun = std::time::Instant::now();
        loop {
            let task = exporter.task(name, "billing").await;
            let metrics = exporter.metrics().await;
            let shown = [BALANCE, ENABLED].map(|family| value(&metrics, family, &[&account]));
            let wanted = [balance.then_some(12.5), settings.then_some(1.0)];
            if task["state"] == *state && task.to_string().contains(words) && shown == wanted {
                break;
            }
            assert!(
                begun.elapsed() < callmeter_tests::PATIENCE,
                "{name}: {last}"
            );
            last = format!("{task} {shown:?}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    let metrics = exporter.metrics().await;
    for account in ["account=\"comma\"", "account=\"odd-currency\""] {
        let unreadable = [account, "task=\"billing\""];
        assert!(metrics.sum("callmeter_records_unreadable_total", &unreadable) > 0.0);
    }
    for (account, currency) in [
        ("account=\"odd-currency\"", "currency=\"\""),
        ("account=\"small-letters\"", "currency=\"CHF\""),
    ] {
        assert_eq!(value(&metrics, BALANCE, &[account, currency]), Some(12.5));
    }
    assert!(exporter.terminate().success());
}

/// No token is issued that has expired.
#[tokio::test(flavor = "multi_thread")]
async fn a_lifetime_of_zero_is_no_reason_to_sign_in_again() {
    let world = World::new();
    let server = Scripted::start("hq", |request, _| match request.line() {
        "POST /api/auth/sign_in" => {
            json(r#"{"access_token":"a","refresh_token":"r","expires_in":0}"#)
        }
        _ => usual(request),
    })
    .await;
    let exporter = exporter(&world, &[server.pbx(&world)]).await;
    server.polled(&exporter, "GET /api/tenant/balance").await;
    let of_tokens = [server.seen("sign_in"), server.seen("refresh_token")];
    assert_eq!(
        of_tokens,
        [1, 0],
        "for {} requests",
        server.server.seen().len()
    );
    assert!(exporter.terminate().success());
}

/// What cannot be read for a while is not gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_currency_that_cannot_be_read_for_a_while_stays() {
    let world = World::new();
    let server = Scripted::start("hq", |request, phase| match (request.line(), phase) {
        (TENANT, 1..) => with_headers("501 Not Implemented", &[], ""),
        (OF_BALANCE, _) => json(format!(r#"{{"balance":{}}}"#, 12 + phase)),
        _ => usual(request),
    })
    .await;
    let accounts = [server.pbx(&world)];
    let shows = async |exporter: &Exporter, currency: &str, balance: f64| {
        let labels = [format!("currency=\"{currency}\"")];
        exporter
            .until("balance", async |exporter| {
                let metrics = exporter.metrics().await;
                value(&metrics, BALANCE, &[&labels[0]]) == Some(balance)
            })
            .await;
    };
    let first = exporter(&world, &accounts).await;
    shows(&first, "EUR", 12.0).await;
    server.advance();
    shows(&first, "EUR", 13.0).await;
    assert!(first.terminate().success());
    // After a restart the currency is not known. Some polls later it counts as none.
    server.advance();
    let second = exporter(&world, &accounts).await;
    shows(&second, "", 14.0).await;
    second
        .until("journaled", async |exporter| {
            let task = exporter.task("hq", "billing").await.to_string();
            task.contains(", changed") || task.contains(", unchanged")
        })
        .await;
    assert!(second.terminate().success());
    let mut export = std::process::Command::new(callmeter_tests::callmeter());
    let config = world.path("callmeter.yml");
    export
        .arg("export")
        .arg(format!("--config.file={}", config.display()));
    export.args([
        "--from=2020-01-01",
        "--to=2999-01-01",
        "--stream=billing",
        "--format=csv",
    ]);
    let output = export.output().unwrap();
    let rows = String::from_utf8(output.stdout).unwrap();
    let ends: Vec<_> = rows
        .lines()
        .skip(1)
        .map(|row| row.split_once("ONLINE").unwrap().1)
        .collect();
    assert_eq!(ends, [",12,EUR,", ",13,EUR,", ",14,,"], "{rows}");
}

/// A part that fails for long takes down neither the other parts nor what is known of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_billing_that_fails_for_long_costs_itself() {
    let failed = || with_headers("500 Internal Server Error", &[], "");
    let html = || super::canned::answer("200 OK", "text/html", "<html>no</html>");
    let moved = || with_headers("302 Found", &[("Location", "/login")], "");
    let cases: Vec<(&str, &str, Reply)> = vec![
        ("settings-500", SETTINGS, failed()),
        ("settings-null", SETTINGS, json("null")),
        ("settings-html", SETTINGS, html()),
        ("balance-500", OF_BALANCE, failed()),
        ("balance-null", OF_BALANCE, json("null")),
        ("balance-html", OF_BALANCE, html()),
        ("balance-302", OF_BALANCE, moved()),
    ];
    let world = World::new();
    let mut servers = Vec::new();
    let deck = super::deck::export(super::deck::HEADER);
    for (name, line, reply) in cases {
        let deck = deck.clone();
        let server = Scripted::start(name, move |request, phase| {
            match request.line() {
                // An account of which nothing can be read shows nothing.
                "GET /api/call_rates/export" => deck.clone(),
                one if one == line && phase == 1 => reply.clone(),
                _ => usual(request),
            }
        })
        .await;
        servers.push((server, line));
    }
    let accounts: Vec<_> = servers
        .iter()
        .map(|(server, _)| {
            let account = server.pbx(&world);
            account.replace("stale_after: 100", "stale_after: 1")
        })
        .collect();
    let exporter = exporter(&world, &accounts).await;
    let shows = async |balance: bool, settings: bool, server: &Scripted, what: &str| {
        let account = format!("account=\"{}\"", server.name);
        exporter
            .until(&format!("{what}: {}", server.name), async |exporter| {
                let metrics = exporter.metrics().await;
                let shown = [BALANCE, ENABLED].map(|family| value(&metrics, family, &[&account]));
                shown == [balance.then_some(12.5), settings.then_some(1.0)]
            })
            .await;
    };
    for (server, _) in &servers {
        shows(true, true, server, "at first").await;
        server.advance();
    }
    for (server, line) in &servers {
        let (balance, settings) = (*line != OF_BALANCE, *line != SETTINGS);
        shows(balance, settings, server, "without a part").await;
        let task = exporter.task(server.name, "billing").await;
        assert_eq!(task["state"], "failing", "{}: {task}", server.name);
        let part = if balance {
            "get_tenant_billing"
        } else {
            "get_tenant_balance"
        };
        assert!(task.to_string().contains(part), "{}: {task}", server.name);
        // It stays so.
        for _ in 0..10 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            shows(balance, settings, server, "still without a part").await;
        }
        server.advance();
    }
    for (server, _) in &servers {
        shows(true, true, server, "in the end").await;
    }
    assert!(exporter.terminate().success());
}
