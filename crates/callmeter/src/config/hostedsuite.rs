//! Validation of an account at HostedSuite.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_saphyr::{Location, Spanned};

use super::checker::{Checker, DAY, HOUR, MINUTE, SECOND, place_of};
use super::link::{RawLink, link};
use super::model::{Balances, Calls, Clients, Format, HostedSuite, Rounding};
use super::problem::did_you_mean;
use super::raw::{self, Text};
use super::values::parse_duration;

pub(super) fn hosted_suite(
    check: &mut Checker<'_>,
    raw: &Spanned<raw::HostedSuite>,
    key: &str,
) -> Option<HostedSuite> {
    let at = raw.referenced;
    let raw = &raw.value;
    let link = link(check, at, key, &RawLink::from(raw));
    let customer = check
        .required(
            at,
            &format!("{key}.customer"),
            raw.customer.as_ref(),
            "the HostedSuite customer name of the sign-in page",
        )
        .map(|text| text.value.clone());
    let time_zone = time_zone(check, at, key, raw.time_zone.as_ref());
    let format = raw.format.as_ref().map_or(Some(Format::Json), |text| {
        let words = [("json", Format::Json), ("jsv", Format::Jsv)];
        check.word(&format!("{key}.format"), text, &words)
    });
    let calls = calls(check, raw.calls.as_ref(), &format!("{key}.calls"));
    let balances = balances(check, raw.balances.as_ref(), &format!("{key}.balances"));
    let clients = raw.clients.as_ref();
    let key = format!("{key}.clients");
    let every = clients.and_then(|c| c.every.as_ref());
    let enabled = clients.and_then(|c| c.enabled.as_ref());
    let every = check.duration(&format!("{key}.every"), every, HOUR, SECOND..=7 * DAY);
    let clients = check
        .boolean(&format!("{key}.enabled"), enabled, true)
        .then_some(Clients { every });
    Some(HostedSuite {
        link: link?,
        customer: customer?,
        time_zone: time_zone?,
        format: format?,
        calls,
        balances,
        clients,
    })
}

fn time_zone(
    check: &mut Checker<'_>,
    parent: Location,
    key: &str,
    text: Option<&Text>,
) -> Option<TimeZone> {
    let key = format!("{key}.time_zone");
    // There is no default: the API writes times without a zone, and a guess would move calls
    // between days without anyone noticing.
    let teach = "the zone of the times that HostedSuite shows, such as America/New_York or UTC";
    let text = check.required(parent, &key, text, teach)?;
    let zone = TimeZone::get(text.value.trim()).ok();
    if zone.is_none() {
        let known = jiff::tz::db().available();
        let hint = match did_you_mean(&text.value, known.map(|name| name.to_string())) {
            Some(name) => format!("did you mean {name:?}?"),
            None => "write it as Area/City, such as America/New_York, or UTC".to_owned(),
        };
        check.problem(
            Some(text.referenced),
            &key,
            format!("{:?} is not a time zone of the tz database", text.value),
            Some(hint),
        );
    }
    zone
}

