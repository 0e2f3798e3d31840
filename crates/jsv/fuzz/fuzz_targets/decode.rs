//! Any bytes give a value or an error with a position in the text, never a panic, and all ways to
//! read them agree.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
struct Page<'a> {
    #[serde(borrow)]
    #[serde(rename = "Items")]
    items: Vec<Call<'a>>,
    #[serde(rename = "Page")]
    page: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
struct Call<'a> {
    #[serde(rename = "Id")]
    id: Option<&'a str>,
    #[serde(rename = "N")]
    seconds: Option<f64>,
    #[serde(rename = "B")]
    flagged: Option<bool>,
    #[serde(rename = "K")]
    kind: Option<Kind>,
    #[serde(rename = "L")]
    list: Option<Vec<Option<i64>>>,
    #[serde(rename = "M")]
    map: Option<BTreeMap<String, Value>>,
    #[serde(rename = "P")]
    pair: Option<(u8, char)>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
enum Kind {
    A,
    N(String),
    T(u8, u8),
    S { a: i32 },
}

fn check<T>(input: &[u8], result: &jsv::Result<T>) {
    if let Err(error) = result {
        let place = error.position().expect("an error of reading has a place");
        assert!(place.offset <= input.len());
        let before = &input[..place.offset];
        assert_eq!(
            place.line,
            before.iter().filter(|byte| **byte == b'\n').count() + 1
        );
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        assert_eq!(place.column, place.offset - start + 1);
    }
}

fuzz_target!(|input: &[u8]| {
    check(input, &jsv::from_slice::<Page<'_>>(input));
    check(input, &jsv::from_slice::<Vec<Call<'_>>>(input));
    check(input, &jsv::from_slice::<Kind>(input));
    check(input, &jsv::from_slice::<f64>(input));
    check(input, &jsv::from_slice::<i8>(input));
    let any = jsv::from_slice::<Value>(input);
    check(input, &any);
    let skipped = jsv::from_slice::<IgnoredAny>(input);
    check(input, &skipped);
    // They differ only in the order in which they find limits and errors.
    assert_eq!(any.is_ok(), skipped.is_ok());
    let raw = jsv::from_slice::<Vec<jsv::Raw<'_>>>(input);
    check(input, &raw);
    if let Ok(raw) = raw {
        for item in raw {
            jsv::from_str::<IgnoredAny>(item.get()).expect("a raw item is a value by itself");
        }
    }
    let Ok(text) = std::str::from_utf8(input) else {
        assert!(any.is_err());
        return;
    };
    let pretty = jsv::from_str_pretty::<Value>(text);
    check(input, &pretty);
    if !text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        // The lenient reader treats only blanks differently.
        assert_eq!(any.ok(), pretty.ok());
    }
    check(input, &jsv::from_str_pretty::<Page<'_>>(text));
});
