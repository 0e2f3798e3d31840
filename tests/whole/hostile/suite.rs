//! HostedSuite: refusals that only the status line shows, balances without ids, and long texts.

use callmeter_tests::World;

use super::canned::{Reply, answer, json};
use super::{Scripted, exporter};

const ONLY_CALLS: &str = "      calls: { every: 1s }\n      balances: { enabled: false }\n";
const ONLY_BALANCES: &str = "      calls: { enabled: false }\n      balances: { every: 1s }\n";

/// Servers lock accounts that try again. The code is in the status line where the body has none
/// that can be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_the_status_line_refuses_is_not_tried_again() {
    let world = World::new();
    let refusals: [(&str, Reply); 3] = [
        (
            "html",
            answer("500 SecurityException", "text/html", "<html>no</html>"),
        ),
        (
            "xml",
            answer(
                "500 SecurityException",
                "application/xml",
                "<ErrorResponse/>",
            ),
        ),
        (
            "empty",
            answer("500 AuthenticationException", "application/json", ""),
        ),
    ];
    let mut servers = Vec::new();
    for (name, reply) in refusals {
        servers.push(Scripted::start(name, move |_, _| reply.clone()).await);
    }
    let accounts: Vec<_> = servers
        .iter()
        .map(|server| server.suite(&world, ONLY_CALLS))
        .collect();
    let exporter = exporter(&world, &accounts).await;
    for server in &servers {
        exporter
            .until(server.name, async |exporter| {
                let task = exporter.task(server.name, "calls").await;
                task["state"] == "refused" && task.to_string().contains("login refused")
            })
            .await;
    }
    for server in &servers {
        assert_eq!(server.server.seen().len(), 1, "{}", server.name);
    }
    assert!(exporter.terminate().success());
}

/// Nothing is added up that is not known to be the same, and no label is as long as its text.
#[tokio::test(flavor = "multi_thread")]
async fn balances_are_told_apart_and_labels_are_bounded() {
    let world = World::new();
    let long = |end: &str| "x".repeat(1_000_000) + end;
    let body = format!(
        r#"[{{"ClientName":"Acme","NumCalls":1,"Balance":1}},{{"ClientName":"Bolt","NumCalls":20,"Balance":20}},{{"NumCalls":300,"Balance":300}},
        {{"ClientId":"c","AllowanceDescription":"10 calls","NumCalls":4,"Balance":4}},
        {{"ClientId":"c","AllowanceDescription":"60 minutes","NumCalls":50,"Balance":50}},
        {{"ClientId":"{}","ClientName":"{}","NumCalls":6,"Balance":6}},{{"ClientId":"{}","NumCalls":70,"Balance":70}}]"#,
        long("1"),
        long("name"),
        long("2"),
    );
    let server = Scripted::start("acme", move |_, _| json(&body)).await;
    let exporter = exporter(&world, &[server.suite(&world, ONLY_BALANCES)]).await;
    exporter
        .until("balances", async |exporter| {
            let metrics = exporter.metrics().await;
            metrics.count("callmeter_allowance_used_calls", &[]) > 0
        })
        .await;
    let page = exporter.get("/metrics").await.text();
    let longest = page.lines().map(str::len).max().unwrap();
    assert!(longest < 1_500, "a line of {longest} bytes");
    let metrics = exporter.metrics().await;
    let balances: Vec<_> = metrics
        .of("callmeter_allowance_used_calls", &[])
        .map(|(series, value)| {
            let short = series.replace(&"x".repeat(239), "x…");
            format!(
                "{} {value}",
                short.trim_start_matches("callmeter_allowance_used_calls")
            )
        })
        .collect();
    insta::assert_snapshot!(balances.join("\n"), @r#"
    {account="acme",client_id="c",allowance="10 calls"} 4
    {account="acme",client_id="c",allowance="60 minutes"} 50
    {account="acme",client_id="unknown",allowance="unknown"} 300
    {account="acme",client_id="unknown: Acme",allowance="unknown"} 1
    {account="acme",client_id="unknown: Bolt",allowance="unknown"} 20
    {account="acme",client_id="x…~60cc8e9c2ed1c8a4",allowance="unknown"} 70
    {account="acme",client_id="x…~6eba43ec64e4e8fb",allowance="unknown"} 6
    "#);
    assert!(metrics.sum("callmeter_series_shortened", &[]) > 0.0);
    assert!(exporter.terminate().success());
    // The journal, and so each output, has every one of them.
    let mut export = std::process::Command::new(callmeter_tests::callmeter());
    let config = world.path("callmeter.yml");
    export
        .arg("export")
        .arg(format!("--config.file={}", config.display()));
    export.args([
        "--from=2020-01-01",
        "--to=2999-01-01",
        "--stream=balances",
        "--format=csv",
    ]);
    let output = export.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let rows = String::from_utf8(output.stdout).unwrap();
    assert_eq!(rows.lines().count(), 1 + 7);
}
