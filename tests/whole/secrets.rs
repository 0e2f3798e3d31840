//! Secrets do not leak, even if every server repeats them in every encoding.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::process::Command;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use callmeter_simulator::{
    Credentials, Faults, HostedSuiteLogin, Options, PortSipLogin, Running, Simulator,
};
use callmeter_tests::{Exporter, PbxAccount, SuiteAccount, Web, World, output, plugin, quoted};

use crate::receiver::Receiver;
use crate::site::{Site, end};

/// The middle of each secret, between two words that occur nowhere else. Encodings that change
/// single characters do not change the words.
const AWKWARD: &str = r#""a'b\c%25 wörd/ü+=&<x>?{},:[]é🔑"#;

/// The words of each secret.
const WORDS: [(&str, [&str; 2]); 4] = [
    ("suite", ["Zq7XkVnR2a", "Wv3TbLmP8c"]),
    ("pbx", ["Hd5JsQwY4e", "Rf9KpGxN6u"]),
    ("webhook", ["Tn8BcMzD3k", "Lw2VhSfX7y"]),
    ("header", ["Px6GjCrE5m", "Ys4NdKtA9q"]),
];

const FAULTS: [&str; 7] = [
    r#"echo={"encoding":"jsv"}"#,
    r#"echo={"encoding":"json"}"#,
    r#"echo={"encoding":"url"}"#,
    r#"echo={"encoding":"base64"}"#,
    "html",
    "refuse_login=security_exception",
    "refuse_login=unauthorized",
];

fn secret(which: &str) -> String {
    let (_, [first, last]) = WORDS.iter().find(|(name, _)| *name == which).unwrap();
    match which {
        // A header contains no line breaks and only ASCII.
        "header" => format!("{first}\"a'b\\c%25 /+=&<x>?{{}}{last}"),
        _ => format!("{first}{AWKWARD}{last}"),
    }
}

/// Every form of the words to search for.
fn forms() -> Vec<(String, String)> {
    let mut forms = Vec::new();
    for word in WORDS.iter().flat_map(|(_, words)| words) {
        forms.push(((*word).to_owned(), format!("{word}, plain or nearly")));
        for before in 0..3 {
            // In the base64 of a longer text, a word's digits depend only on its offset.
            let text = format!("{}{word}", "-".repeat(before));
            for (engine, name) in [
                (&STANDARD_NO_PAD, "base64"),
                (&URL_SAFE_NO_PAD, "base64url"),
            ] {
                let digits = engine.encode(&text);
                let whole = &digits[(before * 4).div_ceil(3)..text.len() / 3 * 4];
                forms.push((whole.to_owned(), format!("{word} in {name}")));
            }
        }
        let hex: Vec<String> = word.bytes().map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.concat();
        forms.push((hex.to_uppercase(), format!("{word} in hex")));
        forms.push((hex, format!("{word} in hex")));
    }
    forms
}

