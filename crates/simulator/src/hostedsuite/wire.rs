//! The answers' types, serialised as ServiceStack does: members in the order of
//! their declaration, nulls left out, zero and false kept.

use std::fmt;

use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

use super::dates::{Local, Writing};
use super::listing::Page;
use crate::faults::{EmptyPage, Share, StartStyle, TalkStyle, Totals};
use crate::random::{Purpose, draw, selects};
use crate::world::{CallId, Facts, View, Words};

/// A hundred years, in milliseconds.
const CENTURY: i64 = 36_525 * 86_400_000;

/// A row of `/call-allowance/balance`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BalanceRow {
    pub(super) client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) third_party_account_id: Option<String>,
    pub(super) client_name: String,
    pub(super) allowance_description: String,
    pub(super) num_calls: u64,
    pub(super) num_mins: Decimal,
    pub(super) balance: Decimal,
    pub(super) balance_description: String,
}

/// A row of `/clients`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ClientInfo {
    pub(super) id: String,
    pub(super) date_last_modified: String,
    pub(super) name: String,
    pub(super) center_id: String,
    pub(super) center_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) third_party_account_id: Option<String>,
    pub(super) call_allowance_type: &'static str,
    pub(super) call_allowance_amount: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) screen_pop: Option<&'static str>,
}

/// The answer of `/authenticate`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UserInfo {
    pub(super) authenticated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) company_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_id: Option<&'static str>,
}

/// A number with a fixed number of decimals, written without trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) units: i64,
    pub(super) units_per_one: i32,
}

impl Decimal {
    pub(super) fn abs(self) -> Self {
        Self {
            units: self.units.abs(),
            ..self
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "far fewer than 15 digits: the nearest double prints as the decimal it came from"
    )]
    fn as_f64(self) -> f64 {
        self.units as f64 / f64::from(self.units_per_one)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let one = i64::from(self.units_per_one);
        if self.units % one == 0 {
            serializer.serialize_i64(self.units / one)
        } else {
            serializer.serialize_f64(self.as_f64())
        }
    }
}

/// The answer of `/calls`.
pub(super) struct CallPage<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) page: Page,
    pub(super) totals: Option<Totals>,
}

impl Serialize for CallPage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (count, pages) = match self.totals {
            None => (self.page.total, self.page.pages),
            Some(_) => (0, 0),
        };
        let mut page = serializer.serialize_struct("CallRecordPage", 4)?;
        let empty = self.view.faults.now.empty_page;
        if self.page.calls.is_empty() && empty == Some(EmptyPage::WithoutItems) {
            page.skip_field("Items")?;
        } else {
            page.serialize_field("Items", &self.items())?;
        }
        page.serialize_field("Page", &self.page.number)?;
        if self.totals != Some(Totals::Absent) {
            page.serialize_field("TotalCount", &count)?;
            page.serialize_field("TotalPages", &pages)?;
        }
        page.end()
    }
}

impl<'a> CallPage<'a> {
    pub(super) fn items(&self) -> Items<'_, 'a> {
        Items(self)
    }
}

/// The records of a page.
pub(super) struct Items<'p, 'a>(&'p CallPage<'a>);

impl Serialize for Items<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let CallPage { view, page, .. } = self.0;
        let mut items = serializer.serialize_seq(Some(page.calls.len()))?;
        for index in &page.calls {
            items.serialize_element(&CallRecord {
                view,
                index: *index,
            })?;
        }
        items.end()
    }
}

struct CallRecord<'a> {
    view: &'a View<'a>,
    index: usize,
}

impl CallRecord<'_> {
    /// Notes with a byte that is not UTF-8. The next call's notes have the character with which
    /// readers replace that byte.
    fn wrong_bytes(&self) -> Option<&'static str> {
        let share = self.view.faults.now.latin1_notes?;
        let is_wrong = |index: usize| share.selects(Purpose::Latin1, index);
        if is_wrong(self.index) {
            Some("Caf\u{e0e9}")
        } else {
            let before = self.index.checked_sub(1)?;
            is_wrong(before).then_some("Caf\u{fffd}")
        }
    }
}

/// The character that stands for a Latin-1 é until the answer is encoded, and that byte.
const LATIN1_MARK: char = '\u{e0e9}';
const LATIN1_BYTE: u8 = 0xe9;

