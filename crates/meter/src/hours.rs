//! The calls of each of the last hours, by the hour in which they started: what the page of usage
//! draws. Bounded, and a function of the journal's rows like all totals.

use std::collections::BTreeMap;

use crate::counted_call::{CallTime, Count, CountedCall};

/// How many hours are kept, up to the newest that has calls.
pub const HOURS_KEPT: i64 = 49;

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// A call that was answered within this time counts as answered in time, in milliseconds.
pub const IN_TIME_MS: i64 = 20_000;

/// The incoming calls that started in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourFigures {
    /// Calls that somebody answered and whose ring time is known.
    pub answered: i64,
    /// Those of them that were answered in time.
    pub in_time: i64,
    /// Calls that nobody answered, except those that rang for a short time only.
    pub abandoned: i64,
}

/// The hours with calls, by hours since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hours(pub(crate) BTreeMap<i64, HourFigures>);

impl Hours {
    /// Adds a call (`sign` 1), or takes away one that was edited (-1).
    pub(crate) fn add(
        &mut self,
        call: &CountedCall<'_>,
        start: Option<i64>,
        observed_at: i64,
        sign: i64,
    ) {
        let Some(hour) = start.map(|start| start.div_euclid(HOUR)) else {
            return;
        };
        let newest = self.0.last_key_value().map_or(hour, |(last, _)| *last);
        // A start in the future would push all other hours out.
        if call.direction != callmeter_records::Direction::Incoming
            || hour > observed_at.div_euclid(HOUR)
            || hour <= newest - HOURS_KEPT
        {
            return;
        }
        // Calls come in the order of their starts, mostly.
        let newest_figures = self.0.last_entry().filter(|last| *last.key() == hour);
        let figures = match newest_figures {
            Some(last) => last.into_mut(),
            None => self.0.entry(hour).or_default(),
        };
        let answered = call.time(CallTime::Answer);
        figures.answered += sign * i64::from(answered.is_some());
        figures.in_time += sign * i64::from(answered.is_some_and(|rang| rang <= IN_TIME_MS));
        figures.abandoned += sign * i64::from(call.is(Count::Abandoned));
        if hour > newest {
            self.0 = self.0.split_off(&(hour - HOURS_KEPT + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;

    #[test]
    fn hours_are_bounded_and_old_and_future_calls_change_nothing() {
        let rules = Rules {
            short_abandon_ms: 5_000,
            operators: false,
            sequence: 0,
        };
        let times = [None, Some(9_000), None, Some(1_000), None, None];
        let call = CountedCall::new(None, None, Some("Incoming"), None, None, times, rules);
        let mut hours = Hours::default();
        let now = 1_000 * HOUR;
        hours.add(&call, Some(10 * HOUR), now, 1);
        hours.add(&call, Some(now), now, 1);
        hours.add(&call, Some(now + HOUR), now, 1);
        hours.add(&call, Some(now - (HOURS_KEPT - 1) * HOUR), now, 1);
        hours.add(&call, Some(now - HOURS_KEPT * HOUR), now, 1);
        hours.add(&call, None, now, 1);
        let kept: Vec<i64> = hours.0.keys().copied().collect();
        assert_eq!(kept, [1_000 - HOURS_KEPT + 1, 1_000]);
        hours.add(&call, Some(now), now, -1);
        assert_eq!(hours.0.get(&1_000), Some(&HourFigures::default()));
    }
}
