//! The family table as text and as the Markdown page `docs/METRICS.md`.

use std::fmt::Write as _;

use crate::families::FamilyId;
use crate::family::Source;
use crate::histogram::BOUNDS_SECONDS;

/// The page `docs/METRICS.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         <!-- Generated from the family table in `crates/meter` (`callmeter metrics --format markdown`); do not edit. -->\n\n\
         Money and durations are summed as integers and divided only for display. A duration that is missing or unreadable is counted in\n\
         `callmeter_call_values_missing_total` and nowhere else: unknown is not zero.\n\n",
    );
    for (title, text, sources) in [
        (
            "Totals",
            "Counted from the journal, and therefore unchanged by a restart. Shown while the account is configured.",
            &[Source::Totals][..],
        ),
        (
            "State",
            "The state of the account's polls. Shown while the account is configured.",
            &[Source::State],
        ),
        (
            "As of the last poll",
            "Values that the API last returned. Not shown while the account is stale: its last `stale_after` polls failed.",
            &[Source::Polled],
        ),
        (
            "The exporter itself",
            "They count from the start of the process, or from the moment when their account or output was added. The counters of polls\n\
             start at 0; other series with labels appear with their first event. The usual `process_*` metrics are exported too.",
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
                    family.metric_type.name(),
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
         - `client_id=\"unknown\"`: the API returned no id. An allowance of such a client is under `unknown: ` and the client's id in\n  \
           another system or its name. `allowance` is the allowance in words, as the API returns it, or `unknown`.\n\
         - A label value has at most 256 bytes. A longer one is shown as its beginning, `~` and a hash of the whole, so that two long\n  \
           values stay different. `callmeter_series_shortened` says how many series are affected.\n\
         - `client_id=\"other\"`: the account has more label sets than the cap allows, and\n  \
           the further ones are counted together. `callmeter_series_folded_total` counts these updates.\n\
         - Counters never decrease. An edit that lowers or moves a value of a counted call goes to `callmeter_call_corrections_seconds` or\n  \
           `callmeter_call_corrections_calls`. The current value is the total plus its correction, for example\n  \
           `callmeter_call_talk_seconds_sum + on (account, client_id, direction) callmeter_call_corrections_seconds{{field=\"talk\"}}`.\n\
         - A duration that is counted stays as it is while the API does not return it: there is nothing to correct it to.\n\
         - The classic buckets of the call histograms, in seconds: {}.\n  \
           In the protobuf format these histograms also have native buckets (schema 3: eight buckets per power of two).\n\
         - The call counters of a client start at 0, for incoming and for outgoing calls, as soon as the client is known.\n",
        bounds.join(", "),
    );
    page
}

/// The table as plain text, one paragraph per family.
pub fn text() -> String {
    let mut out = String::new();
    for family in FamilyId::ALL.iter().map(|id| id.family()) {
        let labels = family.labels.join(", ");
        let _ = writeln!(
            out,
            "{} ({}; {})\n    {}",
            family.name,
            family.metric_type.name(),
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

    /// With `CALLMETER_WRITE_DOCS=1` this writes the page first.
    #[test]
    fn the_page_in_docs_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
        if std::env::var_os("CALLMETER_WRITE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == markdown(),
            "docs/METRICS.md differs from the family table: run CALLMETER_WRITE_DOCS=1 cargo test -p callmeter-meter"
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
