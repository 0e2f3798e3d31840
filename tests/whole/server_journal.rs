//! A journal moves from a file to a server and back: everything is equal, and callmeter goes on.

use std::path::Path;
use std::process::{Command, Output};

use callmeter_simulator::Options;
use callmeter_tests::{
    Exporter, Web, callmeter, csv_rows_so_far, output, plugin, published, quoted,
};

use crate::postgres;
use crate::site::{Site, end};

const ACME: &str = "account=\"acme\"";

fn run(line: &[&str]) -> Output {
    Command::new(callmeter()).args(line).output().unwrap()
}

fn succeed(line: &[&str]) -> String {
    let output = run(line);
    assert!(output.status.success(), "{line:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that is refused; returns what it says.
fn refused(line: &[&str]) -> String {
    let output = run(line);
    assert!(!output.status.success(), "{line:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// All records of a journal as CSV, and what `journal stats` says but for place and size.
fn contents(journal: &str) -> Vec<String> {
    let streams = ["calls", "balances", "rates", "billing", "charges"];
    let exports = streams.map(|stream| {
        let stream = format!("--stream={stream}");
        succeed(&[
            "export",
            journal,
            "--from=2000-01-01",
            "--to=2100-01-01",
            &stream,
        ])
    });
    let stats = succeed(&["journal", "stats", journal]);
    let same = |line: &&str| !line.starts_with("journal ") && !line.starts_with("size ");
    let stats: Vec<&str> = stats.lines().filter(same).collect();
    exports.into_iter().chain([stats.join("\n")]).collect()
}

/// The lines of what is counted over the life of the journal.
async fn counted(exporter: &Exporter) -> Vec<String> {
    let text = exporter.get("/metrics").await.text();
    let is_counted = |line: &&str| {
        line.starts_with("callmeter_calls_total")
            || (line.starts_with("callmeter_call_") && line.contains("_seconds"))
    };
    text.lines().filter(is_counted).map(str::to_owned).collect()
}

async fn assert_counted(exporter: &Exporter, before: &[String]) {
    let now = counted(exporter).await;
    let lost: Vec<_> = before.iter().filter(|line| !now.contains(line)).collect();
    let added: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
    assert!(lost.is_empty() && added.is_empty(), "{lost:#?} {added:#?}");
}

async fn complete(exporter: &Exporter, site: &Site) {
    exporter
        .until("counted and delivered", async |exporter| {
            let metrics = exporter.metrics().await;
            metrics.totals(&[ACME]) == published(site.truth().total)
                && metrics.sum("callmeter_output_lag_records", &["archive"]) == 0.0
                && metrics.sum("callmeter_call_rates", &[]) == 50.0
                && ["balances", "rates", "billing"].iter().all(|task| {
                    let task = format!("task=\"{task}\"");
                    metrics.sum("callmeter_polls_total", &[&task]) > 0.0
                })
        })
        .await;
}

/// The configuration with the journal on a server.
fn on_the_server(site: &Site, file: &Path, port: u16, schema: &str) -> String {
    let url = format!("postgres://callmeter:hunter2@127.0.0.1:{port}/postgres");
    site.world.write("journal.url", &url);
    let text = std::fs::read_to_string(file).unwrap();
    let charges = "charges:\n  - name: spend\n    account: acme\n    deck: hq\n    \
                   numbers: { country_code: \"1\" }\n";
    let text = format!("{charges}{text}");
    let moved = text.replace(
        "path: journal.db",
        &format!("postgres: {{ url_file: journal.url, schema: {schema} }}"),
    );
    assert_ne!(moved, text);
    let path = site.world.write("server.yml", &moved);
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_moves_to_a_server_and_back() {
    let site = Site::with_calls(300).await;
    let accounts = [
        site.suite("acme").yaml(&site.world, "simulated"),
        site.pbx("hq").yaml(&site.world, "simulated"),
    ];
    let csv = quoted(&site.world.path("csv").display().to_string());
    let settings = format!("{{ directory: {csv} }}");
    let archive = output("archive", &plugin("csv"), "calls, balances", &settings);
    let file = site.world.configure(&accounts, &[archive]);
    let exporter = site.start().await;
    complete(&exporter, &site).await;
    // What is appended is not at once shown as waiting for the output.
    exporter
        .until("written", async |_| {
            let csv = site.world.path("csv");
            let has_balances = !csv_rows_so_far(&csv, "balances").is_empty();
            has_balances && csv_rows_so_far(&csv, "calls").len() >= 300
        })
        .await;
    site.simulator.freeze(true);
    let before = counted(&exporter).await;
    assert!(!before.is_empty());
    end(exporter);

    let schema = format!("whole_{}", std::process::id());
    // Its client does not work in an asynchronous task.
    let port = tokio::task::block_in_place(|| postgres::shared().port);
    let server = on_the_server(&site, &file, port, &schema);
    let journal = site.world.path("journal.db").display().to_string();
    let file = file.display().to_string();
    let copy = [
        "journal",
        "copy",
        "--from-config",
        &file,
        "--to-config",
        &server,
    ];
    let said = succeed(&copy);
    assert!(said.contains("calls      300 records\n"), "{said}");
    let said = refused(&copy);
    assert!(said.contains("finished copy"), "{said}");
    let (in_file, on_server) = (
        format!("--journal={journal}"),
        format!("--config.file={server}"),
    );
    assert_eq!(contents(&in_file), contents(&on_server));
    let said = succeed(&["journal", "verify", &on_server]);
    assert!(said.ends_with(": sound\n"), "{said}");
    let to = site.world.path("backup.db").display().to_string();
    let said = refused(&["journal", "backup", &on_server, &to]);
    assert!(said.contains("callmeter journal copy"), "{said}");
    let said = refused(&["journal", "stats", "--journal=postgres://u:p@h/d"]);
    assert!(said.contains("by a configuration"), "{said}");

    // callmeter goes on with the same totals, delivers nothing again, and charges the calls.
    let log = site.world.path("server.log");
    let exporter = Exporter::start(Path::new(&server), &log, Web::default()).await;
    complete(&exporter, &site).await;
    assert_counted(&exporter, &before).await;
    let metrics = exporter.metrics().await;
    assert_eq!(metrics.sum("callmeter_poll_failures_total", &[]), 0.0);
    assert_eq!(
        metrics.sum("callmeter_output_records_total", &["archive"]),
        0.0
    );
    assert!(metrics.sum("callmeter_journal_size_bytes", &[]) > 0.0);
    // No call is appended again.
    assert_eq!(contents(&in_file)[0], contents(&on_server)[0]);
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let day = today.date().yesterday().unwrap();
    let days = [format!("--from={day}"), format!("--to={day}")];
    let backfill = [
        "backfill",
        &on_server,
        "--account=acme",
        &days[0],
        &days[1],
        "--again",
    ];
    let said = succeed(&backfill);
    assert!(said.starts_with("1 day read: "), "{said}");
    assert!(exporter.log().contains("past days of calls were asked for"));
    exporter
        .until("charged", async |exporter| {
            exporter.status().await["charges"][0]["waiting"] == 0
                && exporter.metrics().await.sum("callmeter_charges_total", &[]) > 0.0
        })
        .await;
    // The place is fixed until a restart, and the URL is a secret.
    let text = std::fs::read_to_string(&server).unwrap();
    std::fs::write(&server, text.replace(&schema, "other")).unwrap();
    let answer = exporter.try_reload().await;
    assert_eq!(answer.status, 500);
    assert!(
        answer.text().contains("journal.postgres"),
        "{}",
        answer.text()
    );
    std::fs::write(&server, text).unwrap();
    exporter.reload().await;
    for page in ["/config", "/", "/api/v1/status"] {
        let shown = exporter.get(page).await.text();
        assert!(!shown.contains("hunter2"), "{page}: {shown}");
    }
    let status = exporter.status().await;
    let place = status["journal"]["path"].as_str().unwrap().to_owned();
    assert!(
        place.ends_with(&format!("/postgres, schema {schema}")),
        "{place}"
    );
    assert_counted(&exporter, &before).await;
    // A copy of what is in use has one state of it. Nothing is copied over what is in use.
    let live = site.world.path("live.db").display().to_string();
    let copied = run(&["journal", "copy", "--from-config", &server, "--to", &live]);
    let said = String::from_utf8(copied.stderr).unwrap();
    assert!(
        copied.status.success() && said.contains("warning: callmeter runs on journal"),
        "{said}"
    );
    let sound = succeed(&["journal", "verify", &format!("--journal={live}")]);
    assert!(sound.ends_with(": sound\n"), "{sound}");
    let said = refused(&["journal", "copy", "--from", &live, "--to-config", &server]);
    assert!(said.contains("stop it before"), "{said}");
    let log = exporter.log();
    assert!(
        !log.contains("hunter2") && !log.contains("panicked"),
        "{log}"
    );
    end(exporter);
    let charges = |flag: &str| {
        let period = ["--from=2000-01-01", "--to=2100-01-01"];
        succeed(&[&["charges", flag], &period[..]].concat())
    };
    let charged = charges(&on_server);
    let of_deck = |flag: &str| succeed(&["rate", flag, "--deck=hq", "12125550100", "60"]);
    let rated = of_deck(&on_server);
    // Without an exporter, the command reads the days.
    assert!(succeed(&backfill).starts_with("1 day read: "));

    let back = site.world.path("back.db").display().to_string();
    succeed(&["journal", "copy", "--from-config", &server, "--to", &back]);
    let in_back = format!("--journal={back}");
    assert_eq!(contents(&in_back), contents(&on_server));
    assert_eq!(of_deck(&in_back), rated);
    let reopened = [
        "charges",
        &on_server,
        &in_back,
        "--from=2000-01-01",
        "--to=2100-01-01",
    ];
    assert_eq!(succeed(&reopened), charged);
    std::fs::rename(&back, &journal).unwrap();
    for name in ["journal.db-wal", "journal.db-shm"] {
        let _absent = std::fs::remove_file(site.world.path(name));
    }
    let exporter = site.start().await;
    complete(&exporter, &site).await;
    assert_counted(&exporter, &before).await;
    end(exporter);
}

/// Without its server, callmeter shows what it knows; when the server is back, nothing is missing
/// and nothing counts twice.
#[tokio::test(flavor = "multi_thread")]
async fn callmeter_waits_for_the_server_of_its_journal() {
    let site = Site::new(Options {
        calls_per_day: Some(20_000),
        days: 1,
        speed: 60.0,
        rates: 50,
        ..Options::default()
    })
    .await;
    let accounts = [
        site.suite("acme").yaml(&site.world, "simulated"),
        site.pbx("hq").yaml(&site.world, "simulated"),
    ];
    let csv = quoted(&site.world.path("csv").display().to_string());
    let settings = format!("{{ directory: {csv} }}");
    let archive = output("archive", &plugin("csv"), "calls, balances", &settings);
    let file = site.world.configure(&accounts, &[archive]);
    // The server ends with the thread that starts it.
    let mut database = tokio::task::block_in_place(postgres::OwnServer::start);
    let config = on_the_server(&site, &file, database.port, "callmeter");
    let log = site.world.path("server.log");
    let exporter = Exporter::start(Path::new(&config), &log, Web::default()).await;
    let calls = async |exporter: &Exporter| exporter.metrics().await.totals(&[ACME]).calls;
    exporter
        .until("some are counted", async |exporter| {
            calls(exporter).await > 1000
        })
        .await;
    tokio::task::block_in_place(|| database.kill());
    let before = calls(&exporter).await;
    exporter
        .until("polls fail", async |exporter| {
            let metrics = exporter.metrics().await;
            metrics.sum("callmeter_poll_failures_total", &[ACME]) > 0.0
        })
        .await;
    assert!(calls(&exporter).await >= before);
    tokio::task::block_in_place(|| database.resume());
    exporter
        .until("counting goes on", async |exporter| {
            calls(exporter).await > before
        })
        .await;
    site.simulator.freeze(true);
    complete(&exporter, &site).await;
    let log = exporter.log();
    assert!(
        !log.contains("hunter2") && !log.contains("panicked"),
        "{log}"
    );
    end(exporter);
    let on_server = format!("--config.file={config}");
    let said = succeed(&["journal", "verify", &on_server]);
    assert!(said.ends_with(": sound\n"), "{said}");
}

/// What keeps callmeter from the server is in the message of each command, with what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_let_callmeter_in() {
    let site = Site::with_calls(1).await;
    let file = site.configure(&[site.suite("acme")], &[site.pbx("hq")]);
    let port = tokio::task::block_in_place(|| postgres::shared().port);
    let config = on_the_server(&site, &file, port, "nowhere");
    let text = std::fs::read_to_string(&config).unwrap();
    let tls = text.replace("journal.url,", "journal.url, tls: require,");
    assert_ne!(tls, text);
    std::fs::write(&config, tls).unwrap();
    let config = format!("--config.file={config}");
    for line in [vec!["run"], vec!["journal", "stats"]] {
        let said = refused(&[line, vec![&config]].concat());
        assert!(said.contains("the server does not offer TLS"), "{said}");
        assert!(said.contains("`ssl = on`"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
