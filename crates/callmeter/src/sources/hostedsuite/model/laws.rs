//! What must hold after every poll, and at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use callmeter_journal::{BatchSeq, DayCoverage, Journal};
use callmeter_records::{CallsView, Change, Stream};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::history::{History, MINUTE, SECOND, Version};
use super::server::Server;
use crate::status::CallsProgress;

pub(super) const SETTLE: i64 = 2 * MINUTE;

/// What the journal and the polls have shown so far.
#[derive(Default)]
pub(super) struct Observed {
    after: BatchSeq,
    /// Start and duration in milliseconds of each counted call, by its number.
    counted: HashMap<u64, (Option<i64>, Option<i64>)>,
    /// For each day, the reading that proved it last.
    proofs: BTreeMap<Date, Proof>,
    /// When the readings began that are not at their ends: in true time, and by both clocks.
    open: BTreeMap<Date, (i64, i64)>,
    before: BTreeMap<Date, Option<i64>>,
}

/// When a reading was that proved a day: in true time, and its begin by both clocks.
#[derive(Debug, Clone, Copy)]
struct Proof {
    since: i64,
    until: i64,
    passed: i64,
}

impl Observed {
    /// Reads what the journal has new. Law: no id counts twice.
    pub(super) fn follow(&mut self, journal: &Journal) -> Result<(), String> {
        while let Some(batch) = journal.next_batch(Stream::Calls, self.after).unwrap() {
            self.after = batch.meta.seq;
            for row in CallsView::new(&batch.records).unwrap().rows() {
                let id = row.id().unwrap().replace(['-', '{', '}'], "");
                let number = u64::from_str_radix(&id[20..], 16).unwrap();
                let is_new = row.change().unwrap() == Change::New;
                let call = (row.start_time(), row.durations()[0]);
                if self.counted.insert(number, call).is_some() == is_new {
                    return Err(format!(
                        "call {number}: counted twice, or edited before it counted"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Notes the days before a poll.
    pub(super) fn poll_starts(&mut self, days: &[DayCoverage]) {
        let proofs = days.iter().map(|day| (date(day.day), day.proven_at));
        self.before = proofs.collect();
    }

    /// Notes which days a poll has proven that began at `start` (in true time, and by both clocks),
    /// and which readings go on with the next poll.
    pub(super) fn poll_ends(
        &mut self,
        days: &[DayCoverage],
        goes_on: &BTreeSet<Date>,
        start: (i64, i64),
        end: i64,
    ) {
        let proofs = days.iter().map(|day| (date(day.day), day.proven_at));
        let after: BTreeMap<Date, Option<i64>> = proofs.collect();
        let known: BTreeSet<Date> = self.before.keys().chain(after.keys()).copied().collect();
        for day in known {
            let before = self.before.get(&day).copied().flatten();
            // A day that was proven and then was done has no entry.
            let was_proven = match after.get(&day) {
                Some(now) => now.is_some() && *now != before,
                None => before.is_none(),
            };
            if was_proven {
                let (since, passed) = self.open.remove(&day).unwrap_or(start);
                let proof = Proof {
                    since,
                    until: end,
                    passed,
                };
                self.proofs.insert(day, proof);
            }
        }
        let is_open =
            |day: &DayCoverage| day.position.is_some() || goes_on.contains(&date(day.day));
        let open: BTreeSet<Date> = days
            .iter()
            .filter(|day| is_open(day))
            .map(|day| date(day.day))
            .collect();
        self.open.retain(|day, _| open.contains(day));
        for day in open {
            self.open.entry(day).or_insert(start);
        }
    }

    /// Law: a call that is not counted is shown, or its day was proven before it was there.
    pub(super) fn nothing_is_silently_missing(
        &self,
        server: &Server,
        progress: &CallsProgress,
        history_from: i64,
    ) -> Result<(), String> {
        let Some(complete_until) = progress.complete_until.map(Timestamp::as_microsecond) else {
            return Ok(());
        };
        let unproven: BTreeSet<Date> = progress.unproven.iter().map(|day| day.date).collect();
        let now = server.time.now();
        for call in &server.calls {
            let Some(listed) = call.at(now) else { continue };
            let day = day_of(listed.start);
            let is_shown = listed.start >= complete_until || unproven.contains(&day);
            let is_missing = !self.counted.contains_key(&call.number);
            if is_missing && !is_shown && listed.start >= history_from {
                self.may_be_missing(server, call, listed, day, now)?;
            }
        }
        Ok(())
    }

    /// Whether the readings of a day could not have counted a call.
    fn may_be_missing(
        &self,
        server: &Server,
        call: &History,
        listed: Version,
        day: Date,
        now: i64,
    ) -> Result<(), String> {
        let mut days = vec![day];
        if server.habits.filter_hours != 0 {
            days.extend([day.yesterday().unwrap(), day.tomorrow().unwrap()]);
        }
        let proofs = days.iter().filter_map(|day| self.proofs.get(day));
        let Some(proof) = proofs.min_by_key(|proof| proof.since).copied() else {
            return Err(format!("call {}: its day was never proven", call.number));
        };
        let Some(seconds) = listed.duration else {
            return Ok(());
        };
        let settled = listed.start + seconds * SECOND + SETTLE;
        let could_count =
            call.is_steady(proof.since, now) && settled <= proof.passed.min(proof.since);
        // A row that moves to another page during a reading hides one that is not read then. No
        // count shows that.
        let rows_moved = server.calls.iter().any(|call| {
            let start = |time| call.at(time).map(|call| call.start);
            let before = start(proof.since);
            before.is_some() && before != start(proof.until)
        });
        if could_count && !rows_moved {
            return Err(format!(
                "call {} of {}: listed since before its day was proven, not counted, not shown",
                call.number,
                time(listed.start)
            ));
        }
        Ok(())
    }

    /// At the end, the journal has every call as the server lists it.
    pub(super) fn equals(&self, server: &Server, history_from: i64) -> Result<(), String> {
        let now = server.time.now();
        for call in &server.calls {
            let listed = call.at(now).unwrap();
            if listed.start < history_from {
                continue;
            }
            let expected = (
                Some(listed.start),
                listed.duration.map(|seconds| seconds * 1_000),
            );
            match self.counted.get(&call.number) {
                None => {
                    return Err(format!(
                        "call {} of {}: missing at the end",
                        call.number,
                        time(listed.start)
                    ));
                }
                Some(counted) if *counted != expected => {
                    return Err(format!(
                        "call {} of {}: {counted:?} at the end, not {expected:?}",
                        call.number,
                        time(listed.start)
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn date(day: i32) -> Date {
    super::super::coverage::date_of(day).unwrap()
}

fn day_of(micros: i64) -> Date {
    time(micros).to_zoned(TimeZone::UTC).date()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap()
}
