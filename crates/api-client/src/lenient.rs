//! `deserialize_with` helpers for the number members of generated response types.
//!
//! Each reads a number, a number written as text, or null; an absent member needs
//! `#[serde(default)]` as well. Anything else is an error of its record. For members whose
//! unreadable values must not make the record unreadable, use [`Number`]; for money,
//! [`Amount`](crate::Amount).

use serde::Deserialize as _;
use serde::de::{Deserializer, Error as _};

use crate::Number;

/// A whole number that fits `i32`: `1`, `1.0`, `"1"`, null.
pub fn opt_i32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    match opt_i64(deserializer)? {
        None => Ok(None),
        Some(value) => i32::try_from(value)
            .map(Some)
            .map_err(|_| D::Error::custom("whole number out of range")),
    }
}

/// A whole number that fits `i64`: `1`, `1.0`, `"1"`, null.
pub fn opt_i64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Number::deserialize(deserializer)?
        .whole()
        .map_err(|_| D::Error::custom("not a whole number"))
}

/// A finite number: `1`, `1.5`, `"1.5"`, null.
pub fn opt_f64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Number::deserialize(deserializer)? {
        Number::Missing => Ok(None),
        number => match number.as_f64() {
            Some(value) => Ok(Some(value)),
            None => Err(D::Error::custom("not a finite number")),
        },
    }
}

/// A truth value: `true`, `"True"`, `1`, null.
pub fn opt_bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Number::deserialize(deserializer)? {
        Number::Missing => Ok(None),
        Number::Value(exact) => match exact.text() {
            "0" => Ok(Some(false)),
            "1" => Ok(Some(true)),
            _ => Err(D::Error::custom("neither true nor false")),
        },
        Number::Unreadable(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Number::Unreadable(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Number::Unreadable(_) => Err(D::Error::custom("neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    #[derive(serde::Deserialize)]
    struct Row {
        #[serde(default, deserialize_with = "super::opt_i32")]
        i: Option<i32>,
        #[serde(default, deserialize_with = "super::opt_f64")]
        f: Option<f64>,
        #[serde(default, deserialize_with = "super::opt_bool")]
        b: Option<bool>,
    }

    #[test]
    fn takes_what_loose_servers_send() {
        for (json, i, f, b) in [
            ("{}", None, None, None),
            (r#"{"i":null,"f":null,"b":null}"#, None, None, None),
            (
                r#"{"i":1.0,"f":2,"b":true}"#,
                Some(1),
                Some(2.0),
                Some(true),
            ),
            (
                r#"{"i":"7","f":"2.5","b":"False"}"#,
                Some(7),
                Some(2.5),
                Some(false),
            ),
        ] {
            let row: Row = serde_json::from_str(json).unwrap();
            assert_eq!((row.i, row.f, row.b), (i, f, b), "{json}");
        }
        for bad in [
            r#"{"i":1.5}"#,
            r#"{"i":3000000000}"#,
            r#"{"f":"NaN"}"#,
            r#"{"b":"maybe"}"#,
            r#"{"i":"x"}"#,
        ] {
            assert!(serde_json::from_str::<Row>(bad).is_err(), "{bad}");
        }
    }
}
