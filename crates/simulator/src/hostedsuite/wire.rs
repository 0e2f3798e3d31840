//! The answers' types, serialised as ServiceStack does: members in the order of
//! their declaration, nulls left out, zero and false kept.

use std::fmt;

use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

use super::dates::Local;
use super::listing::Page;
use crate::faults::{Share, Totals};
use crate::random::{Purpose, draw, selects};
use crate::world::{CallId, View, Words};

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

/// A number with a fixed count of decimals, written as short as it goes.
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
        page.serialize_field("Items", &self.items())?;
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

/// The faults of a record's durations.
struct Spoiled {
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

impl Spoiled {
    fn new(record: &CallRecord<'_>) -> Self {
        let faults = &record.view.faults.now;
        let number = record.index as u64;
        // Which of the six durations, if the record is one of the share.
        let chosen = |share: Option<Share>, purpose: Purpose| {
            share
                .filter(|share| selects(share.rate, share.seed, purpose, number))
                .map(|share| draw(!share.seed, purpose, number) % DURATIONS.len() as u64)
        };
        Self {
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
        if self.missing == Some(which) {
            return record.skip_field(name);
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
        let zone = &world.zone;
        let spoiled = Spoiled::new(self);
        let mut record = serializer.serialize_struct("CallRecordInfo", 25)?;
        record.serialize_field("Id", &CallId::new(world.seed, self.index))?;
        record.serialize_field("ClientId", &client.id)?;
        record.serialize_field("ClientName", &client.name)?;
        record.serialize_field("CenterId", &center.id)?;
        let start = Local {
            at: call.start,
            zone,
        };
        record.serialize_field("StartTime", &start)?;
        optional(&mut record, "CallerName", words.caller_name())?;
        optional(&mut record, "CallerNumber", words.caller_number())?;
        optional(&mut record, "TransferToName", words.transfer_to_name())?;
        optional(&mut record, "TransferToNumber", words.transfer_to_number())?;
        optional(&mut record, "Notes", words.notes())?;
        spoiled.write(&mut record, 0, facts.duration())?;
        spoiled.write(&mut record, 1, facts.ring)?;
        spoiled.write(&mut record, 2, facts.hold)?;
        record.serialize_field("HoldCount", &facts.hold_count)?;
        let interactions = Interactions {
            start: call.start,
            zone,
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
    zone: &'a jiff::tz::TimeZone,
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
                start_time: Local {
                    at: self.start + offset,
                    zone: self.zone,
                },
                r#type: kind,
                description: *description,
            }
        }))
    }
}
