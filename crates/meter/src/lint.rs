//! A test that applies the rules of `promtool check metrics` to the family table.

use std::collections::BTreeSet;

use crate::families::FamilyId;
use crate::family::{Family, MetricType};

const UNITS: &[(&str, &str)] = &[
    ("amperes", "amperes"),
    ("bytes", "bytes"),
    ("celsius", "celsius"),
    ("grams", "grams"),
    ("joules", "joules"),
    ("kelvin", "kelvin"),
    ("meters", "meters"),
    ("metres", "metres"),
    ("seconds", "seconds"),
    ("volts", "volts"),
    ("minutes", "seconds"),
    ("hours", "seconds"),
    ("days", "seconds"),
    ("weeks", "seconds"),
    ("kelvins", "kelvin"),
    ("fahrenheit", "celsius"),
    ("rankine", "celsius"),
    ("inches", "meters"),
    ("yards", "meters"),
    ("miles", "meters"),
    ("bits", "bytes"),
    ("calories", "joules"),
    ("pounds", "grams"),
    ("ounces", "grams"),
];

const PREFIXES: &[&str] = &[
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega",
    "mibi", "giga", "gibi", "tera", "tebi", "peta", "pebi",
];

const ABBREVIATIONS: &[&str] = &[
    "s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d",
];

/// Labels that users set on their targets, or that mean nothing: an exporter must not use them.
const TAKEN_LABELS: &[&str] = &[
    "job",
    "instance",
    "region",
    "zone",
    "cluster",
    "datacenter",
    "owner",
    "customer",
    "stage",
    "service",
    "env",
    "type",
    "le",
    "quantile",
];

fn problems(family: &Family) -> Vec<String> {
    let mut found = Vec::new();
    let mut wrong = |text: String| found.push(format!("{}: {text}", family.name));
    let words: Vec<&str> = family.name.split('_').collect();
    if family.help.is_empty() || !family.help.ends_with('.') {
        wrong("no help, or it is not a sentence".into());
    }
    if (family.metric_type == MetricType::Counter) != family.name.ends_with("_total") {
        wrong("counters end in _total, and nothing else does".into());
    }
    if family.metric_type != MetricType::Histogram {
        for ending in ["_count", "_sum", "_bucket"] {
            if family.name.ends_with(ending) {
                wrong(format!("{ending} is for histograms"));
            }
        }
    }
    for word in &words {
        if ["counter", "gauge", "histogram", "summary", "untyped"].contains(word) {
            wrong(format!("type {word} in the name"));
        }
        if ABBREVIATIONS.contains(word) {
            wrong(format!("abbreviated unit {word}"));
        }
        for (unit, base) in UNITS {
            let prefixed = PREFIXES
                .iter()
                .any(|prefix| word.strip_prefix(prefix) == Some(unit));
            if prefixed || (word == unit && unit != base) {
                wrong(format!("{word} instead of {base}"));
            }
            if word == unit && unit == base && family.unit != *base {
                wrong(format!("unit {base} is not declared"));
            }
        }
    }
    let plain = |text: &str| {
        let mut bytes = text.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'_')
    };
    if !plain(family.name) || !family.name.starts_with("callmeter_") {
        wrong("not callmeter_ and snake case".into());
    }
    if !family.unit.is_empty() && !family.base_name().ends_with(&format!("_{}", family.unit)) {
        wrong("OpenMetrics wants the unit at the end of the name".into());
    }
    for label in family.labels {
        if !plain(label) || TAKEN_LABELS.contains(label) {
            wrong(format!("label {label}"));
        }
    }
    if family.labels.iter().collect::<BTreeSet<_>>().len() != family.labels.len() {
        wrong("a label twice".into());
    }
    found
}

#[test]
fn the_table_has_no_lint() {
    let found: Vec<_> = FamilyId::ALL
        .iter()
        .flat_map(|id| problems(id.family()))
        .collect();
    // It counts days. It does not measure time in days.
    assert_eq!(
        found,
        ["callmeter_days_incomplete: days instead of seconds"]
    );
}

#[test]
fn the_rules_find_what_they_are_for() {
    let family = |name, metric_type, unit, labels| Family {
        name,
        metric_type,
        unit,
        help: "Some help.",
        labels,
        source: crate::family::Source::Registry,
    };
    for (bad, count) in [
        (family("callmeter_polls", MetricType::Counter, "", &[]), 1),
        (
            family("callmeter_wait_milliseconds", MetricType::Gauge, "", &[]),
            1,
        ),
        (
            family("callmeter_wait_minutes", MetricType::Gauge, "", &[]),
            1,
        ),
        (
            family("callmeter_wait_seconds", MetricType::Gauge, "", &[]),
            1,
        ),
        (
            family("callmeter_seconds_wait", MetricType::Gauge, "seconds", &[]),
            1,
        ),
        (family("callmeter_wait_ms", MetricType::Gauge, "", &[]), 1),
        (
            family("callmeter_gauge", MetricType::Gauge, "", &["customer"]),
            2,
        ),
        (
            family("callmeter_callCount", MetricType::Gauge, "", &["a", "a"]),
            2,
        ),
        (
            family("callmeter_calls_count", MetricType::Gauge, "", &[]),
            1,
        ),
    ] {
        assert_eq!(problems(&bad).len(), count, "{:?}", problems(&bad));
    }
}