fn calls(check: &mut Checker<'_>, raw: Option<&raw::Calls>, key: &str) -> Option<Calls> {
    let none = raw::Calls::default();
    let raw = raw.unwrap_or(&none);
    let of = |name: &str| format!("{key}.{name}");
    let page_base = raw.page_base.as_ref().and_then(|text| {
        let words = [("auto", None), ("0", Some(0)), ("1", Some(1))];
        check.word(&of("page_base"), text, &words).flatten()
    });
    let lookback = check.duration(
        &of("lookback"),
        raw.lookback.as_ref(),
        3 * DAY,
        MINUTE..=62 * DAY,
    );
    let calls = Calls {
        every: check.duration(&of("every"), raw.every.as_ref(), MINUTE, SECOND..=DAY),
        lookback,
        history: check.duration(
            &of("history"),
            raw.history.as_ref(),
            lookback,
            MINUTE..=3_650 * DAY,
        ),
        settle: check.duration(
            &of("settle"),
            raw.settle.as_ref(),
            2 * MINUTE,
            Duration::ZERO..=DAY,
        ),
        page_size: check.small(&of("page_size"), raw.page_size.as_ref(), 500, 1..=5_000),
        page_base,
        max_pages: check.small(&of("max_pages"), raw.max_pages.as_ref(), 2_000, 1..=100_000),
        max_rows: check.number(
            &of("max_rows"),
            raw.max_rows.as_ref(),
            500_000,
            1..=10_000_000,
        ),
        time_limit: check.duration(
            &of("time_limit"),
            raw.time_limit.as_ref(),
            10 * MINUTE,
            SECOND..=DAY,
        ),
    };
    if calls.settle > calls.lookback {
        check.problem(
            place_of(raw.settle.as_ref()).or(place_of(raw.lookback.as_ref())),
            &of("settle"),
            "is longer than lookback, so that calls would leave the window before they count",
            Some("make lookback several times as long as settle".to_owned()),
        );
    }
    if calls.history < calls.lookback {
        check.problem(
            place_of(raw.history.as_ref()).or(place_of(raw.lookback.as_ref())),
            &of("history"),
            "is shorter than lookback, which each later poll reaches back",
            Some("leave history out, or make it longer than lookback".to_owned()),
        );
    }
    check
        .boolean(&of("enabled"), raw.enabled.as_ref(), true)
        .then_some(calls)
}

/// A part of a call's time that may be billed.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Hold,
    Talk,
    Transfer,
    Ring,
}

fn balances(check: &mut Checker<'_>, raw: Option<&raw::Balances>, key: &str) -> Option<Balances> {
    let none = raw::Balances::default();
    let raw = raw.unwrap_or(&none);
    let of = |name: &str| format!("{key}.{name}");
    let words = [
        ("hold", Part::Hold),
        ("talk", Part::Talk),
        ("transfer", Part::Transfer),
        ("ring", Part::Ring),
    ];
    let parts: Vec<Part> = match &raw.bill {
        None => vec![Part::Talk],
        Some(list) => list
            .iter()
            .enumerate()
            .filter_map(|(index, text)| check.word(&format!("{key}.bill[{index}]"), text, &words))
            .collect(),
    };
    let rounding = raw.rounding.as_ref().and_then(|text| {
        let words = [
            ("none", Rounding::None),
            ("next_minute", Rounding::NextMinute),
            ("next_30_seconds", Rounding::Next30Seconds),
        ];
        check.word(&of("rounding"), text, &words)
    });
    let mut limit = |name: &str, text: Option<&Text>| {
        let text = text?;
        match parse_duration(&text.value) {
            Ok(duration) => Some(duration),
            Err(message) => {
                check.problem(Some(text.referenced), &of(name), message, None);
                None
            }
        }
    };
    let min_call_duration = limit("min_call_duration", raw.min_call_duration.as_ref());
    let max_call_duration = limit("max_call_duration", raw.max_call_duration.as_ref());
    if let (Some(min), Some(max)) = (min_call_duration, max_call_duration)
        && min > max
    {
        check.problem(
            place_of(raw.min_call_duration.as_ref()),
            &of("min_call_duration"),
            "is longer than max_call_duration",
            None,
        );
    }
    let start_day = check.small(
        &of("period_start_day"),
        raw.period_start_day.as_ref(),
        1,
        1..=28,
    );
    let balances = Balances {
        every: check.duration(&of("every"), raw.every.as_ref(), 5 * MINUTE, SECOND..=DAY),
        period_start_day: i8::try_from(start_day).unwrap_or(1),
        bill_hold: parts.contains(&Part::Hold),
        bill_talk: parts.contains(&Part::Talk),
        bill_transfer: parts.contains(&Part::Transfer),
        bill_ring: parts.contains(&Part::Ring),
        rounding: rounding.unwrap_or(Rounding::None),
        min_call_duration,
        max_call_duration,
    };
    check
        .boolean(&of("enabled"), raw.enabled.as_ref(), true)
        .then_some(balances)
}
