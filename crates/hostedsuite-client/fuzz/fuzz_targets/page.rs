//! Any bytes give a page or an error, never a panic. What serde_json reads as a page is one, with
//! the same number of rows, and every object in it is a call that can be read.

#![no_main]

use hostedsuite_client::{CallsPage, Format};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The items of a page, if serde_json can read it and exactly one member has that name.
fn items(input: &[u8]) -> Option<Vec<Value>> {
    let Value::Object(object) = serde_json::from_slice(input).ok()? else {
        return None;
    };
    let mut items = object
        .into_iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("items"));
    match (items.next(), items.next()) {
        (Some((_, Value::Array(items))), None) => Some(items),
        _ => None,
    }
}

fuzz_target!(|input: &[u8]| {
    let page = CallsPage::parse(input.to_vec().into(), Format::Json);
    if let Ok(page) = &page {
        let calls: Vec<_> = page.calls().collect();
        assert_eq!(calls.len(), page.len());
        for call in calls.iter().flatten() {
            let record = call.to_record();
            let _ = format!("{record:?} {call:?}");
            let _ = (call.talk_time().duration_ms(), call.hold_count().whole());
        }
    }
    let Some(items) = items(input) else {
        return;
    };
    let page = page.expect("serde_json can read it");
    assert_eq!(page.len(), items.len());
    for (call, item) in page.calls().zip(items) {
        assert_eq!(call.is_ok(), item.is_object(), "{call:?} {item}");
    }
    let _ = CallsPage::parse(input.to_vec().into(), Format::Jsv);
});
