//! The family table for people: as text and as the Markdown page `docs/METRICS.md`.

use std::fmt::Write as _;

use crate::family::{FamilyId, Source};
use crate::histogram::BOUNDS_SECONDS;

/// The page `docs/METRICS.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         <!-- Written by `callmeter metrics --format markdown` from the family table in `crates/meter`; do not edit. -->\n\n\
         Money and durations are added up as integers and divided when written. A value that the API left out or that cannot be read is\n\
         counted in `callmeter_call_values_missing_total` and in nothing else: unknown is not zero.\n\n",
    );
    for (title, text, sources) in [
        (
            "Totals",
            "Counted from the journal: the same after a restart. They show while the account is configured.",
            &[Source::Totals][..],
        ),
        (
            "State",
            "How the account's polls stand. They show while the account is configured.",
            &[Source::State],
        ),
        (
            "As of the last poll",
            "What the API said last. They vanish when polls of the account fail again and again (`stale_after`).",
            &[Source::Polled],
        ),
        (
            "The exporter itself",
            "They start at 0 with the process. The `process_*` metrics that Prometheus users know come with them.",
            &[Source::Registry],
        ),
    ] {
        let _ = writeln!(page, "## {title}\n\n{text}\n");
        page.push_str("| metric | type | labels | meaning |\n|---|---|---|---|\n");
        for family in FamilyId::ALL.iter().map(|id| id.family()) {
            if sources.contains(&family.source) {
                let labels: Vec<_> = family.labels.iter().map(|one| format!("`{one}`")).collect();
                let _ = writeln!(
                    page,
                    "| `{}` | {} | {} | {} |",
                    family.name,
                    family.kind.name(),
                    labels.join(", "),
                    family.help.replace('|', "\\|"),
                );
            }
        }
        page.push('\n');
    }
    let bounds: Vec<_> = BOUNDS_SECONDS.iter().map(ToString::to_string).collect();
    let _ = write!(
        page,
        "## How to read them\n\n\
         - `direction` is `incoming`, `outgoing`, `transfer`, `other` (a type that callmeter does not know) or `unknown` (no type).\n\
         - `client_id=\"unknown\"`: the API left the id out. `client_id=\"other\"`: the account has more label sets than the cap allows;\n  \
           the rest is counted together, and `callmeter_series_folded_total` counts such updates.\n\
         - Counters never go down. An edit of a call that lowers or moves a value shows in `callmeter_call_corrections_seconds` and\n  \
           `callmeter_call_corrections_calls`; the present truth is the total plus its correction, for example\n  \
           `callmeter_call_talk_seconds_sum + on (account, client_id, direction) callmeter_call_corrections_seconds{{field=\"talk\"}}`.\n\
         - Classic buckets of the calls' histograms, in seconds: {}. Over protobuf the same histograms come with native buckets too\n  \
           (schema 3: eight to a doubling).\n\
         - A client's calls counters show at 0 for incoming and outgoing calls as soon as the client is known.\n",
        bounds.join(", "),
    );
    page
}

/// The table as plain text, one family to a paragraph.
pub fn text() -> String {
    let mut out = String::new();
    for family in FamilyId::ALL.iter().map(|id| id.family()) {
        let labels = family.labels.join(", ");
        let _ = writeln!(
            out,
            "{} ({}; {})\n    {}",
            family.name,
            family.kind.name(),
            if labels.is_empty() {
                "no labels"
            } else {
                &labels
            },
            family.help,
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With `CALLMETER_WRITE_DOCS=1` the page is written instead of compared.
    #[test]
    fn the_page_in_docs_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
        if std::env::var_os("CALLMETER_WRITE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == markdown(),
            "docs/METRICS.md is not what the table says: run CALLMETER_WRITE_DOCS=1 cargo test -p callmeter-meter"
        );
    }

    #[test]
    fn every_family_is_on_the_page() {
        let page = markdown();
        for id in FamilyId::ALL {
            assert!(page.contains(&format!("| `{}` |", id.family().name)));
        }
    }
}
