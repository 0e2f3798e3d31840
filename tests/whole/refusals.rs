//! What callmeter refuses before it runs: flags, configurations, and how it says so.

use std::process::{Command, Output};

use callmeter_simulator::{Options, Simulator};
use callmeter_tests::{SuiteAccount, World, callmeter};
use serde_json::{Map, Value};

fn run(arguments: &[&str]) -> Output {
    Command::new(callmeter()).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every line of the log in JSON.
fn lines(output: &Output) -> Vec<Map<String, Value>> {
    let said = said(output);
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[tokio::test]
async fn the_last_lines_have_the_format_of_the_log() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let world = World::new();
    let account = SuiteAccount::of("acme", &simulator).yaml(&world, "simulated");
    let valid = world.configure(&[account], &[]);
    let valid = format!("--config.file={}", valid.display());
    let invalid = world.write("invalid.yml", "accounts: 5\njournal: { pth: j.db }\n");
    let invalid = format!("--config.file={}", invalid.display());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--web.listen-address={}", taken.local_addr().unwrap());
    for (arguments, code, last) in [
        (vec![invalid.as_str()], 3, "unknown key \"pth\""),
        (vec![&valid, &taken], 1, "choose another address"),
    ] {
        let json = [vec!["run", "--log.format=json"], arguments.clone()].concat();
        let output = run(&json);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        let lines = lines(&output);
        for line in &lines {
            for key in ["time", "level", "source", "msg"] {
                assert!(line[key].is_string(), "{line:?}");
            }
        }
        let errors: Vec<_> = lines
            .iter()
            .filter(|line| line["level"] == "ERROR")
            .map(|line| line["msg"].as_str().unwrap())
            .collect();
        assert!(
            errors.iter().any(|error| error.contains(last)),
            "{errors:?}"
        );
        let logfmt = [vec!["run"], arguments].concat();
        for line in said(&run(&logfmt)).lines() {
            assert!(line.starts_with("time="), "{line}");
        }
    }
}

#[test]
fn flags_are_checked_before_anything_starts() {
    for flag in [
        "--web.telemetry-path=metrics",
        "--web.telemetry-path=",
        "--web.telemetry-path=/-/healthy",
        "--web.telemetry-path=/metrics/{account}",
        "--web.telemetry-path=/a//b",
        "--web.telemetry-path=/./a",
        "--web.max-requests=-1",
        "--web.listen-address=",
        "--web.listen-address=localhost",
        "--web.listen-address=localhost:",
        "--web.listen-address=:99999",
        "--web.listen-address=::1:10177",
        "--log.level=loud",
    ] {
        let output = run(&["run", flag]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{flag}: {said}");
    }
    for flag in ["--speed=0", "--speed=-1", "--speed=nan", "--speed=inf"] {
        let output = run(&["demo", flag]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{flag}: {said}");
    }
}

#[tokio::test]
async fn the_web_file_is_checked_with_the_configuration() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let world = World::new();
    let account = SuiteAccount::of("acme", &simulator).yaml(&world, "simulated");
    let config = world.configure(&[account], &[]);
    let config = format!("--config.file={}", config.display());
    let web = world.write("web.yml", "basic_auth_users: { eve: secret }\n");
    let web = format!("--web.config.file={}", web.display());
    for command in [vec!["run", "--config.check"], vec!["check-config"]] {
        let valid = run(&[command.clone(), vec![&config]].concat());
        assert!(valid.status.success(), "{}", said(&valid));
        let output = run(&[command, vec![&config, &web]].concat());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("not a bcrypt hash"), "{said}");
    }
}

/// A flag that would be ignored and a time that cannot be read are mistakes of the command line:
/// nothing else is read, and the exit code is 2.
#[test]
fn flags_that_would_be_ignored_and_wrong_times_are_refused() {
    let period = ["--from=2026-01-01", "--to=2026-01-02"];
    let world = World::new();
    let deck = world.write("deck.csv", "prefix\n");
    let deck = format!("--deck={}", deck.display());
    let cases: [(&str, &[&str], &str); 15] = [
        (
            "export",
            &["--step=1h"],
            "--step is for --format openmetrics",
        ),
        (
            "export",
            &["--details", "--format=ndjson"],
            "--details is for",
        ),
        ("export", &["--buckets"], "--buckets is for"),
        (
            "export",
            &["--format=openmetrics", "--stream=charges"],
            "the openmetrics format has calls only",
        ),
        ("export", &["--step=1ms"], "shorter than 1s"),
        ("export", &["--from=monday"], "write a day"),
        ("export", &["--to=2026-13-01"], "write a day"),
        ("export", &["--to=2025-01-01"], "--from must be before --to"),
        (
            "export",
            &["--from=2200-01-01", "--to=2201-01-01"],
            "--from must not be in the future",
        ),
        (
            "export",
            &["--config.file=a.yml", "--journal=j.db"],
            "--config.file is not read with --journal",
        ),
        (
            "rate",
            &["1", "1", &deck, "--journal=j.db"],
            "--journal is not read for a deck in a file",
        ),
        ("charges", &["--from=monday"], "write a day"),
        (
            "charges",
            &["--to=2025-01-01"],
            "--from must be before --to",
        ),
        (
            "backfill",
            &["--account=a", "--from=monday"],
            "invalid value",
        ),
        (
            "backfill",
            &["--account=a", "--to=2025-01-01"],
            "--from must not be after --to",
        ),
    ];
    for (command, flags, words) in cases {
        let is_given = |one: &&&str| {
            let name = one.split('=').next().unwrap();
            !flags.iter().any(|flag| flag.starts_with(name))
        };
        let period = if command == "rate" { &[][..] } else { &period };
        let others = period.iter().filter(is_given).copied();
        let line: Vec<_> = [command]
            .into_iter()
            .chain(others)
            .chain(flags.iter().copied())
            .collect();
        let output = run(&line);
        assert_eq!(output.status.code(), Some(2), "{line:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{line:?}: {}", said(&output));
        assert!(output.stdout.is_empty());
    }
}
