//! Decks for tests.

use callmeter_rating::{Amount, Built, Deck, Options, Row};

/// A rate of all figures: fee, p1, p_n, surcharge as text; i1, iN, free, grace.
pub(crate) fn row<'a>(prefix: &'a str, money: [&str; 4], seconds: [i64; 4]) -> Row<'a> {
    let [fee, price_1, price_n, surcharge] = money.map(|text| Ok(text.parse::<Amount>().unwrap()));
    let [interval_1, interval_n, free_seconds, grace_period] = seconds.map(Ok);
    Row {
        id: Some(prefix),
        prefix: Some(prefix),
        rate_type: Some("MOBILE"),
        connect_fee: fee,
        price_1,
        price_n,
        postcall_surcharge: surcharge,
        interval_1,
        interval_n,
        free_seconds,
        grace_period,
    }
}

/// A rate of this price a minute, by the second.
pub(crate) fn flat<'a>(prefix: &'a str, price: &str) -> Row<'a> {
    row(prefix, ["0", price, price, "0"], [1, 1, 0, 0])
}

pub(crate) fn build(rows: &[Row<'_>], options: &Options) -> Built {
    Deck::build(rows.iter().copied(), options).unwrap()
}

pub(crate) fn deck(rows: &[Row<'_>]) -> Deck {
    let built = build(rows, &Options::default());
    assert_eq!(built.problems, []);
    built.deck
}
