//! A call rate: its members, their bounds, and how it is read and written.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::ApiError;
use crate::charges::TariffTruth;

const LONGEST_PREFIX: usize = 64;
const LONGEST_DESCRIPTION: usize = 1_024;

/// A rate of the deck.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) id: u64,
    pub(super) prefix: String,
    pub(super) kind: RateType,
    pub(super) free_seconds: i32,
    pub(super) grace_period: i32,
    pub(super) interval_1: i32,
    pub(super) interval_n: i32,
    pub(super) connect_fee: Money,
    pub(super) postcall_surcharge: Money,
    pub(super) price_1: Money,
    pub(super) price_n: Money,
    pub(super) description: Option<String>,
}

impl Rate {
    /// Its figures in whole units.
    pub(super) fn tariff(&self) -> TariffTruth {
        TariffTruth {
            prefix: self.prefix.clone(),
            rate_type: self.kind.name(),
            connect_fee: self.connect_fee.units(),
            price_1: self.price_1.units(),
            price_n: self.price_n.units(),
            surcharge: self.postcall_surcharge.units(),
            interval_1: self.interval_1.into(),
            interval_n: self.interval_n.into(),
            free_seconds: self.free_seconds.into(),
            grace_period: self.grace_period.into(),
        }
    }
}

/// The type of a rate: a label that does not affect the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RateType {
    Local,
    National,
    International,
    Mobile,
}

const TYPES: [RateType; 4] = [
    RateType::Local,
    RateType::National,
    RateType::International,
    RateType::Mobile,
];

impl RateType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Local => "LOCAL",
            Self::National => "NATIONAL",
            Self::International => "INTERNATIONAL",
            Self::Mobile => "MOBILE",
        }
    }
}

/// An amount with five decimals, as the API keeps it: in a double.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Money(f64);

