//! A rate of the journal as a row of a deck.

use callmeter_rating::{Amount, Row, Value, ValueError};
use callmeter_records::{Rate, Reading, money};

/// The row of a rate.
pub(crate) fn rating_row<'r>(rate: &Rate<'r>) -> Row<'r> {
    Row {
        id: rate.id,
        prefix: rate.prefix,
        rate_type: rate.rate_type,
        connect_fee: amount(rate.connect_fee),
        price_1: amount(rate.price_1),
        price_n: amount(rate.price_n),
        postcall_surcharge: amount(rate.postcall_surcharge),
        interval_1: seconds(rate.interval_1),
        interval_n: seconds(rate.interval_n),
        free_seconds: seconds(rate.free_seconds),
        grace_period: seconds(rate.grace_period),
    }
}

fn amount(reading: Reading<'_, i128>) -> Value<Amount> {
    let places = u32::from(money::SCALE.unsigned_abs());
    match reading {
        Reading::Known(units) => Ok(Amount::from_parts(units, places)?),
        Reading::Missing => Err(ValueError::Missing),
        Reading::Unreadable(_) => Err(ValueError::Unreadable),
    }
}

fn seconds(reading: Reading<'_, i32>) -> Value<i64> {
    match reading {
        Reading::Known(seconds) => Ok(seconds.into()),
        Reading::Missing => Err(ValueError::Missing),
        Reading::Unreadable(_) => Err(ValueError::Unreadable),
    }
}
