//! The calls that a reader sees at a simulated time.

use super::calls::{LONGEST_CALL_MS, SimulatedCall};
use super::world::World;
use crate::faults::{Edits, Faults, Late, MovedStarts, Share, Timeline};
use crate::random::{Purpose, below, draw, selects};

/// The active faults, and the history of those that change records for good.
#[derive(Debug)]
pub(crate) struct RecordFaults {
    pub(crate) now: Faults,
    late: Timeline<Option<Late>>,
    edits: Timeline<Option<Edits>>,
    running: Timeline<Option<Share>>,
    moved_starts: Timeline<Option<MovedStarts>>,
}

impl RecordFaults {
    pub(crate) fn new(faults: Faults) -> Self {
        Self {
            late: Timeline::new(faults.late),
            edits: Timeline::new(faults.edits),
            running: Timeline::new(faults.running),
            moved_starts: Timeline::new(faults.moved_starts),
            now: faults,
        }
    }

    pub(crate) fn set(&mut self, now: i64, faults: Faults) {
        self.late.set(now, faults.late);
        self.edits.set(now, faults.edits);
        self.running.set(now, faults.running);
        self.moved_starts.set(now, faults.moved_starts);
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
    /// Requests answered since the faults changed.
    pub(crate) requests: u64,
}

/// What `DurationInSeconds` says while it flaps, in milliseconds.
const FLAPPING_MS: [Option<u32>; 5] = [Some(10_000), None, Some(12_000), None, Some(13_000)];
/// An implausibly long duration.
const LONG_CALL_MS: u32 = 600_000_000;

/// A call as it reads at a time, with its edits. Times are in milliseconds.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a record"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) ring: u32,
    pub(crate) hold: u32,
    pub(crate) talk: u32,
    pub(crate) transfer: u32,
    pub(crate) work: u32,
    pub(crate) hold_count: u8,
    pub(crate) flagged: bool,
    /// Whether the call is still running, so that no duration is known.
    pub(crate) running: bool,
    /// Whether the server knows the talk time and the operator.
    pub(crate) talk_known: bool,
    /// Replaces the sum of the parts as the duration.
    pub(crate) other_duration: Option<u32>,
    /// Whether the duration, as the ledger has it, is absent from the record.
    pub(crate) without_duration: bool,
    /// Selects the note that an edit has written.
    pub(crate) edited_note: Option<u64>,
}

impl Facts {
    pub(crate) fn duration(&self) -> u32 {
        (self.other_duration).unwrap_or(self.ring + self.hold + self.talk + self.transfer)
    }

    /// Whether the record says that the call was answered.
    pub(crate) fn answered(&self) -> bool {
        self.talk > 0 && self.talk_known && !self.running
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
        if self.runs_visibly(index, call) {
            return call.start;
        }
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

    /// Whether the call is one of those that appear at their start.
    fn runs_visibly(&self, index: usize, call: &SimulatedCall) -> bool {
        (self.faults.running.at(call.start).flatten())
            .is_some_and(|share| share.selects(Purpose::Running, index))
    }

    /// When the call started, as the server says now, in milliseconds since 1970.
    pub(crate) fn start(&self, index: usize, call: &SimulatedCall) -> i64 {
        let moved = (self.faults.moved_starts.values().flatten()).find_map(|moved| {
            let at = edited_at(
                call,
                moved.within_seconds,
                draw(!moved.seed, Purpose::MovedStart, index as u64),
            );
            let applies = selects(moved.rate, moved.seed, Purpose::MovedStart, index as u64)
                && at <= self.now
                && self.faults.moved_starts.at(at).flatten() == Some(moved);
            applies.then_some(i64::from(moved.days) * 86_400_000)
        });
        call.start + moved.unwrap_or(0)
    }

    /// Whether calls may be out of the order of their start.
    pub(crate) fn starts_move(&self) -> bool {
        self.faults.moved_starts.values().flatten().next().is_some()
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
            running: call.end() > self.now,
            talk_known: true,
            other_duration: None,
            without_duration: false,
            edited_note: None,
        };
        if let Some(bits) = self.edit(index, call) {
            apply_edit(&mut facts, bits);
        }
        self.apply_faults(&mut facts, index, call);
        facts
    }

    fn apply_faults(&self, facts: &mut Facts, index: usize, call: &SimulatedCall) {
        let faults = &self.faults.now;
        if let Some(long) = faults.long_calls
            && long.selects(Purpose::LongCall, index)
        {
            facts.other_duration = Some(LONG_CALL_MS);
        }
        if let Some(fault) = faults.flapping
            && selects(fault.rate, fault.seed, Purpose::Flapping, index as u64)
        {
            let phase = (self.now - call.end()).max(0) / (i64::from(fault.seconds) * 1_000);
            let phase = usize::try_from(phase).unwrap_or(usize::MAX);
            let (so_far, _) = FLAPPING_MS.split_at(FLAPPING_MS.len().min(phase.saturating_add(1)));
            facts.without_duration = so_far.last() == Some(&None);
            facts.other_duration = so_far.iter().rev().find_map(|duration| *duration);
        }
        if let Some(fault) = faults.unknown_talk
            && selects(fault.rate, fault.seed, Purpose::UnknownTalk, index as u64)
        {
            facts.talk_known = false;
        }
    }

    /// The random bits of a call's edit, if it has been edited.
    fn edit(&self, index: usize, call: &SimulatedCall) -> Option<u64> {
        let number = index as u64;
        self.faults.edits.values().flatten().find_map(|edits| {
            if !selects(edits.rate, edits.seed, Purpose::Edit, number) {
                return None;
            }
            let bits = draw(!edits.seed, Purpose::Edit, number);
            let at = edited_at(call, edits.within_seconds, bits);
            // Only an edit made while the fault was active.
            let in_force = self.faults.edits.at(at).flatten() == Some(edits);
            (at <= self.now && in_force).then_some(bits)
        })
    }
}

/// When a call is edited: at a random time within so many seconds after its end.
fn edited_at(call: &SimulatedCall, within_seconds: u32, bits: u64) -> i64 {
    let within = u64::from(within_seconds) * 1_000;
    call.end() + 1 + below(bits.rotate_left(32), within).cast_signed()
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
