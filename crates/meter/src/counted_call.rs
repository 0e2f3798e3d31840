//! The parts of a call that the meter counts: its labels, whether it was answered, its times.

use callmeter_records::{CallField, Direction};

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
}

impl Count {
    /// All counters, in the order of declaration.
    pub const ALL: [Self; 4] = [
        Self::Calls,
        Self::Unanswered,
        Self::Flagged,
        Self::AnswerUnknown,
    ];

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Unanswered => "unanswered",
            Self::Flagged => "flagged",
            Self::AnswerUnknown => "answer_unknown",
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
        }
    }

    /// Whether the call is counted under `count`.
    pub(crate) fn is(&self, count: Count) -> bool {
        match count {
            Count::Calls => true,
            Count::Unanswered => self.answered == Some(false),
            Count::Flagged => self.flagged,
            Count::AnswerUnknown => self.answered.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_unanswered_only_if_its_talk_time_is_known_to_be_zero() {
        let answered = |operator, talk| {
            let times = [None, None, None, talk, None, None];
            CountedCall::new(None, None, None, operator, None, times).answered
        };
        assert_eq!(answered(None, None), None);
        assert_eq!(answered(None, Some(-1)), None);
        assert_eq!(answered(Some(""), Some(0)), Some(false));
        assert_eq!(answered(Some("Eve"), None), Some(true));
        assert_eq!(answered(None, Some(1)), Some(true));
    }
}