impl Money {
    /// Rounds to five decimals.
    pub(super) fn new(amount: f64) -> Self {
        let scaled = (amount * 100_000.0).round() / 100_000.0;
        // Above this, a double cannot hold five decimals.
        Self(if amount.abs() < 1e10 { scaled } else { amount })
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub(super) fn from_millionths(millionths: i64) -> Self {
        Self::new(millionths as f64 / 1_000_000.0)
    }

    /// Whole units of 10⁻⁵.
    #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
    fn units(self) -> i64 {
        (self.0 * 100_000.0).round() as i64
    }

    pub(super) fn as_f64(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Money {
    #[expect(clippy::cast_possible_truncation, reason = "whole and far below 2^53")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 1e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// The opaque id that the API shows: base64 of a decimal number.
pub(super) fn write_id(id: u64) -> String {
    STANDARD.encode(id.to_string())
}

pub(super) fn read_id(text: &str) -> Option<u64> {
    let decoded = STANDARD.decode(text).ok()?;
    std::str::from_utf8(&decoded).ok()?.parse().ok()
}

/// A rate as the list shows it, without `connect_fee`, or in full.
pub(super) struct Shown<'a> {
    pub(super) rate: &'a Rate,
    pub(super) in_full: bool,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { rate, in_full } = self;
        let mut shown = serializer.serialize_struct("CallRate", 12)?;
        shown.serialize_field("id", &write_id(rate.id))?;
        shown.serialize_field("prefix", &rate.prefix)?;
        shown.serialize_field("type", rate.kind.name())?;
        shown.serialize_field("free_seconds", &rate.free_seconds)?;
        shown.serialize_field("grace_period", &rate.grace_period)?;
        shown.serialize_field("interval_1", &rate.interval_1)?;
        shown.serialize_field("interval_n", &rate.interval_n)?;
        if *in_full {
            shown.serialize_field("connect_fee", &rate.connect_fee)?;
        }
        shown.serialize_field("postcall_surcharge", &rate.postcall_surcharge)?;
        shown.serialize_field("price_1", &rate.price_1)?;
        shown.serialize_field("price_n", &rate.price_n)?;
        // This API writes an empty description as null.
        shown.serialize_field("description", &rate.description)?;
        shown.end()
    }
}

/// The members that a new rate must have.
const REQUIRED: [&str; 10] = [
    "prefix",
    "type",
    "free_seconds",
    "grace_period",
    "interval_1",
    "interval_n",
    "connect_fee",
    "postcall_surcharge",
    "price_1",
    "price_n",
];

impl Rate {
    /// A new rate from a request's members.
    pub(super) fn create(id: u64, members: &Map<String, Value>) -> Result<Self, ApiError> {
        if let Some(missing) = REQUIRED.iter().find(|name| !members.contains_key(**name)) {
            return Err(ApiError::validation(format!("{missing} is required")));
        }
        let zero = Money::new(0.0);
        let mut rate = Self {
            id,
            prefix: String::new(),
            kind: RateType::Local,
            free_seconds: 0,
            grace_period: 0,
            interval_1: 1,
            interval_n: 1,
            connect_fee: zero,
            postcall_surcharge: zero,
            price_1: zero,
            price_n: zero,
            description: None,
        };
        rate.update(members)?;
        Ok(rate)
    }

    /// Changes the members that a request names; others stay as they are, and unknown ones are
    /// ignored.
    pub(super) fn update(&mut self, members: &Map<String, Value>) -> Result<(), ApiError> {
        for (name, value) in members {
            match name.as_str() {
                "prefix" => self.prefix = text(name, value, 1, LONGEST_PREFIX)?,
                "type" => self.kind = kind(value)?,
                "free_seconds" => self.free_seconds = integer(name, value, 0)?,
                "grace_period" => self.grace_period = integer(name, value, 0)?,
                "interval_1" => self.interval_1 = integer(name, value, 1)?,
                "interval_n" => self.interval_n = integer(name, value, 1)?,
                "connect_fee" => self.connect_fee = money(name, value)?,
                "postcall_surcharge" => self.postcall_surcharge = money(name, value)?,
                "price_1" => self.price_1 = money(name, value)?,
                "price_n" => self.price_n = money(name, value)?,
                "description" if value.is_null() => self.description = None,
                "description" => {
                    self.description = Some(text(name, value, 0, LONGEST_DESCRIPTION)?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn text(name: &str, value: &Value, least: usize, most: usize) -> Result<String, ApiError> {
    value
        .as_str()
        .filter(|text| (least..=most).contains(&text.chars().count()))
        .map(str::to_owned)
        .ok_or_else(|| {
            ApiError::validation(format!("{name} must have {least} to {most} characters"))
        })
}

fn kind(value: &Value) -> Result<RateType, ApiError> {
    (TYPES.into_iter())
        .find(|kind| value.as_str() == Some(kind.name()))
        .ok_or_else(|| {
            ApiError::validation("type must be LOCAL, NATIONAL, INTERNATIONAL or MOBILE")
        })
}

#[expect(clippy::cast_possible_truncation, reason = "whole and within bounds")]
fn integer(name: &str, value: &Value, least: i32) -> Result<i32, ApiError> {
    // 1.0 is an integer too, in JSON.
    value
        .as_f64()
        .filter(|number| number.fract() == 0.0)
        .filter(|number| (f64::from(least)..=f64::from(i32::MAX)).contains(number))
        .map(|number| number as i32)
        .ok_or_else(|| {
            ApiError::validation(format!("{name} must be an integer of {least} or more"))
        })
}

fn money(name: &str, value: &Value) -> Result<Money, ApiError> {
    value
        .as_f64()
        .filter(|amount| amount.is_finite() && *amount >= 0.0)
        .map(Money::new)
        .ok_or_else(|| ApiError::validation(format!("{name} must be a number of 0 or more")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members() -> Map<String, Value> {
        let members = json!({
            "prefix": "49", "type": "LOCAL", "free_seconds": 0, "grace_period": 1,
            "interval_1": 60, "interval_n": 1.0, "connect_fee": 0.1, "postcall_surcharge": 0.01,
            "price_1": 0.123_456, "price_n": 1,
        });
        members.as_object().expect("an object").clone()
    }

    #[test]
    fn a_rate_is_kept_with_five_decimals() {
        let rate = Rate::create(7, &members()).expect("valid");
        let shown = serde_json::to_value(Shown {
            rate: &rate,
            in_full: true,
        })
        .expect("JSON");
        assert_eq!(shown["price_1"], json!(0.12346));
        assert_eq!(shown["price_n"], json!(1));
        assert_eq!(shown["description"], Value::Null);
        assert_eq!(read_id(shown["id"].as_str().expect("text")), Some(7));

        let listed = serde_json::to_value(Shown {
            rate: &rate,
            in_full: false,
        })
        .expect("JSON");
        assert!(listed.get("connect_fee").is_none());
    }

    #[test]
    fn every_required_member_is_required() {
        for name in REQUIRED {
            let mut members = members();
            members.remove(name);
            assert!(Rate::create(1, &members).is_err(), "without {name}");
        }
    }

    #[test]
    fn bounds_hold() {
        let outside = [
            ("prefix", json!("")),
            ("prefix", json!("4".repeat(65))),
            ("type", json!("local")),
            ("free_seconds", json!(-1)),
            ("interval_1", json!(0)),
            ("interval_n", json!(1.5)),
            ("interval_n", json!(2_147_483_648_u32)),
            ("price_1", json!(-0.01)),
            ("price_n", json!("1")),
            ("description", json!("x".repeat(1_025))),
        ];
        for (name, value) in outside {
            let mut members = members();
            members.insert(name.to_owned(), value.clone());
            assert!(Rate::create(1, &members).is_err(), "{name}={value}");
        }
    }
}
