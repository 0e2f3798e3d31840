//! Which days there are, which is read next, and what is proven.

use jiff::SignedDuration;
use jiff::civil::date;

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn rules(tail: bool) -> Rules {
    Rules {
        every: Duration::from_mins(1),
        lookback: DAY * 2,
        history: DAY * 3,
        audit: Duration::from_mins(15),
        has_tail: tail,
        all_each_poll: !tail,
    }
}

fn at(text: &str) -> Clocks {
    Clocks {
        local: text.parse().unwrap(),
        skew: None,
    }
}

fn coverage() -> Coverage {
    Coverage::new(TimeZone::UTC, Vec::new())
}

fn dates(coverage: &Coverage) -> Vec<i8> {
    coverage.dates().map(Date::day).collect()
}

fn reading(clocks: Clocks) -> Reading {
    Reading {
        started: clocks.earliest(),
        ..Reading::default()
    }
}

/// Reads all days that are due, in order.
fn read_all(coverage: &mut Coverage, clocks: Clocks, rules: &Rules) -> Vec<i8> {
    let mut order = Vec::new();
    let mut read = BTreeSet::new();
    while let Some(day) = coverage.next(clocks.local, clocks, rules, |day| read.contains(&day)) {
        read.insert(day);
        coverage.proven(day, &reading(clocks), clocks, rules);
        order.push(day.day());
    }
    order
}

fn until(coverage: &Coverage) -> Option<String> {
    let until = Timestamp::from_microsecond(coverage.proven_until()?).unwrap();
    Some(until.to_string())
}

#[test]
fn the_history_is_read_once_and_the_lookback_again() {
    let (mut coverage, rules) = (coverage(), rules(false));
    let noon = at("2026-08-06T12:00:00Z");
    coverage.update(noon, &rules, None);
    assert_eq!(dates(&coverage), [3, 4, 5, 6]);
    assert_eq!(read_all(&mut coverage, noon, &rules), [6, 3, 4, 5]);
    assert_eq!(until(&coverage).unwrap(), "2026-08-06T12:00:00Z");
    // The third is done, and each poll reads the others again.
    let later = at("2026-08-06T12:01:00Z");
    coverage.update(later, &rules, None);
    assert_eq!(read_all(&mut coverage, later, &rules), [6, 4, 5]);
}

#[test]
fn with_a_tail_days_are_due_at_their_intervals() {
    let (mut coverage, rules) = (coverage(), rules(true));
    let mut times = std::collections::BTreeMap::<i8, u32>::new();
    for minute in 0..(9 * 60) {
        let text: Timestamp = "2026-08-06T12:00:00Z".parse().unwrap();
        let clocks = Clocks {
            local: text + SignedDuration::from_mins(minute),
            skew: None,
        };
        coverage.update(clocks, &rules, None);
        for day in read_all(&mut coverage, clocks, &rules) {
            *times.entry(day).or_default() += 1;
        }
    }
    // Today 4 times an hour, yesterday every 90 minutes, older days every 9 hours.
    assert_eq!(times[&6], 9 * 4);
    assert_eq!(times[&5], 6);
    assert_eq!(times[&4], 1);
}

/// A reading ends after its poll has begun: the poll that begins when the interval is over still
/// reads the day again.
#[test]
fn the_time_that_a_reading_takes_delays_no_other() {
    for minutes in [1, 3] {
        let mut coverage = coverage();
        let rules = Rules {
            audit: Duration::from_mins(minutes),
            ..rules(true)
        };
        let begin = at("2026-08-06T12:00:00Z").local;
        let mut read_at = Vec::new();
        for minute in 0..=2 * i64::try_from(minutes).unwrap() {
            let started = begin + SignedDuration::from_mins(minute);
            let clocks = |local| Clocks { local, skew: None };
            coverage.update(clocks(started), &rules, None);
            let done = clocks(started + SignedDuration::from_secs(3));
            let mut read = BTreeSet::new();
            while let Some(day) = coverage.next(started, done, &rules, |day| read.contains(&day)) {
                read.insert(day);
                coverage.proven(day, &reading(clocks(started)), done, &rules);
            }
            if read.contains(&date(2026, 8, 6)) {
                read_at.push(minute.unsigned_abs());
            }
        }
        assert_eq!(read_at, [0, minutes, 2 * minutes]);
    }
}

#[test]
fn a_day_is_read_when_it_is_over() {
    let (mut coverage, rules) = (coverage(), rules(true));
    let evening = at("2026-08-06T23:50:00Z");
    coverage.update(evening, &rules, None);
    read_all(&mut coverage, evening, &rules);
    let midnight = at("2026-08-07T00:00:30Z");
    coverage.update(midnight, &rules, None);
    assert_eq!(read_all(&mut coverage, midnight, &rules), [7, 6]);
    assert_eq!(until(&coverage).unwrap(), "2026-08-07T00:00:30Z");
}

