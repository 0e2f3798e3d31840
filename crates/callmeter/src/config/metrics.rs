//! Validation of what is counted and shown.

use std::collections::BTreeSet;
use std::time::Duration;

use callmeter_meter::{
    BOUNDS_MS, DEFAULT_BOUNDS_MS, DEFAULT_HISTOGRAMS, FamilyId, HISTOGRAMS, OPTIONAL_LABELS, View,
};

use super::model::Metrics;
use yaml_sections::{MINUTE, Section};
use yaml_sections::{format_duration, parse_duration};

pub(super) fn metrics(root: &mut Section<'_>) -> Option<Metrics> {
    let mut metrics = root.section("metrics")?;
    let short = Duration::ZERO..=10 * MINUTE;
    Some(Metrics {
        max_label_sets: metrics.number("max_label_sets", 20_000, 1..=2_000_000),
        created_timestamps: metrics.boolean("created_timestamps", false),
        short_abandon: metrics.duration("short_abandon", Duration::from_secs(5), short),
        answered_by: metrics.boolean("answered_by", false),
        view: view(&mut metrics),
    })
}

fn view(metrics: &mut Section<'_>) -> View {
    let histograms = HISTOGRAMS.map(|(name, _)| (name, name));
    let shown = words(metrics, "histograms", &histograms);
    let shown = shown.unwrap_or_else(|| DEFAULT_HISTOGRAMS.to_vec());
    let not_shown = HISTOGRAMS
        .into_iter()
        .filter(|(name, _)| !shown.contains(name));
    let mut hidden: BTreeSet<FamilyId> = not_shown.map(|(_, family)| family).collect();
    let families: Vec<_> = FamilyId::ALL
        .iter()
        .map(|id| (id.family().name, *id))
        .collect();
    hidden.extend(words(metrics, "hide", &families).unwrap_or_default());
    let labels = OPTIONAL_LABELS.map(|label| (label, label));
    View {
        hidden,
        client_histograms: metrics.boolean("client_histograms", false),
        bounds: bounds(metrics),
        native_only: metrics.boolean("native_only", false),
        left_out: words(metrics, "leave_out", &labels).unwrap_or_default(),
    }
}

/// The meanings of the words of a list; `None` if there is no list.
fn words<T: Copy>(
    metrics: &mut Section<'_>,
    name: &'static str,
    words: &[(&str, T)],
) -> Option<Vec<T>> {
    metrics.node(name)?;
    let texts = metrics.texts(name)?;
    let meanings = texts.iter().filter_map(|text| metrics.word_of(text, words));
    Some(meanings.collect())
}

/// The buckets that are shown. All calls are counted in each of a fixed list, so that a change of
/// the choice changes no count.
fn bounds(metrics: &mut Section<'_>) -> [bool; BOUNDS_MS.len()] {
    let default = BOUNDS_MS.map(|bound| DEFAULT_BOUNDS_MS.contains(&bound));
    if metrics.node("buckets").is_none() {
        return default;
    }
    let mut shown = [false; BOUNDS_MS.len()];
    let known = || {
        let bounds = BOUNDS_MS.map(|bound| {
            let milliseconds = u64::try_from(bound).unwrap_or_default();
            format_duration(Duration::from_millis(milliseconds))
        });
        format!("one of: {}", bounds.join(", "))
    };
    for text in metrics.texts("buckets").unwrap_or_default() {
        let milliseconds = parse_duration(&text.value).map(|bound| bound.as_millis());
        let place = milliseconds.as_ref().ok().and_then(|bound| {
            let mut bounds = BOUNDS_MS.iter();
            bounds.position(|one| u128::try_from(*one) == Ok(*bound))
        });
        if let Some(slot) = place.and_then(|place| shown.get_mut(place)) {
            *slot = true;
            continue;
        }
        let message = match milliseconds {
            Ok(_) => format!("{:?} is not the bound of a bucket", text.value),
            Err(message) => message,
        };
        let at = Some(text.at);
        let problems = metrics.problems();
        problems.mistake(at, &text.key, message, Some(known()));
    }
    shown
}
