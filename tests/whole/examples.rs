//! The examples for two instances, which the packages bring: their configurations are valid, their
//! parts fit together, and two callmeters run with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use callmeter_simulator::{LedgerQuery, Options, Simulator};
use callmeter_tests::{Exporter, SuiteAccount, Web, World, callmeter, differences};
use serde_json::Value;

const CONFIGURATION: &str = include_str!("../../packaging/compose/callmeter-two-instances.yml");
const PACKAGED: &str = include_str!("../../packaging/callmeter.yml");
const URL: &str = "postgres://callmeter:secret@127.0.0.1:1/callmeter";

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(name)
}

fn yaml(name: &str) -> Value {
    let text = std::fs::read_to_string(packaging(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The keys of a map, or the texts of a list; none of what is not there.
fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(list) => {
            let texts = list.iter().map(|text| text.as_str().unwrap().to_owned());
            texts.collect()
        }
        _ => BTreeSet::new(),
    }
}

/// The packaged configuration with its example of a journal on a server.
pub(crate) fn packaged_with_server() -> String {
    let (before, example) = PACKAGED.split_once("  # postgres:\n").unwrap();
    let is_example = |line: &&str| line.starts_with("  #   ");
    let server = example.lines().take_while(is_example);
    let server: Vec<String> = server
        .map(|line| line.replacen("  #   ", "    ", 1))
        .collect();
    let rest: Vec<&str> = example.lines().skip_while(is_example).collect();
    let before = before.replace("  path: /var/lib/callmeter/journal.db\n", "");
    let (server, rest) = (server.join("\n"), rest.join("\n"));
    format!("{before}  postgres:\n{server}\n{rest}\n")
}

#[test]
fn the_configurations_of_the_examples_are_valid() {
    for (text, secrets) in [
        (CONFIGURATION.to_owned(), "/run/secrets/"),
        (packaged_with_server(), "/etc/callmeter/"),
    ] {
        assert!(text.contains(&format!("url_file: {secrets}journal.url")));
        let world = World::new();
        world.write("acme.password", "secret");
        world.write("journal.url", URL);
        let directory = world.path("");
        let text = text
            .replace(secrets, &directory.display().to_string())
            // Where systemd puts what is in /etc/callmeter/secrets.
            .replace(
                "/run/credentials/callmeter.service/secret_",
                &directory.display().to_string(),
            )
            .replace("/var/lib/callmeter", &directory.display().to_string());
        let config = world.write("callmeter.yml", &text);
        let checked = Command::new(callmeter())
            .arg("check-config")
            .arg(&config)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && said.is_empty(), "{said}");
    }
}

/// Files, volumes, secrets and services that one part names are there.
#[test]
fn the_parts_of_compose_files_fit_together() {
    for name in ["compose.yml", "compose-two-instances.yml"] {
        let compose = yaml(&format!("compose/{name}"));
        let services = compose["services"].as_object().unwrap();
        for (service, is) in services {
            let what = format!("{name}: {service}");
            assert!(is["image"].as_str().unwrap().contains(':'), "{what}");
            for volume in names(&is["volumes"]) {
                // As it is without the variable.
                let volume = volume.replace("${CALLMETER_MIXIN:-../../mixin}", "../../mixin");
                let from = volume.split(':').next().unwrap();
                let exists = if from.starts_with('.') {
                    packaging("compose").join(from).exists()
                } else {
                    names(&compose["volumes"]).contains(from)
                };
                assert!(exists, "{what}: {volume}");
            }
            let secrets = names(&is["secrets"]);
            assert!(secrets.is_subset(&names(&compose["secrets"])), "{what}");
            for (other, condition) in is["depends_on"].as_object().into_iter().flatten() {
                assert_eq!(condition["condition"], "service_healthy", "{what}");
                assert!(services[other]["healthcheck"]["test"].is_array(), "{what}");
            }
        }
    }
}