#[test]
fn a_day_that_fails_blocks_only_itself() {
    let (mut coverage, rules) = (coverage(), rules(true));
    let noon = at("2026-08-06T12:00:00Z");
    coverage.update(noon, &rules, None);
    let failing = date(2026, 8, 4);
    let mut polls = 0;
    for minute in 0..60 {
        let clocks = Clocks {
            local: noon.local + SignedDuration::from_mins(minute),
            skew: None,
        };
        let mut read = BTreeSet::new();
        while let Some(day) = coverage.next(clocks.local, clocks, &rules, |day| read.contains(&day))
        {
            read.insert(day);
            if day == failing {
                polls += 1;
                coverage.failed(day, "server error (500)".to_owned(), false, clocks, &rules);
            } else {
                coverage.proven(day, &reading(clocks), clocks, &rules);
            }
        }
    }
    assert!((6..=11).contains(&polls), "{polls} readings in an hour");
    assert_eq!(until(&coverage).unwrap(), "2026-08-04T00:00:00Z");
    let incomplete = coverage.incomplete(noon.local, noon, &rules);
    let expected = Incomplete {
        day: failing,
        asked: false,
        reason: "server error (500)".to_owned(),
    };
    assert_eq!(incomplete, [expected]);
    // Three weeks later it is still due.
    let later = at("2026-08-27T12:00:00Z");
    coverage.update(later, &rules, None);
    assert!(read_all(&mut coverage, later, &rules).contains(&4));
}

#[test]
fn an_absence_leaves_no_gap_and_a_clock_ahead_no_days() {
    let (mut coverage, rules) = (coverage(), rules(false));
    for (now, first, last) in [
        ("2026-08-06T12:00:00Z", date(2026, 8, 3), date(2026, 8, 6)),
        // The clock is a month ahead, is set right, and then callmeter does not run for a week.
        ("2026-09-05T12:00:00Z", date(2026, 9, 3), date(2026, 9, 5)),
        ("2026-08-06T12:10:00Z", date(2026, 8, 3), date(2026, 8, 6)),
        ("2026-08-13T12:00:00Z", date(2026, 8, 6), date(2026, 8, 13)),
    ] {
        let clocks = at(now);
        coverage.update(clocks, &rules, None);
        if clocks.local == at("2026-08-13T12:00:00Z").local {
            assert_eq!(coverage.dates().next(), Some(first), "{now}");
        }
        read_all(&mut coverage, clocks, &rules);
        coverage.update(clocks, &rules, None);
        assert_eq!(coverage.dates().last(), Some(last), "{now}");
        assert_eq!(until(&coverage).unwrap(), clocks.local.to_string());
    }
}

#[test]
fn a_day_is_over_when_it_is_by_both_clocks() {
    let (mut coverage, rules) = (coverage(), rules(false));
    let clocks = Clocks {
        skew: Some(SignedDuration::from_hours(-24 * 30)),
        ..at("2026-09-05T12:00:00Z")
    };
    coverage.update(clocks, &rules, None);
    read_all(&mut coverage, clocks, &rules);
    assert_eq!(until(&coverage).unwrap(), "2026-08-06T12:00:00Z");
}

#[test]
fn days_that_were_asked_for_come_last_and_hold_nothing_up() {
    let (mut coverage, rules) = (coverage(), rules(true));
    let noon = at("2026-08-06T12:00:00Z");
    let asked = date(2026, 1, 31);
    assert!(coverage.ask(asked, false));
    coverage.update(noon, &rules, None);
    assert_eq!(coverage.dates().count(), 1 + 4);
    assert_eq!(read_all(&mut coverage, noon, &rules), [6, 3, 4, 5, 31]);
    assert_eq!(until(&coverage).unwrap(), "2026-08-06T12:00:00Z");
    // It is remembered as read, unless it is to be read again.
    coverage.update(noon, &rules, None);
    assert!(!coverage.ask(asked, false));
    // It is not overdue because it is not read again.
    let next_day = at("2026-08-07T20:00:00Z");
    coverage.update(next_day, &rules, None);
    read_all(&mut coverage, next_day, &rules);
    let incomplete = coverage.incomplete(next_day.local, next_day, &rules);
    assert_eq!(incomplete, []);
    assert!(coverage.ask(asked, true));
    // Today is never read as a whole.
    assert!(coverage.ask(date(2026, 8, 7), false));
}

#[test]
fn with_another_zone_in_the_filter_a_day_needs_its_neighbours() {
    let (mut coverage, rules) = (coverage(), rules(false));
    let noon = at("2026-08-06T12:00:00Z");
    coverage.set_shifted();
    coverage.update(noon, &rules, None);
    assert_eq!(dates(&coverage), [2, 3, 4, 5, 6]);
    for day in [2, 3, 5, 6] {
        coverage.proven(date(2026, 8, day), &reading(noon), noon, &rules);
    }
    assert_eq!(until(&coverage).unwrap(), "2026-08-03T00:00:00Z");
}

#[test]
fn a_call_that_has_not_settled_keeps_its_day() {
    let (mut coverage, rules) = (coverage(), rules(true));
    let noon = at("2026-08-06T12:00:00Z");
    coverage.update(noon, &rules, None);
    let waits = |until: &str| Reading {
        waiting: 1,
        waits_until: Some(at(until).local.as_microsecond()),
        ..reading(noon)
    };
    let day = date(2026, 8, 3);
    coverage.proven(day, &waits("2026-08-06T13:00:00Z"), noon, &rules);
    coverage.update(noon, &rules, None);
    assert!(dates(&coverage).contains(&3));
    let due = coverage.entry(day).unwrap().due_at;
    assert_eq!(due, at("2026-08-06T13:00:00Z").local.as_microsecond());
}

proptest::proptest! {
    /// Whatever is stored of it, the coverage comes back as it was.
    #[test]
    fn numbers_of_days_are_dates(number in -100_000..100_000_i32) {
        proptest::prop_assert_eq!(number_of(date_of(number).unwrap()), number);
    }
}
