//! `callmeter demo` shows everything at work.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use callmeter_tests::{Process, Samples, World, callmeter, csv_rows_so_far, plugin, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_figures_that_move_rows_and_posts() {
    // The demo looks for them beside the program.
    for name in ["csv", "webhook"] {
        plugin(name);
    }
    let world = World::new();
    let mut command = Command::new(callmeter());
    command
        .arg("demo")
        .arg(format!("--directory={}", world.path("demo").display()))
        .args(["--web.listen-address=127.0.0.1:0", "--speed=600"]);
    let demo = Process::start(&mut command, &world.path("demo.log"));
    let place = async |what: &str| {
        let line = until(
            what,
            async || {
                let said = demo.log();
                let line = said
                    .lines()
                    .find(|line| line.trim_start().starts_with(what))?;
                Some(line.trim_start().trim_start_matches(what).trim().to_owned())
            },
            async || demo.log(),
        );
        line.await
    };
    let metrics = place("metrics").await;
    let page = place("status page").await;
    let receiver = place("webhook posts").await;
    let csv = place("CSV files").await;

    let _already = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |url: &str| client.get(url).send().await.ok()?.text().await.ok();
    let calls = async || {
        let samples = Samples::read(&get(&metrics).await?);
        Some(samples.sum("callmeter_calls_total", &[]))
    };
    let first = until(
        "any calls",
        async || calls().await.filter(|calls| *calls > 0.0),
        async || demo.log(),
    );
    let first = first.await;
    until(
        "more calls",
        async || calls().await.filter(|calls| *calls > first),
        async || demo.log(),
    )
    .await;
    until(
        "everything at work",
        async || {
            let samples = Samples::read(&get(&metrics).await?);
            let up = samples.sum("callmeter_up", &[]) == 2.0
                && samples.sum("callmeter_output_up", &[]) == 2.0;
            let spent = samples.sum("callmeter_charges_total", &["client_id="]) > 0.0;
            let csv = Path::new(&csv);
            let charged = csv_rows_so_far(csv, "charges").iter().any(|row| {
                let amount = row
                    .get("amount")
                    .and_then(|amount| amount.parse::<f64>().ok());
                amount.is_some_and(|amount| amount > 0.0)
            });
            let posts = get(&receiver).await?;
            let posted = posts.split(' ').next()?.parse::<u64>().ok()? > 0
                && posted_amount(&posts).is_some_and(|amount| amount > 0.0);
            let rows = csv_rows_so_far(csv, "calls").len();
            (up && spent && charged && posted && rows >= 10).then_some(())
        },
        async || format!("{:?} {}", get(&receiver).await, demo.log()),
    )
    .await;
    // 40 clients with their allowances: what one Prometheus stores for it stays small.
    let samples = Samples::read(&get(&metrics).await.unwrap());
    let series = samples.len();
    assert!(series <= 1_500, "{series} series");
    let clients = samples.of("callmeter_client_info", &[]).map(|(one, _)| {
        let (_, rest) = one.split_once("client_id=").unwrap();
        rest.split_once(',').unwrap().0
    });
    let most = clients.map(|client| samples.with_label(&format!("client_id={client}")));
    let most = most.max().unwrap();
    assert!((20..=25).contains(&most), "{most} series of one client");
    let shown = get(&page).await.unwrap();
    for name in ["acme", "hq", "archive", "crm"] {
        assert!(shown.contains(name), "{name} is not on the page: {shown}");
    }
    let usage = format!("{}/usage", page.trim_end_matches('/'));
    let usage = get(&usage).await.unwrap();
    assert!(usage.contains("Type of destination"), "{usage}");

    // It stops when asked, and prints what the receiver got.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let log = world.path("demo.log");
    assert!(demo.terminate().success());
    let said = std::fs::read_to_string(log).unwrap();
    assert!(said.contains("The receiver took "), "{said}");
    // On a machine that is busy, ten minutes of calls come in between two pages.
    let warned = said
        .lines()
        .filter(|line| line.contains("level=error") || line.contains("level=warn"))
        .find(|line| !line.contains("the list changed while it was read"));
    assert_eq!(warned, None, "{said}");
}

/// The amount of the charge that was posted last; `None` if it has none.
fn posted_amount(page: &str) -> Option<f64> {
    let (_, rest) = page.split_once("The last record of charges:\n")?;
    let record: serde_json::Value = serde_json::from_str(rest.lines().next()?).ok()?;
    let amount = record.get("amount")?;
    amount
        .as_f64()
        .or_else(|| amount.as_str()?.parse::<f64>().ok())
}

/// The demo's configuration is in another directory than the one that `--plugins` is relative to.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_finds_plugins_in_a_relative_directory() {
    let plugins = plugin("csv");
    plugin("webhook");
    let world = World::new();
    let mut command = Command::new(callmeter());
    command
        .arg("demo")
        .args(["--web.listen-address=127.0.0.1:0", "--plugins=."])
        .current_dir(plugins.parent().unwrap());
    let demo = Process::start(&mut command, &world.path("demo.log"));
    until(
        "both outputs started",
        async || (demo.log().matches("output starts").count() == 2).then_some(()),
        async || demo.log(),
    )
    .await;
    assert!(demo.terminate().success());
}
