//! Outputs as operators change them: reloads, secrets, the start and the end of the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use axum::http::StatusCode;
use callmeter_tests::{Exporter, Process, Web, callmeter, output, plugin, quoted};
use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::Value;

use crate::receiver::Receiver;
use crate::site::{Site, end};

/// Writes the configuration with an account that polls every second, and these outputs.
fn configure(site: &Site, outputs: &[String]) -> PathBuf {
    let account = site.suite("acme").yaml(&site.world, "simulated");
    site.world.configure(&[account], outputs)
}

fn csv(site: &Site, settings: &str) -> String {
    let directory = quoted(&site.world.path("csv").display().to_string());
    let config = format!("{{ directory: {directory}{settings} }}");
    output("archive", &plugin("csv"), "calls", &config)
}

fn check_config(file: &Path) -> Output {
    let mut command = Command::new(callmeter());
    command.arg("check-config").arg(file).output().unwrap()
}

async fn output_status(exporter: &Exporter, name: &str) -> Value {
    let status = exporter.status().await;
    let outputs = status["outputs"].as_array().unwrap();
    let found = outputs.iter().find(|output| output["name"] == name);
    found.cloned().unwrap_or(Value::Null)
}

/// Waits until an output has delivered all that it got.
async fn delivered(exporter: &Exporter, name: &str, at_least: f64) {
    let label = format!("output=\"{name}\"");
    exporter
        .until("delivered", async |exporter| {
            let metrics = exporter.metrics().await;
            let delivered = metrics.sum("callmeter_output_records_delivered_total", &[&label]);
            delivered >= at_least && metrics.sum("callmeter_output_lag_records", &[&label]) == 0.0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_the_plugin_does_not_know_are_refused() {
    let site = Site::with_calls(40).await;
    let config = configure(&site, &[csv(&site, "")]);
    let checked = check_config(&config);
    assert!(checked.status.success(), "{checked:?}");
    let exporter = site.start().await;
    delivered(&exporter, "archive", 40.0).await;
    let before = exporter.process().children();

    let misspelt = csv(&site, "").replace("directory:", "directroy:");
    for (output, said) in [
        (misspelt, "has no key `directroy`"),
        (
            csv(&site, ", rotate: weekly"),
            "`rotate` must be one of \"daily\"",
        ),
        // The schema cannot say these; the plugin does.
        (
            csv(&site, ", rotate: never, compress: gzip"),
            "`compress` packs finished files",
        ),
        (
            csv(&site, ", rotate: daily").replace("directory:", "file:"),
            "with `file`, everything goes into one plain file",
        ),
    ] {
        configure(&site, &[output]);
        let checked = check_config(&config);
        let text = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(3), "{text}");
        assert!(
            text.contains(said)
                && text.contains(".yml:")
                && text.contains("config: output archive"),
            "{text}"
        );
        let answer = exporter.try_reload().await;
        assert_eq!(answer.status, 500);
        assert!(answer.text().contains(said), "{}", answer.text());
        let status = output_status(&exporter, "archive").await;
        assert_eq!(status["up"], true, "{status}");
        let children = exporter.process().children();
        assert!(
            before.iter().all(|child| children.contains(child)),
            "it was replaced"
        );
    }
    configure(&site, &[csv(&site, ", guard_formulas: true")]);
    exporter.reload().await;
    delivered(&exporter, "archive", 0.0).await;
    end(exporter);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_settings_that_do_not_fit_has_an_output_that_is_down() {
    let site = Site::with_calls(40).await;
    let misspelt = csv(&site, "").replace("directory:", "directroy:");
    let second = csv(&site, "").replace("name: archive", "name: second");
    configure(&site, &[misspelt, second]);
    let exporter = site.start().await;
    delivered(&exporter, "second", 40.0).await;
    exporter
        .until("the reason is shown", async |exporter| {
            let status = output_status(exporter, "archive").await;
            status["up"] == false && status.to_string().contains("has no key `directroy`")
        })
        .await;
    assert!(exporter.log().contains("has no key `directroy`"));
    end(exporter);
}

/// Files that callmeter writes cannot grow beyond `bytes` from now on: writes beyond the limit fail
/// like on a full disk, and the signal of the limit does not end the program.
fn limit_files(exporter: &Exporter, bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(exporter.process().pid()), Resource::Fsize, limit).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_cannot_write_the_journal_leaves_the_outputs_running() {
    let site = Site::with_calls(40).await;
    configure(&site, &[csv(&site, "")]);
    let exporter = site.start().await;
    delivered(&exporter, "archive", 40.0).await;
    let before = exporter.process().children();

    limit_files(&exporter, Some(1));
    let second = csv(&site, ", prefix: second-").replace("name: archive", "name: second");
    let changed = csv(&site, ", guard_formulas: true");
    configure(&site, &[changed, second]);
    let answer = exporter.try_reload().await;
    limit_files(&exporter, None);
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert!(
        answer.text().contains("change the outputs of"),
        "{}",
        answer.text()
    );
    let status = output_status(&exporter, "archive").await;
    assert_eq!(
        (&status["up"], &status["state"]),
        (&true.into(), &"running".into()),
        "{status}"
    );
    assert!(
        before
            .iter()
            .all(|child| exporter.process().children().contains(child))
    );
    assert_eq!(output_status(&exporter, "second").await, Value::Null);

    exporter.reload().await;
    delivered(&exporter, "second", 40.0).await;
    end(exporter);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_an_output_no_longer_gets_has_no_cursor() {
    let site = Site::with_calls(40).await;
    let both = csv(&site, "").replace("[calls]", "[calls, balances]");
    configure(&site, &[both]);
    let exporter = site.start().await;
    delivered(&exporter, "archive", 40.0).await;
    configure(&site, &[csv(&site, "")]);
    exporter.reload().await;
    let log = exporter.log();
    assert!(log.contains("no longer gets this stream"), "{log}");
    end(exporter);
    let config = format!(
        "--config.file={}",
        site.world.path("callmeter.yml").display()
    );
    let stats = Command::new(callmeter())
        .args(["journal", "stats", &config])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&stats.stdout);
    let cursors: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("archive"))
        .collect();
    assert_eq!(cursors.len(), 1, "{text}");
    assert!(cursors[0].contains("calls"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_of_an_output_is_used_without_a_reload() {
    let site = Site::with_calls(40).await;
    let receiver = Receiver::start(|post| {
        let token = post.headers.get("x-token").map(String::as_str);
        let status = match token {
            Some("second") => StatusCode::OK,
            _ => StatusCode::TOO_MANY_REQUESTS,
        };
        (status, String::new())
    })
    .await;
    let file = site.world.write("token.secret", "first");
    let config = format!(
        "{{ url: {}, circuit: {{ failures: 100 }}, headers: {{ x-token: {{ secret_file: {} }} }} }}",
        quoted(&receiver.url()),
        quoted(&file.display().to_string()),
    );
    configure(
        &site,
        &[output("crm", &plugin("webhook"), "calls", &config)],
    );
    let exporter = site.start().await;
    exporter
        .until("refused", async |_| !receiver.posts().is_empty())
        .await;
    site.world.write("token.secret", "second");
    delivered(&exporter, "crm", 40.0).await;
    end(exporter);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_process_gets_no_password_from_the_environment() {
    let site = Site::with_calls(10).await;
    let config = configure(&site, &[csv(&site, "")]);
    let mut command = Command::new(callmeter());
    command
        .arg("run")
        .arg(format!("--config.file={}", config.display()))
        .arg("--web.listen-address=127.0.0.1:0")
        .env("ACME_PASSWORD", "hunter2")
        .env("LANG", "C.UTF-8");
    let process = Process::start(&mut command, &site.world.path("callmeter.log"));
    let exporter = Exporter::adopt(process, Web::default()).await;
    delivered(&exporter, "archive", 10.0).await;
    let children = exporter.process().children();
    assert!(!children.is_empty());
    for child in children {
        let path = format!("/proc/{}/environ", child.as_raw_nonzero());
        let environment = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        assert!(!environment.contains("hunter2"), "{environment}");
        assert!(environment.contains("LANG=C.UTF-8"), "{environment}");
    }
    end(exporter);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_during_the_start_is_a_reload() {
    let site = Site::with_calls(10).await;
    let config = configure(&site, &[csv(&site, "")]);
    let log = site.world.path("callmeter.log");
    let process = Exporter::spawn(&config, &log, &Web::default());
    while !process.log().contains("callmeter is starting") {
        std::thread::sleep(Duration::from_millis(1));
    }
    process.signal(Signal::HUP);
    let exporter = Exporter::adopt(process, Web::default()).await;
    exporter
        .until("reloaded", async |exporter| {
            exporter.log().contains("configuration reloaded")
        })
        .await;
    end(exporter);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_open_files_is_raised() {
    let site = Site::with_calls(10).await;
    let config = configure(&site, &[]);
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "ulimit -Sn 300; exec \"$0\" \"$@\""])
        .arg(callmeter())
        .arg("run")
        .arg(format!("--config.file={}", config.display()))
        .arg("--web.listen-address=127.0.0.1:0");
    let process = Process::start(&mut command, &site.world.path("callmeter.log"));
    let exporter = Exporter::adopt(process, Web::default()).await;
    let limit = prlimit_of(&exporter);
    assert_eq!(limit.current, limit.maximum);
    assert_ne!(limit.current, Some(300));
    end(exporter);
}

fn prlimit_of(exporter: &Exporter) -> Rlimit {
    let path = format!("/proc/{}/limits", exporter.process().pid().as_raw_nonzero());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with("Max open files"));
    let mut numbers = line
        .unwrap()
        .split_whitespace()
        .skip(3)
        .map(|word| word.parse().ok());
    Rlimit {
        current: numbers.next().unwrap(),
        maximum: numbers.next().unwrap(),
    }
}

#[test]
fn a_damaged_dead_letter_hides_no_other_from_the_commands() {
    let world = callmeter_tests::World::new();
    world.write("account.password", "secret");
    let account = "  - name: acme\n    hostedsuite: { url: \"https://pbx.example.com/api\", customer: c, \
                   username: u, password_file: account.password, time_zone: UTC }\n";
    let csv = format!(
        "{{ directory: {} }}",
        quoted(&world.path("csv").display().to_string())
    );
    let archive = output("archive", &plugin("csv"), "calls", &csv);
    // Secrets and plugins are not needed to list files.
    let account = account.replace("password_file: account.password", "password_env: UNSET");
    let other = output(
        "crm",
        Path::new("/nowhere/crm.so"),
        "calls",
        "{ secret_env: UNSET }",
    );
    let config = world.configure(&[account], &[archive, other]);
    let letters = world.path("dead-letters/archive");
    std::fs::create_dir_all(&letters).unwrap();
    let write = |place: u64, sidecar: Option<&str>| {
        let id = format!("{place:032x}");
        let name = format!("calls-{place:012}-{id}");
        let whole = serde_json::json!({
            "output": "archive", "plugin": "csv 0.1.0", "stream": "calls", "place": place, "id": id,
            "records": 1, "reason": "malformed", "refused_at": 1, "attempts": 1,
        });
        let sidecar = sidecar.map_or_else(|| whole.to_string(), str::to_owned);
        std::fs::write(letters.join(format!("{name}.json")), sidecar).unwrap();
        std::fs::write(letters.join(format!("{name}.arrow")), "").unwrap();
        name
    };
    let (first, damaged, last) = (write(1, None), write(2, Some("{")), write(3, None));
    let (alone, pipe, lost) = (write(4, None), write(5, None), write(6, None));
    std::fs::remove_file(letters.join(format!("{alone}.json"))).unwrap();
    let sidecar = letters.join(format!("{pipe}.json"));
    std::fs::remove_file(&sidecar).unwrap();
    let made = Command::new("mkfifo").arg(&sidecar).status();
    assert!(made.unwrap().success());
    let run = |command: &str| {
        let output = Command::new(callmeter())
            .args(["dead-letters", command])
            .arg(format!("--config.file={}", config.display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{said}");
        assert!(said.contains(&damaged) && !said.contains(&first), "{said}");
        assert!(
            said.contains(&format!("{alone}.arrow has no file {alone}.json")),
            "{said}"
        );
        assert!(
            said.contains(&format!("{pipe}.json: it is not a regular file")),
            "{said}"
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let listed = run("list");
    assert!(
        listed.contains(&first) && listed.contains(&last),
        "{listed}"
    );
    std::fs::remove_file(letters.join(format!("{lost}.arrow"))).unwrap();
    assert!(run("replay").contains("2 batches queued"));
    assert!(letters.join(format!("{lost}.json")).exists());
    for name in [first, last] {
        assert!(letters.join(format!("replay/{name}.json")).exists());
    }
    assert!(letters.join(format!("{damaged}.json")).exists());
}
