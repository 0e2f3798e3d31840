//! The drawings of the page of usage: SVG without scripts, in the colours of the page.

use callmeter_meter::HourFigures;
use jiff::Timestamp;
use maud::{Markup, html};

use super::usage_figures::{ClientUsage, ShownCalls};

/// The size of the drawing of hours, which the page stretches to its own.
const WIDTH: i64 = 480;
const HEIGHT: i64 = 100;

/// The calls of each hour as bars: answered, and above them abandoned. What is hidden is 0.
pub(super) fn hours(hours: &[(i64, HourFigures)], shown: ShownCalls) -> Markup {
    let most = hours
        .iter()
        .map(|(_, figures)| figures.answered + figures.abandoned)
        .max()
        .unwrap_or(0)
        .max(1);
    let count = i64::try_from(hours.len()).unwrap_or(1).max(1);
    let step = WIDTH / count;
    let height = |calls: i64| calls * HEIGHT / most;
    html! {
        svg.hours viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label={ "Calls of each of the last " (count) " hours; the most in one hour are " (most) } {
            @for (place, (hour, figures)) in (0_i64..).zip(hours) {
                @let (answered, abandoned) = (height(figures.answered), height(figures.abandoned));
                g {
                    title { (hour_name(*hour)) ": " (calls_in_words(figures, shown)) }
                    // The whole column, so that the words appear wherever one points.
                    rect.column x=(place * step) y="0" width=(step) height=(HEIGHT) {}
                    rect.answered x=(place * step) y=(HEIGHT - answered) width=(step - 1) height=(answered) {}
                    rect.abandoned x=(place * step) y=(HEIGHT - answered - abandoned) width=(step - 1) height=(abandoned) {}
                }
            }
        }
    }
}

fn calls_in_words(figures: &HourFigures, shown: ShownCalls) -> String {
    let parts = [
        (shown.answered, figures.answered, "answered"),
        (shown.abandoned, figures.abandoned, "abandoned"),
    ];
    let parts = parts.into_iter().filter(|(shown, ..)| *shown);
    let parts = parts.map(|(_, calls, word)| format!("{calls} {word}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn hour_name(hour: i64) -> String {
    Timestamp::from_second(hour.saturating_mul(3_600))
        .map(|start| start.strftime("%a %H:00 UTC").to_string())
        .unwrap_or_default()
}

/// The share that a bar shows at its end: 120 %.
const FULL: f64 = 1.2;

/// What a client has used: a bar, with a line at the share of the period that has passed, and a dot
/// at the forecast.
pub(super) fn allowance(client: &ClientUsage, elapsed: Option<f64>) -> Markup {
    let place = |share: f64| format!("{:.1}", share.clamp(0.0, FULL) / FULL * 240.0);
    let class = match client.rank() {
        rank if rank > 1.0 => "bad",
        rank if rank > 0.9 => "waiting",
        _ => "good",
    };
    html! {
        svg.bar viewBox="0 0 240 16" preserveAspectRatio="none" role="img" aria-label=(words(client, elapsed)) {
            title { (words(client, elapsed)) }
            rect.track x="0" y="2" width=(place(1.0)) height="12" {}
            rect class={ "used " (class) } x="0" y="2" width=(place(client.used)) height="12" {}
            @if let Some(forecast) = client.forecast {
                rect class={ "forecast " (class) } x=(place(client.used)) y="6" height="4"
                    width=(format!("{:.1}", (place_of(forecast) - place_of(client.used)).max(0.0))) {}
            }
            @if let Some(elapsed) = elapsed {
                rect.elapsed x=(place(elapsed)) y="0" width="1.5" height="16" {}
            }
        }
    }
}

fn place_of(share: f64) -> f64 {
    share.clamp(0.0, FULL) / FULL * 240.0
}

fn words(client: &ClientUsage, elapsed: Option<f64>) -> String {
    let parts = [
        Some(format!("{} used", percent(client.used))),
        elapsed.map(|elapsed| format!("{} of the period elapsed", percent(elapsed))),
        client
            .forecast
            .map(|forecast| format!("{} at its end", percent(forecast))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    if share.is_infinite() {
        return "∞ %".to_owned();
    }
    format!("{:.0} %", share * 100.0)
}
