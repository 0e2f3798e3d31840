//! Validation of an account at HostedSuite.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::link::link;
use super::model::{Balances, Calls, Clients, Format, HostedSuite, Rounding};
use yaml_sections::did_you_mean;
use yaml_sections::{DAY, HOUR, MINUTE, SECOND, Section};

pub(super) fn hosted_suite(suite: &mut Section<'_>) -> Option<HostedSuite> {
    let link = link(suite, "https://cpo.hostedsuite.com/api");
    let teach = "the HostedSuite customer name of the sign-in page";
    let customer = suite.required("customer", teach);
    let time_zone = time_zone(suite);
    let formats = [("json", Format::Json), ("jsv", Format::Jsv)];
    let format = suite.word("format", Format::Json, &formats);
    let calls = suite
        .section("calls")
        .and_then(|mut section| calls(&mut section));
    let balances = suite
        .section("balances")
        .and_then(|mut section| balances(&mut section));
    let clients = suite.section("clients").and_then(|mut clients| {
        let every = clients.duration("every", HOUR, SECOND..=7 * DAY);
        let enabled = clients.boolean("enabled", true);
        enabled.then_some(Clients { every })
    });
    Some(HostedSuite {
        link: link?,
        customer: customer?.value,
        time_zone: time_zone?,
        format,
        calls,
        balances,
        clients,
    })
}

fn time_zone(suite: &mut Section<'_>) -> Option<TimeZone> {
    // There is no default: the API writes times without a zone, and a wrong zone would move calls
    // between days unnoticed.
    let teach = "the zone of the times that HostedSuite shows, such as America/New_York or UTC";
    let text = suite.required("time_zone", teach)?.value;
    let zone = TimeZone::get(text.trim()).ok();
    if zone.is_none() {
        let known = jiff::tz::db().available();
        let hint = match did_you_mean(&text, known.map(|name| name.to_string())) {
            Some(name) => format!("did you mean {name:?}?"),
            None => "write it as Area/City, such as America/New_York, or UTC".to_owned(),
        };
        let message = format!("{text:?} is not a time zone of the tz database");
        suite.mistake("time_zone", message, Some(hint));
    } else if let Some(why) = unlikely_zone(text.trim()) {
        suite.problems().warning(
            suite.place("time_zone"),
            &suite.key_of("time_zone"),
            format!("{text:?} {why}"),
        );
    }
    zone
}

/// Why a zone is probably not the one that was meant; `None` for most zones.
fn unlikely_zone(name: &str) -> Option<&'static str> {
    match name.to_ascii_uppercase().as_str() {
        "EST" => Some("has no daylight saving time; New York's zone is America/New_York"),
        "MST" => Some("has no daylight saving time; Denver's zone is America/Denver"),
        "HST" => Some("has no daylight saving time; Honolulu's zone is Pacific/Honolulu"),
        "GMT" => Some("has no daylight saving time; London's zone is Europe/London"),
        name if name.starts_with("ETC/GMT+") || name.starts_with("ETC/GMT-") => Some(
            "has no daylight saving time, and its sign is reversed: Etc/GMT+5 is 5 hours behind UTC",
        ),
        _ => None,
    }
}

fn calls(section: &mut Section<'_>) -> Option<Calls> {
    let page_bases = [("auto", None), ("0", Some(0)), ("1", Some(1))];
    let lookback = section.duration("lookback", 3 * DAY, MINUTE..=62 * DAY);
    let calls = Calls {
        every: section.duration("every", MINUTE, SECOND..=DAY),
        lookback,
        history: section.duration("history", lookback, MINUTE..=3_650 * DAY),
        settle: section.duration("settle", 2 * MINUTE, Duration::ZERO..=DAY),
        page_size: section.number("page_size", 500, 1..=5_000),
        page_base: section.word("page_base", None, &page_bases),
        max_pages: section.number("max_pages", 2_000, 1..=100_000),
        max_rows: section.number("max_rows", 500_000, 1..=10_000_000),
        time_limit: section.duration("time_limit", 10 * MINUTE, SECOND..=DAY),
        tail: section.word("tail", true, &[("auto", true), ("off", false)]),
        audit: section.duration("audit", 15 * MINUTE, SECOND..=DAY),
        max_requests_per_minute: section.number("max_requests_per_minute", 30, 1..=100_000),
    };
    let enabled = section.boolean("enabled", true);
    let either = |name: &'static str| match section.place(name) {
        Some(place) => Some(place),
        None => section.place("lookback"),
    };
    if calls.settle > calls.lookback {
        section.problems().mistake(
            either("settle"),
            &section.key_of("settle"),
            "is longer than lookback, so that calls would leave the window before they count",
            Some("make lookback several times as long as settle".to_owned()),
        );
    }
    if calls.history < calls.lookback {
        section.problems().mistake(
            either("history"),
            &section.key_of("history"),
            "is shorter than lookback, which every later poll reads again",
            Some("remove history, or make it longer than lookback".to_owned()),
        );
    }
    enabled.then_some(calls)
}

/// A part of a call's time that may be billed.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Hold,
    Talk,
    Transfer,
    Ring,
}

fn balances(section: &mut Section<'_>) -> Option<Balances> {
    let words = [
        ("hold", Part::Hold),
        ("talk", Part::Talk),
        ("transfer", Part::Transfer),
        ("ring", Part::Ring),
    ];
    let parts: Vec<Part> = if section.node("bill").is_none() {
        vec![Part::Talk]
    } else {
        let texts = section.texts("bill").unwrap_or_default();
        texts
            .iter()
            .filter_map(|text| section.word_of(text, &words))
            .collect()
    };
    let roundings = [
        ("none", Rounding::None),
        ("next_minute", Rounding::NextMinute),
        ("next_30_seconds", Rounding::Next30Seconds),
    ];
    let balances = Balances {
        every: section.duration("every", 5 * MINUTE, SECOND..=DAY),
        period_start_day: section.number("period_start_day", 1, 1..=28),
        bill_hold: parts.contains(&Part::Hold),
        bill_talk: parts.contains(&Part::Talk),
        bill_transfer: parts.contains(&Part::Transfer),
        bill_ring: parts.contains(&Part::Ring),
        rounding: section.word("rounding", Rounding::None, &roundings),
        min_call_duration: section.optional_duration("min_call_duration"),
        max_call_duration: section.optional_duration("max_call_duration"),
    };
    if let (Some(min), Some(max)) = (balances.min_call_duration, balances.max_call_duration)
        && min > max
    {
        section.mistake(
            "min_call_duration",
            "is longer than max_call_duration",
            None,
        );
    }
    let enabled = section.boolean("enabled", true);
    enabled.then_some(balances)
}