/// The two instances have the same configuration and image, and a volume each. Prometheus scrapes
/// both.
#[test]
fn compose_starts_two_instances() {
    let compose = yaml("compose/compose-two-instances.yml");
    let config: Value = serde_saphyr::from_str(CONFIGURATION).unwrap();
    let state = config["journal"]["postgres"]["directory"].as_str().unwrap();
    let services = compose["services"].as_object().unwrap();
    let is_instance = |(name, _): &(&String, &Value)| name.starts_with("callmeter-");
    let instances: Vec<(&String, &Value)> = services.iter().filter(is_instance).collect();
    assert_eq!(instances.len(), 2);
    let mut volumes = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for (name, instance) in &instances {
        assert_eq!(instance["image"], "callmeter:0.1.0");
        assert_eq!(instance["hostname"].as_str().unwrap(), name.as_str());
        assert_eq!(instance["restart"], "unless-stopped");
        assert!(instance["depends_on"]["postgres"].is_object());
        let all = names(&instance["volumes"]);
        assert!(all.contains("./callmeter-two-instances.yml:/etc/callmeter/callmeter.yml:ro"));
        let end = format!(":{state}");
        let own = all.iter().find_map(|volume| volume.strip_suffix(&end));
        volumes.insert(own.unwrap().to_owned());
        ports.extend(names(&instance["ports"]));
        for secret in names(&instance["secrets"]) {
            assert!(
                CONFIGURATION.contains(&format!("/run/secrets/{secret}")),
                "{secret}"
            );
        }
    }
    assert_eq!((volumes.len(), ports.len()), (2, 2));
    let prometheus = yaml("compose/prometheus-two-instances.yml");
    let targets = &prometheus["scrape_configs"][0]["static_configs"][0]["targets"];
    let expected = instances.iter().map(|(name, _)| format!("{name}:10177"));
    assert_eq!(names(targets), expected.collect());
    assert_eq!(compose["services"]["postgres"]["image"], "postgres:15");
}

/// Two callmeters with the example's journal, each with a directory of its own.
#[tokio::test(flavor = "multi_thread")]
async fn two_instances_run_with_the_example() {
    let simulator = Simulator::start(Options {
        calls: Some(120),
        days: 2,
        ..Options::default()
    })
    .await
    .unwrap();
    simulator.freeze(true);
    let world = World::new();
    let port = tokio::task::spawn_blocking(|| crate::postgres::shared().port)
        .await
        .unwrap();
    let schema = format!("examples_{}", std::process::id());
    let url = format!("postgres://callmeter@127.0.0.1:{port}/postgres");
    world.write("journal.url", &url);
    let (_, journal) = CONFIGURATION.split_once("\njournal:\n").unwrap();
    let account = SuiteAccount::of("acme", &simulator)
        .calls("every: 1s, lookback: 4d, settle: 0s")
        .yaml(&world, "simulated");
    let directory = world.path("").display().to_string();
    let text = format!("accounts:\n{account}journal:\n{journal}")
        .replace("/run/secrets/", &directory)
        .replace("    tls:", &format!("    schema: {schema}\n    tls:"));
    let mut instances = Vec::new();
    for name in ["callmeter-1", "callmeter-2"] {
        let own = world.path(name);
        std::fs::create_dir(&own).unwrap();
        let text = text.replace("/var/lib/callmeter", &own.display().to_string());
        let config = world.write(&format!("{name}.yml"), &text);
        let log = world.path(&format!("{name}.log"));
        instances.push(Exporter::start(&config, &log, Web::default()).await);
    }
    let truth = simulator.ledger(&LedgerQuery::default());
    for exporter in &instances {
        exporter
            .until("counted", async |exporter| {
                let totals = exporter.metrics().await.totals(&["account=\"acme\""]);
                totals.calls == truth.total.calls
            })
            .await;
        let metrics = exporter.metrics().await;
        assert_eq!(differences(&metrics, "acme", &truth), Vec::<String>::new());
    }
    for exporter in instances {
        assert!(exporter.terminate().success());
    }
    let drop_schema = move || {
        let mut client = ::postgres::Client::connect(&url, ::postgres::NoTls).unwrap();
        let drop = format!("DROP SCHEMA {schema} CASCADE");
        client.batch_execute(&drop).unwrap();
    };
    tokio::task::spawn_blocking(drop_schema).await.unwrap();
}
