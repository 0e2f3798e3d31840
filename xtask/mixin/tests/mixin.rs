//! The checked-in mixin: up to date, sound for promtool, with links and names that exist.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by it"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use callmeter_meter::FamilyId;
use callmeter_mixin::{alerts::ALERTS, files, names::RUNBOOK, rules};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_files_are_up_to_date_and_there_are_no_others() {
    let mut expected = BTreeSet::new();
    for (name, text) in files().unwrap() {
        let path = root().join("mixin").join(&name);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "mixin/{name} is not up to date: run `cargo xtask mixin`"
        );
        expected.insert(path.file_name().unwrap().to_owned());
    }
    for directory in ["mixin", "mixin/dashboards"] {
        for entry in std::fs::read_dir(root().join(directory)).unwrap() {
            let entry = entry.unwrap();
            let is_known = expected.contains(&entry.file_name());
            assert!(is_known || entry.path().is_dir(), "{:?}", entry.path());
        }
    }
}

/// Queries are made of ids, but selectors, rules and legends are text.
#[test]
fn every_name_in_the_files_is_a_family_or_a_rule() {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for family in FamilyId::ALL.iter().map(|id| id.family()) {
        known.insert(family.name.to_owned());
        for suffix in ["_bucket", "_sum", "_count"] {
            known.insert(format!("{}{suffix}", family.name));
        }
    }
    let records = rules::all().unwrap();
    let rules: BTreeSet<&str> = records.iter().map(|rule| rule.record.as_str()).collect();
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    for (file, text) in files().unwrap() {
        for word in text.split(|letter| !is_word(letter)) {
            if word.contains(":callmeter_") {
                assert!(rules.contains(word), "{file}: {word}");
            } else if word.starts_with("callmeter_") {
                assert!(known.contains(word), "{file}: {word}");
            }
        }
    }
}

#[test]
fn every_link_leads_to_a_part_of_the_runbook() {
    let runbook = std::fs::read_to_string(root().join(RUNBOOK)).unwrap();
    let headings: Vec<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let names: Vec<&str> = ALERTS.iter().map(|alert| alert.name).collect();
    assert_eq!(headings, names, "a part for each alert, in the same order");
    let text = std::fs::read_to_string(root().join("mixin/alerts.yaml")).unwrap();
    for alert in ALERTS {
        let link = format!("{RUNBOOK}#{}", alert.anchor());
        assert!(text.contains(&link), "{link}");
    }
    for part in runbook.split("\n## ").skip(1) {
        for word in ["**Meaning.**", "**Impact.**", "**Look at.**", "**Do.**"] {
            assert!(part.contains(word), "{word} is missing: {part}");
        }
    }
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(root().join("mixin"))
        .output()
        .expect(
            "promtool is not installed: `apt-get install prometheus`, as `cargo xtask test` does",
        );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn promtool_accepts_the_rules() {
    promtool(&[
        "check",
        "rules",
        "--lint=all",
        "--lint-fatal",
        "alerts.yaml",
        "rules.yaml",
    ]);
}

/// The configuration in the README is one that Prometheus reads, with the mixin beside it.
#[test]
fn the_configuration_in_the_readme_is_valid() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = readme.split("```yaml\n").skip(1);
    let config = blocks
        .filter_map(|block| block.split("```").next())
        .find(|block| block.contains("scrape_configs"));
    accepts_configuration(config.unwrap());
}

/// The rule that only operators can write, because they know how many instances there are.
#[test]
fn the_rule_about_missing_instances_fires() {
    let doc = std::fs::read_to_string(root().join("docs/HIGH-AVAILABILITY.md")).unwrap();
    let blocks = doc.split("```yaml\n").skip(1);
    let rules = blocks.filter_map(|block| block.split("```").next());
    let mut rules = rules.filter(|block| block.contains("groups:"));
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let rules = file("rules.yaml", rules.next().unwrap());
    // One of two dies; the other one sees that.
    let tests = r#"
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - { series: 'callmeter_instances{job="c", instance="one"}', values: '2x10 stale' }
      - { series: 'callmeter_instances{job="c", instance="two"}', values: '2x11 1x20' }
    promql_expr_test:
      - { expr: 'count(ALERTS{alertstate="firing"}) or vector(0)', eval_time: 11m, exp_samples: [{ labels: '{}', value: 0 }] }
      - { expr: 'count(ALERTS{alertstate="firing"}) or vector(0)', eval_time: 20m, exp_samples: [{ labels: '{}', value: 1 }] }
"#;
    let tests = file("tests.yaml", tests);
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", &rules]);
    promtool(&["test", "rules", &tests]);
}

#[test]
fn the_configuration_of_compose_is_valid() {
    for name in ["prometheus.yml", "prometheus-two-instances.yml"] {
        let file = root().join("packaging/compose").join(name);
        accepts_configuration(&std::fs::read_to_string(file).unwrap());
    }
}

/// Promtool reads a configuration with the mixin in the directory of its file.
fn accepts_configuration(text: &str) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("prometheus.yml"), text).unwrap();
    let mixin = root().canonicalize().unwrap().join("mixin");
    std::os::unix::fs::symlink(mixin, directory.path().join("mixin")).unwrap();
    let file = directory.path().join("prometheus.yml");
    promtool(&["check", "config", file.to_str().unwrap()]);
}

/// Each alert fires in one case and does not in another; each rule has the expected value.
#[test]
fn alerts_fire_and_rules_have_values_when_they_should() {
    promtool(&["test", "rules", "tests.yaml"]);
}

/// The same with two instances, of which one dies and the other one goes on with its work.
#[test]
fn they_do_so_with_two_instances() {
    promtool(&["test", "rules", "tests-instances.yaml"]);
}
