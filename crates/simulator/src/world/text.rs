//! The words in a call's record, drawn from its number when it is read.

use std::fmt;

use super::calls::{Direction, SimulatedCall};
use super::names;
use super::people::People;
use super::view::Facts;
use crate::faults::IdStyle;
use crate::random::{Purpose, below, draw};

/// A call's id: 32 hexadecimal digits that lead back to its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId {
    high: u64,
    low: u64,
}

impl CallId {
    pub(crate) fn new(seed: u64, index: usize) -> Self {
        let high = draw(seed, Purpose::Id, index as u64 | 1 << 63);
        let low = draw(seed, Purpose::Id, high).wrapping_add(index as u64);
        Self { high, low }
    }

    /// The index of the call with this id, if it is an id of this world.
    pub(crate) fn index(seed: u64, text: &str) -> Option<usize> {
        let text = text.replace(['-', '{', '}'], "");
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let high = u64::from_str_radix(text.get(..16)?, 16).ok()?;
        let low = u64::from_str_radix(text.get(16..)?, 16).ok()?;
        let index = usize::try_from(low.wrapping_sub(draw(seed, Purpose::Id, high))).ok()?;
        (Self::new(seed, index) == Self { high, low }).then_some(index)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.high, self.low)
    }
}

impl CallId {
    /// The id in a spelling that a server may change to.
    pub(crate) fn spelled(self, style: Option<IdStyle>) -> String {
        let plain = self.to_string();
        let Some(style) = style else { return plain };
        let text = match style {
            IdStyle::Capitals => plain,
            IdStyle::Dashes | IdStyle::Braces => [0..8, 8..12, 12..16, 16..20, 20..32]
                .map(|group| plain.get(group).unwrap_or_default())
                .join("-"),
        };
        match style {
            IdStyle::Dashes => text,
            IdStyle::Capitals => text.to_uppercase(),
            IdStyle::Braces => format!("{{{}}}", text.to_uppercase()),
        }
    }
}

/// Draws the words of one call.
pub(crate) struct Words<'a> {
    seed: u64,
    index: u64,
    call: &'a SimulatedCall,
    facts: &'a Facts,
    people: &'a People,
}

impl<'a> Words<'a> {
    pub(crate) fn new(
        seed: u64,
        index: usize,
        call: &'a SimulatedCall,
        facts: &'a Facts,
        people: &'a People,
    ) -> Self {
        Self {
            seed,
            index: index as u64,
            call,
            facts,
            people,
        }
    }

    /// Absent now and then, as for a withheld number.
    pub(crate) fn caller_name(&self) -> Option<&'a str> {
        (self.chance(0) >= 12).then(|| self.name(1))
    }

    pub(crate) fn caller_number(&self) -> Option<String> {
        (self.chance(2) >= 3).then(|| self.number(3))
    }

    pub(crate) fn transfer_to_name(&self) -> Option<&'a str> {
        (self.facts.transfer > 0).then(|| self.name(4))
    }

    pub(crate) fn transfer_to_number(&self) -> Option<String> {
        (self.facts.transfer > 0).then(|| self.number(5))
    }

    pub(crate) fn notes(&self) -> Option<&'static str> {
        if let Some(note) = self.facts.edited_note {
            return pick(&names::EDITED, note << 8);
        }
        match self.chance(6) {
            0..=34 => pick(&names::NOTES, self.bits(7)),
            35..=44 => Some(""),
            _ => None,
        }
    }

    pub(crate) fn answered_by(&self) -> Option<&'a str> {
        let name = self.people.names.get(usize::from(self.call.receptionist));
        name.map(String::as_str).filter(|_| self.facts.answered())
    }

    pub(crate) fn server(&self) -> Option<&'static str> {
        pick(&names::SERVERS, self.bits(8))
    }

    pub(crate) fn flag_notes(&self) -> Option<&'static str> {
        pick(&names::FLAGS, self.bits(9)).filter(|_| self.facts.flagged)
    }

    pub(crate) fn completed_form_ids(&self) -> Vec<String> {
        let forms = match self.chance(10) {
            0..=5 => 2,
            6..=24 => 1,
            _ => 0,
        };
        (0..forms)
            .map(|form| format!("f-{:06x}", self.bits(11 + form) >> 40))
            .collect()
    }

    /// What happened in the call: offset from its start in milliseconds, type
    /// and description.
    pub(crate) fn interactions(&self) -> Vec<(i64, &'static str, Option<&'a str>)> {
        let facts = self.facts;
        let mut at = i64::from(facts.ring);
        let mut happened = Vec::with_capacity(4);
        if facts.running {
            return happened;
        }
        if !facts.answered() {
            happened.push((at, "Hangup", Some("No answer")));
            return happened;
        }
        happened.push((at, "Answer", self.answered_by()));
        at += i64::from(facts.talk) / 2;
        let holds = i64::from(facts.hold_count);
        for _ in 0..holds {
            happened.push((at, "Hold", None));
            at += i64::from(facts.hold) / holds;
            happened.push((at, "Retrieved", None));
        }
        at = i64::from(facts.ring) + i64::from(facts.talk) + i64::from(facts.hold);
        if facts.transfer > 0 {
            happened.push((at, "TransferAttempt", self.transfer_to_name()));
            at += i64::from(facts.transfer);
            happened.push((at, "TransferCompleted", None));
        }
        let who = match self.call.direction {
            Direction::Outgoing => "Agent hung up",
            _ => "Caller hung up",
        };
        happened.push((at, "Hangup", Some(who)));
        happened
    }

    fn bits(&self, what: u64) -> u64 {
        draw(self.seed, Purpose::Text, self.index << 5 | what)
    }

    /// 0 to 99.
    fn chance(&self, what: u64) -> u64 {
        below(self.bits(what), 100)
    }

    fn name(&self, what: u64) -> &'a str {
        let names = &self.people.names;
        usize::try_from(below(self.bits(what), names.len() as u64))
            .ok()
            .and_then(|index| names.get(index))
            .map_or("", String::as_str)
    }

    fn number(&self, what: u64) -> String {
        let bits = self.bits(what);
        let subscriber = below(bits, 10_000_000);
        match bits & 7 {
            0 => format!("+4930{subscriber:07}"),
            1 => format!("+4420{subscriber:07}"),
            2 => format!(
                "({:03}) {:03}-{:04}",
                201 + bits % 700,
                subscriber / 10_000,
                subscriber % 10_000
            ),
            _ => format!("+1{:03}{subscriber:07}", 201 + (bits >> 3) % 700),
        }
    }
}

fn pick(words: &[&'static str], bits: u64) -> Option<&'static str> {
    let index = usize::try_from(below(bits, words.len() as u64)).ok()?;
    words.get(index).copied()
}