#[test]
fn a_word_is_found_in_each_encoding_of_its_secret() {
    let secret = secret("suite");
    let texts = [
        format!("password={secret}"),
        serde_json::to_string(&secret).unwrap(),
        STANDARD_NO_PAD.encode(format!("Password={secret}&x")),
        STANDARD_NO_PAD.encode(format!("xPassword={secret}&x")),
        URL_SAFE_NO_PAD.encode(format!("xyPassword={secret}&x")),
    ];
    for text in texts {
        let found = forms()
            .iter()
            .filter(|(form, _)| text.contains(form))
            .count();
        assert!(found >= 2, "{found} forms in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_its_file() {
    let world = World::new();
    let mut simulators = Vec::new();
    for fault in FAULTS {
        let simulator = Simulator::start(Options {
            calls: Some(60),
            days: 2,
            rates: 5,
            clients: 3,
            credentials: Credentials {
                hostedsuite: HostedSuiteLogin {
                    password: secret("suite"),
                    ..HostedSuiteLogin::default()
                },
                portsip: PortSipLogin {
                    password: secret("pbx"),
                    ..PortSipLogin::default()
                },
            },
            ..Options::default()
        })
        .await
        .unwrap();
        simulators.push((fault, simulator));
    }
    // The receiver refuses every post and repeats its content.
    let receiver = Receiver::start(|post| {
        let repeated = format!("{:?} {}", post.headers, post.body);
        (StatusCode::BAD_REQUEST, repeated)
    })
    .await;
    let config = configure(&world, &simulators, &receiver);

    // From the start, servers repeat logins; in the middle of a session, they repeat tokens.
    set(&simulators, true);
    let log = world.path("first.log");
    let exporter = Exporter::start(&config, &log, Web::default()).await;
    failing(&exporter, "suite", &["unauthorized"]).await;
    failing(&exporter, "pbx", &["security_exception"]).await;
    look(&world, &exporter, "logins").await;
    assert!(exporter.terminate().success());

    set(&simulators, false);
    let log = world.path("second.log");
    let exporter = Exporter::start(&config, &log, Web::default()).await;
    exporter
        .until("everything read", async |exporter| {
            let metrics = exporter.metrics().await;
            #[expect(clippy::cast_precision_loss, reason = "a small count")]
            let accounts = 2.0 * FAULTS.len() as f64;
            metrics.sum("callmeter_up", &[]) == accounts
                && metrics.sum("callmeter_output_records_dropped_total", &["crm"]) > 0.0
        })
        .await;
    set(&simulators, true);
    failing(&exporter, "suite", &["unauthorized"]).await;
    // With a token there is no login.
    failing(&exporter, "pbx", &["security_exception", "unauthorized"]).await;
    // The result of a reload is shown, too.
    let good = std::fs::read_to_string(&config).unwrap();
    world.write("callmeter.yml", &good.replace("accounts:", "acounts:"));
    assert_eq!(exporter.try_reload().await.status, 500);
    world.write("callmeter.yml", &good);
    look(&world, &exporter, "sessions").await;
    assert!(exporter.terminate().success());

    let posts = receiver.posts().clone();
    assert!(!posts.is_empty());
    for post in posts {
        nowhere_in(&post.body, "a webhook's body");
        assert_eq!(post.headers["x-api-key"], secret("header"));
    }
    let config = format!("--config.file={}", config.display());
    for arguments in [
        vec!["check-config", &config],
        vec!["plugin", "list", &config],
        vec!["dead-letters", "list", &config],
        vec!["journal", "stats", &config],
        vec![
            "export",
            &config,
            "--from=2020-01-01",
            "--to=2999-01-01",
            "--format=ndjson",
        ],
        vec![
            "export",
            &config,
            "--from=2020-01-01",
            "--to=2999-01-01",
            "--stream=billing",
        ],
    ] {
        let said = Command::new(callmeter_tests::callmeter())
            .args(&arguments)
            .output()
            .unwrap();
        assert!(said.status.success(), "{arguments:?}: {said:?}");
        nowhere_in(
            &String::from_utf8_lossy(&said.stdout),
            &format!("{arguments:?}"),
        );
        nowhere_in(
            &String::from_utf8_lossy(&said.stderr),
            &format!("{arguments:?}"),
        );
    }
}

fn configure(
    world: &World,
    simulators: &[(&str, Running)],
    receiver: &Receiver,
) -> std::path::PathBuf {
    let accounts: Vec<String> = simulators
        .iter()
        .flat_map(|(fault, simulator)| {
            let name = fault.replace(['{', '}', '"'], "").replace(['=', ':'], "-");
            [
                SuiteAccount::of(&format!("suite-{name}"), simulator)
                    .with("balances", "{ every: 1s }")
                    .with("format", if name.contains("jsv") { "jsv" } else { "json" })
                    .yaml(world, &secret("suite")),
                PbxAccount::of(&format!("pbx-{name}"), simulator).yaml(world, &secret("pbx")),
            ]
        })
        .collect();
    world.write("webhook.secret", &secret("webhook"));
    world.write("header.secret", &secret("header"));
    let csv = quoted(&world.path("csv").display().to_string());
    world.configure(
        &accounts,
        &[
            output(
                "archive",
                &plugin("csv"),
                "calls, balances, rates, billing",
                &format!("{{ directory: {csv} }}"),
            ),
            output(
                "crm",
                &plugin("webhook"),
                "calls",
                &format!(
                    "{{ url: \"{}\", secret_file: webhook.secret, headers: {{ X-Api-Key: {{ secret_file: header.secret }} }} }}",
                    receiver.url()
                ),
            ),
        ],
    )
}

fn set(simulators: &[(&str, Running)], on: bool) {
    for (fault, simulator) in simulators {
        let mut faults = Faults::default();
        if on {
            faults.merge_word(fault).unwrap();
        }
        simulator.set_faults(faults).unwrap();
    }
}

/// Waits until every account of an API fails, except those whose fault is of the other API.
/// Some editors write a byte order mark, and Windows ends lines with two characters.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_what_the_editor_showed() {
    let site = Site::with_calls(10).await;
    let account = site
        .suite("acme")
        .yaml(&site.world, "\u{feff}simulated\r\n");
    site.world.configure(&[account], &[]);
    let exporter = site.start().await;
    exporter
        .until("polled", async |exporter| {
            let metrics = exporter.metrics().await;
            metrics.totals(&["account=\"acme\""]).calls == 10
        })
        .await;
    end(exporter);
}

async fn failing(exporter: &Exporter, api: &str, not: &[&str]) {
    exporter
        .until(&format!("every {api} account failing"), async |exporter| {
            let status = exporter.status().await;
            let accounts = status["accounts"].as_array().unwrap();
            accounts
                .iter()
                .filter(|account| {
                    let name = account["name"].as_str().unwrap();
                    name.starts_with(api) && !not.iter().any(|not| name.ends_with(not))
                })
                .all(|account| {
                    let tasks = account["tasks"].as_object().unwrap();
                    tasks.values().all(|task| task["error"].is_string())
                })
        })
        .await;
}

/// Searches every page and every file.
async fn look(world: &World, exporter: &Exporter, when: &str) {
    for page in ["/", "/metrics", "/config", "/api/v1/status"] {
        let answer = exporter.get(page).await;
        assert_eq!(answer.status, 200, "{page}");
        nowhere_in(&answer.text(), &format!("{page} ({when})"));
    }
    let mut files = 0;
    let root = world.path("");
    look_into(&root, &mut files);
    assert!(files > 4, "{files} files");
}

fn look_into(directory: &Path, files: &mut u32) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_into(&path, files);
            continue;
        }
        if path.metadata().unwrap().file_type().is_socket() {
            continue;
        }
        let end = path.extension().and_then(|end| end.to_str());
        if matches!(end, Some("password" | "secret")) {
            continue;
        }
        *files += 1;
        let content = std::fs::read(&path).unwrap();
        nowhere_in(
            &String::from_utf8_lossy(&content),
            &path.display().to_string(),
        );
    }
}

fn nowhere_in(text: &str, place: &str) {
    for (form, what) in forms() {
        if let Some(at) = text.find(&form) {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.ceil_char_boundary((at + 200).min(text.len()));
            panic!("{what} is in {place}: …{}…", &text[from..to]);
        }
    }
    // The test does not know PortSIP's tokens, but how they are sent.
    if let Some(at) = text.find("Bearer ") {
        let after = &text[at + 7..];
        let shown = after
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .count();
        assert!(shown < 8, "a token is in {place}");
    }
}
