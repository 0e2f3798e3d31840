//! The calls that a reader sees at a simulated time.

use super::calls::{LONGEST_CALL_MS, SimulatedCall};
use super::world::World;
use crate::faults::{Edits, Faults, Late, Timeline};
use crate::random::{Purpose, below, draw, selects};

/// The active faults, and the history of those that change records for good.
#[derive(Debug)]
pub(crate) struct RecordFaults {
    pub(crate) now: Faults,
    late: Timeline<Option<Late>>,
    edits: Timeline<Option<Edits>>,
}

impl RecordFaults {
    pub(crate) fn new(faults: Faults) -> Self {
        Self {
            late: Timeline::new(faults.late),
            edits: Timeline::new(faults.edits),
            now: faults,
        }
    }

    pub(crate) fn set(&mut self, now: i64, faults: Faults) {
        self.late.set(now, faults.late);
        self.edits.set(now, faults.edits);
        self.now = faults;
    }
}

/// The world at a time.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) world: &'a World,
    pub(crate) faults: &'a RecordFaults,
    /// In milliseconds since 1970.
    pub(crate) now: i64,
}

/// A call as it reads at a time, with its edits. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) ring: u32,
    pub(crate) hold: u32,
    pub(crate) talk: u32,
    pub(crate) transfer: u32,
    pub(crate) work: u32,
    pub(crate) hold_count: u8,
    pub(crate) flagged: bool,
    /// Selects the note that an edit has written.
    pub(crate) edited_note: Option<u64>,
}

impl Facts {
    pub(crate) fn duration(&self) -> u32 {
        self.ring + self.hold + self.talk + self.transfer
    }

    pub(crate) fn answered(&self) -> bool {
        self.talk > 0
    }
}

impl<'a> View<'a> {
    /// All calls before this index have appeared, even late ones.
    pub(crate) fn all_visible_before(&self) -> usize {
        let latest = (self.faults.late.values().flatten())
            .map(|late| i64::from(late.within_seconds) * 1_000)
            .max()
            .unwrap_or(0);
        let horizon = self.now - LONGEST_CALL_MS - latest;
        (self.world.calls()).partition_point(|call| call.start <= horizon)
    }

    /// When a call appears, in milliseconds since 1970.
    pub(crate) fn appears(&self, index: usize, call: &SimulatedCall) -> i64 {
        let end = call.end();
        match self.faults.late.at(end).flatten() {
            Some(late) if selects(late.rate, late.seed, Purpose::Late, index as u64) => {
                let bits = draw(!late.seed, Purpose::Late, index as u64);
                let within = u64::from(late.within_seconds) * 1_000;
                end + 1 + below(bits, within).cast_signed()
            }
            _ => end,
        }
    }

    pub(crate) fn is_visible(&self, index: usize, call: &SimulatedCall) -> bool {
        self.appears(index, call) <= self.now
    }

    /// The visible calls that started in `from..=until`, with their index, in
    /// the order of their start.
    pub(crate) fn visible(
        &self,
        from: i64,
        until: i64,
    ) -> impl Iterator<Item = (usize, &'a SimulatedCall)> + '_ {
        let calls = self.world.calls();
        let first = calls.partition_point(|call| call.start < from);
        let settled = self.all_visible_before();
        calls
            .iter()
            .enumerate()
            .skip(first)
            .take_while(move |(_, call)| call.start <= until.min(self.now))
            .filter(move |(index, call)| *index < settled || self.is_visible(*index, call))
    }

    pub(crate) fn facts(&self, index: usize, call: &SimulatedCall) -> Facts {
        let mut facts = Facts {
            ring: call.ring,
            hold: call.hold,
            talk: call.talk,
            transfer: call.transfer,
            work: call.work,
            hold_count: call.hold_count,
            flagged: call.flagged,
            edited_note: None,
        };
        if let Some(bits) = self.edit(index, call) {
            apply_edit(&mut facts, bits);
        }
        facts
    }

    /// The random bits of a call's edit, if it has been edited.
    fn edit(&self, index: usize, call: &SimulatedCall) -> Option<u64> {
        let number = index as u64;
        self.faults.edits.values().flatten().find_map(|edits| {
            if !selects(edits.rate, edits.seed, Purpose::Edit, number) {
                return None;
            }
            let bits = draw(!edits.seed, Purpose::Edit, number);
            let within = u64::from(edits.within_seconds) * 1_000;
            let at = call.end() + 1 + below(bits.rotate_left(32), within).cast_signed();
            // Only an edit made while the fault was active.
            let in_force = self.faults.edits.at(at).flatten() == Some(edits);
            (at <= self.now && in_force).then_some(bits)
        })
    }
}

/// What is edited: the four lowest bits choose, at least one thing changes.
fn apply_edit(facts: &mut Facts, bits: u64) {
    let choice = bits & 15;
    let amount = |shift: u32| u32::try_from((bits >> shift) & 0xffff).unwrap_or(0) + 1;
    if choice & 1 != 0 || choice == 0 {
        facts.edited_note = Some(bits >> 8);
    }
    if choice & 2 != 0 {
        facts.flagged = !facts.flagged;
    }
    if choice & 4 != 0 && facts.answered() {
        facts.transfer += amount(16);
    }
    if choice & 8 != 0 {
        if bits & 16 == 0 {
            facts.work += amount(32);
        } else {
            facts.work /= 2;
        }
    }
    if choice & 1 == 0 && choice & 2 == 0 && !facts.answered() {
        facts.edited_note = Some(bits >> 8);
    }
}
