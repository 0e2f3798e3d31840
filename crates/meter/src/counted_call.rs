//! The parts of a call that the meter counts: its labels, whether it was answered, its times.

use callmeter_records::{CallField, Direction};

use crate::bucket_of::Observation;
use crate::rules::Rules;

/// Every client's call counters start at 0 for these directions.
pub(crate) const EXPECTED_DIRECTIONS: [Direction; 2] = [Direction::Incoming, Direction::Outgoing];

/// A counter of calls: a value of the label `count` of `callmeter_call_corrections_calls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// `calls_total`
    Calls,
    /// `calls_unanswered_total`
    Unanswered,
    /// `calls_flagged_total`
    Flagged,
    /// `calls_answer_unknown_total`
    AnswerUnknown,
    /// `calls_abandoned_total`
    Abandoned,
    /// The count of the histogram `call_answer_seconds`
    AnswerTime,
    /// The count of the histogram `call_abandon_seconds`
    AbandonTime,
}

impl Count {
    /// All counters, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::Calls,
        Self::Unanswered,
        Self::Flagged,
        Self::AnswerUnknown,
        Self::Abandoned,
        Self::AnswerTime,
        Self::AbandonTime,
    ];

    /// Those with a counter of their own. Histograms count the others.
    pub(crate) const COUNTERS: usize = 5;

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Unanswered => "unanswered",
            Self::Flagged => "flagged",
            Self::AnswerUnknown => "answer_unknown",
            Self::Abandoned => "abandoned",
            Self::AnswerTime => "answer",
            Self::AbandonTime => "abandon",
        }
    }
}

/// A time of a call that is summed: a value of the label `field` of
/// `callmeter_call_corrections_seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallTime {
    /// A duration that the API lists.
    Field(CallField),
    /// The ring time of a call that somebody answered.
    Answer,
    /// The ring time of a call that nobody answered.
    Abandon,
}

impl CallTime {
    /// All times. The first ones are [`CallField::ALL`].
    pub const ALL: [Self; 8] = [
        Self::Field(CallField::Duration),
        Self::Field(CallField::Ring),
        Self::Field(CallField::Hold),
        Self::Field(CallField::Talk),
        Self::Field(CallField::Transfer),
        Self::Field(CallField::Work),
        Self::Answer,
        Self::Abandon,
    ];

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Self::Field(field) => field.name(),
            Self::Answer => "answer",
            Self::Abandon => "abandon",
        }
    }

    /// Its place in [`ALL`](Self::ALL).
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Field(field) => field.index(),
            Self::Answer => 6,
            Self::Abandon => 7,
        }
    }
}

/// The label value of an id that the API left out.
pub const UNKNOWN_ID: &str = "unknown";

/// A call as the meter counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountedCall<'a> {
    pub(crate) client: &'a str,
    pub(crate) center: &'a str,
    pub(crate) direction: Direction,
    /// Whether somebody answered; `None` is unknown.
    pub(crate) answered: Option<bool>,
    pub(crate) flagged: bool,
    /// Milliseconds by [`CallField`]; `None` is unknown, which is not 0.
    pub(crate) times: [Option<i64>; 6],
    /// Who answered, if the API says so.
    pub(crate) answered_by: Option<&'a str>,
    pub(crate) rules: Rules,
}

impl<'a> CountedCall<'a> {
    /// Takes these parts from a call record.
    pub(crate) fn new(
        client: Option<&'a str>,
        center: Option<&'a str>,
        call_type: Option<&str>,
        answered_by: Option<&'a str>,
        flagged: Option<bool>,
        times: [Option<i64>; 6],
        rules: Rules,
    ) -> Self {
        let id = |text: Option<&'a str>| text.filter(|text| !text.is_empty());
        // A negative duration would make a counter decrease: treat it as unknown.
        let times = times.map(|time| time.filter(|time| *time >= 0));
        let talk = times.get(CallField::Talk.index()).copied().flatten();
        let answered = match id(answered_by) {
            Some(_) => Some(true),
            None => talk.map(|talk| talk > 0),
        };
        Self {
            client: id(client).unwrap_or(UNKNOWN_ID),
            center: id(center).unwrap_or(UNKNOWN_ID),
            direction: Direction::of_type(call_type),
            answered,
            flagged: flagged.unwrap_or(false),
            times,
            answered_by: id(answered_by),
            rules,
        }
    }