/// Replaces the marks by Latin-1 bytes.
pub(super) fn with_latin1(body: &[u8]) -> Vec<u8> {
    let mut mark = [0; 4];
    let mark = LATIN1_MARK.encode_utf8(&mut mark).as_bytes();
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(mark) {
            out.push(LATIN1_BYTE);
            rest = after;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// The faults of a record's durations.
struct Spoiled {
    running: bool,
    without_duration: bool,
    /// Replaces the talk time.
    talk: Option<TalkStyle>,
    missing: Option<u64>,
    misspelt: Option<u64>,
    not_a_number: Option<u64>,
}

const DURATIONS: [(&str, &str); 6] = [
    ("DurationInSeconds", "DurationInSecs"),
    ("RingTimeInSeconds", "RingTimeInSecond"),
    ("HoldTimeInSeconds", "HoldTimeSeconds"),
    ("TalkTimeInSeconds", "TalkTimeInSecs"),
    ("TransferTimeInSeconds", "TransferTimelnSeconds"),
    ("WorkTimeInSeconds", "WorkTimeInSec"),
];

/// Places in [`DURATIONS`].
const DURATION: u64 = 0;
const TALK: u64 = 3;

impl Spoiled {
    fn new(record: &CallRecord<'_>, facts: &Facts) -> Self {
        let faults = &record.view.faults.now;
        let number = record.index as u64;
        // Which of the six durations, if the record is one of the share.
        let chosen = |share: Option<Share>, purpose: Purpose| {
            share
                .filter(|share| selects(share.rate, share.seed, purpose, number))
                .map(|share| draw(!share.seed, purpose, number) % DURATIONS.len() as u64)
        };
        let unknown_talk = faults.unknown_talk.filter(|_| !facts.talk_known);
        Self {
            running: facts.running,
            without_duration: facts.without_duration,
            talk: unknown_talk.map(|fault| fault.style),
            missing: chosen(faults.missing_numbers, Purpose::Missing),
            misspelt: chosen(faults.misspelt_names, Purpose::Misspelt),
            not_a_number: chosen(faults.nan, Purpose::NotANumber),
        }
    }

    fn write<S: SerializeStruct>(
        &self,
        record: &mut S,
        which: u64,
        milliseconds: u32,
    ) -> Result<(), S::Error> {
        let (name, misspelt) = usize::try_from(which)
            .ok()
            .and_then(|which| DURATIONS.get(which))
            .copied()
            .unwrap_or_default();
        let talk = self.talk.filter(|_| which == TALK);
        if self.missing == Some(which)
            || self.running
            || (self.without_duration && which == DURATION)
            || talk == Some(TalkStyle::Missing)
        {
            return record.skip_field(name);
        }
        if talk == Some(TalkStyle::Text) {
            return record.serialize_field(name, "n/a");
        }
        let name = if self.misspelt == Some(which) {
            misspelt
        } else {
            name
        };
        if self.not_a_number == Some(which) {
            return record.serialize_field(name, &f64::NAN);
        }
        let seconds = Decimal {
            units: milliseconds.into(),
            units_per_one: 1_000,
        };
        record.serialize_field(name, &seconds)
    }
}

impl Serialize for CallRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let world = self.view.world;
        let known = world.calls().get(self.index).and_then(|call| {
            let client = world.people.clients.get(call.client as usize)?;
            Some((call, client, world.people.centers.get(client.center)?))
        });
        let Some((call, client, center)) = known else {
            return Err(serde::ser::Error::custom("no such call"));
        };
        let facts = self.view.facts(self.index, call);
        let words = Words::new(world.seed, self.index, call, &facts, &world.people);
        let spoiled = Spoiled::new(self, &facts);
        let faults = &self.view.faults.now;
        let spelling = faults
            .id_spelling
            .filter(|one| self.view.requests >= one.after);
        let id = CallId::new(world.seed, self.index).spelled(spelling.map(|one| one.style));
        let no_start = faults
            .no_start
            .filter(|fault| selects(fault.rate, fault.seed, Purpose::NoStart, self.index as u64));
        let writing = Writing {
            zone: &world.zone,
            style: faults.time_style,
            fractions: world.fractions,
            min_value: no_start.is_some_and(|fault| fault.style == StartStyle::MinValue),
        };
        let start = self.view.start(self.index, call);
        let mut record = serializer.serialize_struct("CallRecordInfo", 25)?;
        record.serialize_field("Id", &id)?;
        record.serialize_field("ClientId", &client.id)?;
        record.serialize_field("ClientName", &client.name)?;
        record.serialize_field("CenterId", &center.id)?;
        let written = match no_start.map(|fault| fault.style) {
            None | Some(StartStyle::MinValue) => Some(start),
            Some(StartStyle::Century) => Some(start.saturating_add(CENTURY)),
            Some(StartStyle::Absent) => None,
        };
        optional(
            &mut record,
            "StartTime",
            written.map(|start| writing.at(start)),
        )?;
        optional(&mut record, "CallerName", words.caller_name())?;
        optional(&mut record, "CallerNumber", words.caller_number())?;
        optional(&mut record, "TransferToName", words.transfer_to_name())?;
        optional(&mut record, "TransferToNumber", words.transfer_to_number())?;
        optional(
            &mut record,
            "Notes",
            self.wrong_bytes().or_else(|| words.notes()),
        )?;
        spoiled.write(&mut record, 0, facts.duration())?;
        spoiled.write(&mut record, 1, facts.ring)?;
        spoiled.write(&mut record, 2, facts.hold)?;
        record.serialize_field("HoldCount", &facts.hold_count)?;
        let interactions = Interactions {
            start,
            writing,
            happened: words.interactions(),
        };
        record.serialize_field("Interactions", &interactions)?;
        optional(&mut record, "AnsweredBy", words.answered_by())?;
        optional(&mut record, "Server", words.server())?;
        spoiled.write(&mut record, 3, facts.talk)?;
        spoiled.write(&mut record, 4, facts.transfer)?;
        optional(&mut record, "ScreenPop", client.screen_pop)?;
        record.serialize_field("CompletedFormIds", &words.completed_form_ids())?;
        record.serialize_field("Flagged", &facts.flagged)?;
        optional(&mut record, "FlagNotes", words.flag_notes())?;
        record.serialize_field("Type", call.direction.name())?;
        spoiled.write(&mut record, 5, facts.work)?;
        record.end()
    }
}

fn optional<S: SerializeStruct, T: Serialize>(
    record: &mut S,
    name: &'static str,
    value: Option<T>,
) -> Result<(), S::Error> {
    match value {
        Some(value) => record.serialize_field(name, &value),
        None => record.skip_field(name),
    }
}

struct Interactions<'a> {
    start: i64,
    writing: Writing<'a>,
    happened: Vec<(i64, &'static str, Option<&'a str>)>,
}

impl Serialize for Interactions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Interaction<'a> {
            start_time: Local<'a>,
            r#type: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            description: Option<&'a str>,
        }
        serializer.collect_seq((self.happened.iter()).map(|(offset, kind, description)| {
            Interaction {
                start_time: self.writing.at(self.start + offset),
                r#type: kind,
                description: *description,
            }
        }))
    }
}
