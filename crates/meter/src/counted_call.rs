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
}

impl Count {
    /// All counters, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Calls, Self::Unanswered, Self::Flagged];

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Unanswered => "unanswered",
            Self::Flagged => "flagged",
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
    pub(crate) unanswered: bool,
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
        let talked = times
            .get(CallField::Talk.index())
            .is_some_and(|talk| talk.is_some_and(|talk| talk > 0));
        Self {
            client: id(client).unwrap_or(UNKNOWN_ID),
            center: id(center).unwrap_or(UNKNOWN_ID),
            direction: Direction::of_type(call_type),
            unanswered: id(answered_by).is_none() && !talked,
            flagged: flagged.unwrap_or(false),
            times,
        }
    }

    /// Whether the call is counted under `count`.
    pub(crate) fn is(&self, count: Count) -> bool {
        match count {
            Count::Calls => true,
            Count::Unanswered => self.unanswered,
            Count::Flagged => self.flagged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unanswered_needs_neither_operator_nor_talk() {
        let call = |operator, talk| {
            let times = [None, None, None, talk, None, None];
            CountedCall::new(None, None, None, operator, None, times).unanswered
        };
        assert!(call(None, None));
        assert!(call(Some(""), Some(0)));
        assert!(!call(Some("Eve"), None));
        assert!(!call(None, Some(1)));
    }
}