    /// One of its times in milliseconds; `None` if it is unknown or the call has none of the kind.
    pub(crate) fn time(&self, time: CallTime) -> Option<i64> {
        let of = |field: CallField| self.times.get(field.index()).copied().flatten();
        match time {
            CallTime::Field(field) => of(field),
            CallTime::Answer => of(CallField::Ring).filter(|_| self.answered == Some(true)),
            CallTime::Abandon => of(CallField::Ring).filter(|_| self.answered == Some(false)),
        }
    }

    /// Its times with their buckets, in the order of [`CallTime::ALL`].
    pub(crate) fn observations(&self) -> [Option<Observation>; CallTime::ALL.len()] {
        // One by one: `map` copies the array.
        let of = |time: Option<i64>| time.map(Observation::of);
        let [duration, ring, hold, talk, transfer, work] = self.times;
        let (duration, ring, hold) = (of(duration), of(ring), of(hold));
        let (talk, transfer, work) = (of(talk), of(transfer), of(work));
        let answer = ring.filter(|_| self.answered == Some(true));
        let abandon = ring.filter(|_| self.answered == Some(false));
        [duration, ring, hold, talk, transfer, work, answer, abandon]
    }

    /// What it adds to each counter, in the order of [`Count::ALL`].
    pub(crate) fn counters(&self) -> [u64; Count::COUNTERS] {
        let of = |count| u64::from(self.is(count));
        [
            of(Count::Calls),
            of(Count::Unanswered),
            of(Count::Flagged),
            of(Count::AnswerUnknown),
            of(Count::Abandoned),
        ]
    }

    /// Whether the call is counted under `count`.
    pub(crate) fn is(&self, count: Count) -> bool {
        match count {
            Count::Calls => true,
            Count::Unanswered => self.answered == Some(false),
            Count::Flagged => self.flagged,
            Count::AnswerUnknown => self.answered.is_none(),
            Count::Abandoned => {
                let rang = self.time(CallTime::Abandon);
                rang.is_some_and(|rang| rang > self.rules.short_abandon_ms)
            }
            Count::AnswerTime => self.time(CallTime::Answer).is_some(),
            Count::AbandonTime => self.time(CallTime::Abandon).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(short_abandon_ms: i64) -> Rules {
        Rules {
            short_abandon_ms,
            operators: false,
            sequence: 0,
        }
    }

    #[test]
    fn a_call_is_unanswered_only_if_its_talk_time_is_known_to_be_zero() {
        let answered = |operator, talk| {
            let times = [None, None, None, talk, None, None];
            CountedCall::new(None, None, None, operator, None, times, rules(0)).answered
        };
        assert_eq!(answered(None, None), None);
        assert_eq!(answered(None, Some(-1)), None);
        assert_eq!(answered(Some(""), Some(0)), Some(false));
        assert_eq!(answered(Some("Eve"), None), Some(true));
        assert_eq!(answered(None, Some(1)), Some(true));
    }

    #[test]
    fn observations_are_the_times_and_counters_the_counts() {
        for (ring, talk) in [
            (None, None),
            (Some(7_000), None),
            (Some(9), Some(0)),
            (Some(6_000), Some(8)),
        ] {
            let times = [Some(1), ring, None, talk, Some(0), Some(3)];
            let call = CountedCall::new(None, None, None, None, Some(true), times, rules(5));
            let observed = call.observations();
            for (time, observed) in CallTime::ALL.into_iter().zip(observed) {
                assert_eq!(
                    observed.map(|one| one.milliseconds),
                    call.time(time),
                    "{time:?}"
                );
            }
            for (count, counted) in Count::ALL.into_iter().zip(call.counters()) {
                assert_eq!(counted == 1, call.is(count), "{count:?}");
            }
        }
    }

    #[test]
    fn a_call_is_abandoned_if_nobody_answered_and_it_rang_longer_than_a_short_one() {
        let is = |ring, talk| {
            let times = [None, ring, None, talk, None, None];
            let call = CountedCall::new(None, None, None, None, None, times, rules(5_000));
            [Count::Abandoned, Count::AnswerTime, Count::AbandonTime].map(|count| call.is(count))
        };
        assert_eq!(is(Some(5_000), Some(0)), [false, false, true]);
        assert_eq!(is(Some(5_001), Some(0)), [true, false, true]);
        assert_eq!(is(Some(9_000), Some(1)), [false, true, false]);
        // What is unknown is neither answered nor abandoned, nor does it ring for 0 seconds.
        assert_eq!(is(Some(9_000), None), [false; 3]);
        assert_eq!(is(None, Some(0)), [false; 3]);
    }
}
