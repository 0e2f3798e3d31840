//! The family table as text and as the Markdown page `docs/METRICS.md`.

use std::fmt::Write as _;

use crate::families::FamilyId;
use crate::family::Source;
use crate::histogram::{BOUNDS_SECONDS, BUCKETS};
use crate::view::View;

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
            "Counted from the journal, and therefore unchanged by a restart. Shown while the account is configured.\n\
             [Instances that share a journal](HIGH-AVAILABILITY.md#what-you-see) show the same totals.",
            &[Source::Totals][..],
        ),
        (
            "State",
            "The state of the account's polls. Shown while the account is configured. Of several instances, the one that polls the account shows the\n\
             gauges, and each shows the counters of its own polls.",
            &[Source::State],
        ),
        (
            "As of the last poll",
            "Values that the API last returned. Not shown while the account is stale: its last `stale_after` polls failed.\n\
             Of several instances, the one that polls the account shows them.",
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
    let shown: Vec<_> = View::default()
        .buckets(&[0; BUCKETS])
        .map(|(bound, _)| bound)
        .filter(|bound| bound.is_finite())
        .map(|bound| bound.to_string())
        .collect();
    let _ = write!(
        page,
        "## How to read them\n\n\
         - `direction` is `incoming`, `outgoing`, `transfer`, `other` (a type that callmeter does not know) or `unknown` (no type).\n\
         - `client_id=\"unknown\"`: the API returned no id. An allowance of such a client is under `unknown: ` and the client's id in\n  \
           another system or its name. `allowance` is the allowance in words, as the API returns it, or `unknown`.\n\
         - A label value has at most 256 bytes. A longer one is shown as its beginning, `~` and a hash of the whole, so that two long\n  \
           values stay different. `callmeter_series_shortened` says how many series are affected.\n\
         - `client_id=\"other\"`: the account has more label sets than the cap allows, and\n  \
           the further ones are counted together. `callmeter_series_folded_total` counts these updates. Charges and call rates\n  \
           beyond the cap have `rate_type=\"other\"`.\n\
         - Counters never decrease. An edit that lowers or moves a value of a counted call goes to `callmeter_call_corrections_seconds` or\n  \
           `callmeter_call_corrections_calls`. The current value is the total plus its correction. A label `field` or `count` names the\n  \
           family: `talk` is `callmeter_client_talk_seconds_total` and the sum of `callmeter_call_talk_seconds`, `abandoned` is\n  \
           `callmeter_calls_abandoned_total`, `answer` the sum and the count of `callmeter_call_answer_seconds`. For example:\n  \
           `callmeter_client_talk_seconds_total + on (account, client_id) sum by (account, client_id) (callmeter_call_corrections_seconds{{field=\"talk\"}})`.\n\
         - A duration that is counted stays as it is while the API does not return it: there is nothing to correct it to.\n\
         - An answered call names an operator or has a talk time above 0. An unanswered call has neither, and its talk time is known to be 0.\n  \
           Of all other calls it is unknown; they count in `callmeter_calls_answer_unknown_total` and in no ring time. An unanswered call\n  \
           whose ring time is unknown is not abandoned.\n\
         - Answered and unanswered calls have two families of ring times, not one with a label: a sum or a quantile over both answers no\n  \
           question, and would be what a query without a selector gives. Service level within 20 s, of incoming calls:\n  \
           `sum(rate(callmeter_call_answer_seconds_bucket{{le=\"20\",direction=\"incoming\"}}[1h])) /\n  \
           (sum(rate(callmeter_call_answer_seconds_count{{direction=\"incoming\"}}[1h])) + sum(rate(callmeter_calls_abandoned_total{{direction=\"incoming\"}}[1h])))`.\n  \
           In OpenMetrics and in Prometheus 3, the bucket is `le=\"20.0\"`. Short abandons are the count of\n  \
           `callmeter_call_abandon_seconds` minus `callmeter_calls_abandoned_total`.\n\
         - By default, clients have counters only, and only answer and abandon have histograms, by center and direction. `metrics` in the\n  \
           configuration shows more (see [CONFIGURATION.md](CONFIGURATION.md#metrics)). With `client_histograms`, the histograms,\n  \
           `callmeter_calls_abandoned_total` and `callmeter_calls_answer_unknown_total` have the label `client_id` too.\n\
         - The classic buckets of the call histograms, in seconds: {}. By default {} are shown.\n  \
           In the protobuf format these histograms also have native buckets (schema 3: eight buckets per power of two).\n\
         - The unit of an allowance is taken from its words (`calls`, `minutes`) or from the client list. A balance in another unit is not\n  \
           shown.\n\
         - The call counters of a client start at 0, for incoming and for outgoing calls, as soon as the client is known. Other series of\n  \
           totals begin with their first event: calls of other directions or of unknown clients, `callmeter_operator_…`,\n  \
           `callmeter_call_rates_changed_total` of a new rate type, `callmeter_charges_total`, `callmeter_charged_seconds_total` and\n  \
           `callmeter_calls_not_charged_total`. `increase()` leaves the first value of a new series out. Queries of the mixin add it for\n  \
           calls, rates and charges; those of the service level do not.\n  \
           So does Prometheus with `--enable-feature=created-timestamp-zero-ingestion`, which reads start times from the protobuf format.\n",
        bounds.join(", "),
        shown.join(", "),
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
