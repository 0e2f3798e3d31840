//! The figures of a rate.

use crate::amount::Amount;
use crate::row::{Row, Value, ValueError};

/// The figures of a rate. Prices are per minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tariff {
    /// Charged for each call that is not free.
    pub connect_fee: Amount,
    /// Price of a minute in the first interval.
    pub price_1: Amount,
    /// Price of a minute in further intervals.
    pub price_n: Amount,
    /// Fraction that is added to everything: 0.01 is 1 %.
    pub postcall_surcharge: Amount,
    /// Seconds of the first interval, at least 1.
    pub interval_1: u32,
    /// Seconds of each further interval, at least 1.
    pub interval_n: u32,
    /// Seconds that are free.
    pub free_seconds: u32,
    /// Calls shorter than this many seconds are free.
    pub grace_period: u32,
}

impl Tariff {
    /// The figures of a row, or the first member that has none, and why.
    pub(crate) fn of_row(row: &Row<'_>) -> Result<Self, (&'static str, ValueError)> {
        Ok(Self {
            connect_fee: money("connect_fee", row.connect_fee)?,
            price_1: money("price_1", row.price_1)?,
            price_n: money("price_n", row.price_n)?,
            postcall_surcharge: money("postcall_surcharge", row.postcall_surcharge)?,
            interval_1: seconds("interval_1", row.interval_1, 1)?,
            interval_n: seconds("interval_n", row.interval_n, 1)?,
            free_seconds: seconds("free_seconds", row.free_seconds, 0)?,
            grace_period: seconds("grace_period", row.grace_period, 0)?,
        })
    }
}

/// What a member may be, in words.
pub(crate) fn range(member: &str) -> String {
    match member {
        "interval_1" | "interval_n" => format!("1 to {}", i32::MAX),
        "free_seconds" | "grace_period" => format!("0 to {}", i32::MAX),
        _ => format!("0 to {}", Amount::from_units(i64::MAX)),
    }
}

type Named<T> = Result<T, (&'static str, ValueError)>;

fn money(name: &'static str, value: Value<Amount>) -> Named<Amount> {
    match value {
        Ok(value) if value < Amount::ZERO => Err((name, ValueError::OutOfRange)),
        Ok(value) => Ok(value),
        Err(error) => Err((name, error)),
    }
}

fn seconds(name: &'static str, value: Value<i64>, least: u32) -> Named<u32> {
    let value = value.map_err(|error| (name, error))?;
    // The API's numbers of seconds are of this type.
    i32::try_from(value)
        .ok()
        .and_then(|seconds| u32::try_from(seconds).ok())
        .filter(|seconds| *seconds >= least)
        .ok_or((name, ValueError::OutOfRange))
}
