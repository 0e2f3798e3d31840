//! Laws of reading pages: the same as `serde_json` where that reads them at all, and better where it does not.

use api_client::Number;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::generated::types::{CallRecordInfo, CallRecordInteractionInfo, CallRecordPage};

fn text() -> impl Strategy<Value = Option<String>> {
    option::of(prop_oneof![
        "[a-zA-Z0-9 ]{0,12}",
        "\\PC{0,8}",
        "[\"\\\\/{}\\[\\],:\n\r\t\u{0}\u{1f}ü😀]{0,8}",
    ])
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        Just(Number::Missing),
        (0_i64..100_000).prop_map(|n| Number::from_text(n.to_string().into())),
        (0.0..1e5_f64).prop_map(|n| Number::from_text(n.to_string().into())),
        "NaN|Infinity|long".prop_map(|text| Number::Unreadable(text.into())),
    ]
}

prop_compose! {
    fn interaction()(start_time in text(), type_ in text(), description in text()) -> CallRecordInteractionInfo {
        CallRecordInteractionInfo { start_time, type_, description }
    }
}

prop_compose! {
    fn record()(
        texts in vec(text(), 15..=15),
        numbers in vec(number(), 7..=7),
        interactions in option::of(vec(interaction(), 0..3)),
        completed_form_ids in option::of(vec("\\PC{0,5}", 0..3)),
        flagged in option::of(any::<bool>()),
    ) -> CallRecordInfo {
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap();
        let mut numbers = numbers.into_iter();
        let mut number = || numbers.next().unwrap();
        CallRecordInfo {
            id: text(),
            client_id: text(),
            client_name: text(),
            center_id: text(),
            start_time: text(),
            caller_name: text(),
            caller_number: text(),
            transfer_to_name: text(),
            transfer_to_number: text(),
            notes: text(),
            answered_by: text(),
            server: text(),
            screen_pop: text(),
            flag_notes: text(),
            type_: text(),
            duration_in_seconds: number(),
            ring_time_in_seconds: number(),
            hold_time_in_seconds: number(),
            hold_count: number(),
            talk_time_in_seconds: number(),
            transfer_time_in_seconds: number(),
            work_time_in_seconds: number(),
            interactions,
            completed_form_ids,
            flagged,
        }
    }
}

/// A record as the generated type has it, out of the getters.
fn as_generated(call: CallRef<'_>) -> CallRecordInfo {
    let own = |text: Option<&str>| text.map(str::to_owned);
    CallRecordInfo {
        // The getter takes an empty id for none.
        id: own(call.0.text(0)),
        client_id: own(call.client_id()),
        client_name: own(call.client_name()),
        center_id: own(call.center_id()),
        start_time: own(call.start_time()),
        caller_name: own(call.caller_name()),
        caller_number: own(call.caller_number()),
        transfer_to_name: own(call.transfer_to_name()),
        transfer_to_number: own(call.transfer_to_number()),
        notes: own(call.notes()),
        answered_by: own(call.answered_by()),
        server: own(call.server()),
        screen_pop: own(call.screen_pop()),
        flag_notes: own(call.flag_notes()),
        type_: own(call.call_type()),
        duration_in_seconds: call.duration().to_owned(),
        ring_time_in_seconds: call.ring_time().to_owned(),
        hold_time_in_seconds: call.hold_time().to_owned(),
        hold_count: call.hold_count().to_owned(),
        talk_time_in_seconds: call.talk_time().to_owned(),
        transfer_time_in_seconds: call.transfer_time().to_owned(),
        work_time_in_seconds: call.work_time().to_owned(),
        interactions: call.interactions().map(|list| {
            list.map(|entry| CallRecordInteractionInfo {
                start_time: own(entry.start_time()),
                type_: own(entry.interaction_type()),
                description: own(entry.description()),
            })
            .collect()
        }),
        completed_form_ids: call
            .completed_form_ids()
            .map(|list| list.map(|id| id.unwrap().to_owned()).collect()),
        flagged: call.flagged().unwrap(),
    }
}

fn read(text: &str, format: Format) -> Result<CallsPage, String> {
    CallsPage::parse(Bytes::copy_from_slice(text.as_bytes()), format)
}

fn records(page: &CallsPage) -> Vec<CallRecordInfo> {
    page.calls()
        .map(|call| as_generated(call.unwrap()))
        .collect()
}

/// The same JSON with members in another order and case, and members that nobody knows.
fn disturbed(value: &serde_json::Value, turn: usize) -> String {
    use serde_json::Value;
    match value {
        Value::Object(members) => {
            let mut parts: Vec<String> = members
                .iter()
                .map(|(name, value)| {
                    let name = match turn % 3 {
                        0 => name.to_ascii_lowercase(),
                        1 => name.to_ascii_uppercase(),
                        _ => name.replace("Id", "\\u0049d"),
                    };
                    format!("\"{name}\" :\n {}", disturbed(value, turn + 1))
                })
                .collect();
            parts.push(r#""Unknown":{"a":[1,"}]\"",null]}"#.to_owned());
            let count = parts.len();
            parts.rotate_left(turn % count);
            format!("{{ {} }}", parts.join(" ,\t"))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| disturbed(item, turn)).collect();
            format!("[ {} ]", items.join(" , "))
        }
        other => other.to_string(),
    }
}

/// A number as the answer's text holds it may differ in form from the one that was written (`1` and `1.0`).
fn same(a: &[CallRecordInfo], b: &[CallRecordInfo]) -> bool {
    let plain = |records: &[CallRecordInfo]| serde_json::to_string(records).unwrap();
    plain(a) == plain(b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn reads_what_serde_json_reads(items in vec(record(), 0..5), turn in 0_usize..30) {
        let page = CallRecordPage { items: Some(items), ..CallRecordPage::default() };
        let plain = serde_json::to_string(&page).unwrap();
        let oracle: CallRecordPage = serde_json::from_str(&plain).unwrap();
        let oracle = oracle.items.unwrap();
        prop_assert!(same(&records(&read(&plain, Format::Json).unwrap()), &oracle));
        let disturbed = disturbed(&serde_json::from_str(&plain).unwrap(), turn);
        prop_assert!(same(&records(&read(&disturbed, Format::Json).unwrap()), &oracle), "{disturbed}");
    }

    #[test]
    fn reads_the_same_from_jsv(items in vec(record(), 0..5)) {
        let page = CallRecordPage { items: Some(items), ..CallRecordPage::default() };
        let json = read(&serde_json::to_string(&page).unwrap(), Format::Json).unwrap();
        let jsv = read(&jsv::to_string(&page).unwrap(), Format::Jsv).unwrap();
        prop_assert!(same(&records(&jsv), &records(&json)));
    }

    /// A page that was cut off anywhere is an error: never a page with fewer rows.
    #[test]
    fn a_cut_page_is_no_page(items in vec(record(), 1..3), at in any::<prop::sample::Index>(), as_jsv: bool) {
        let page = CallRecordPage { items: Some(items), ..CallRecordPage::default() };
        let (text, format) = if as_jsv {
            (jsv::to_string(&page).unwrap(), Format::Jsv)
        } else {
            (serde_json::to_string(&page).unwrap(), Format::Json)
        };
        let cut = at.index(text.len());
        prop_assert!(CallsPage::parse(Bytes::copy_from_slice(&text.as_bytes()[..cut]), format).is_err());
    }

    /// One broken row costs itself only.
    #[test]
    fn a_broken_row_costs_itself_only(
        before in vec(record(), 0..3), after in vec(record(), 0..3),
        broken in prop::sample::select(vec![
            r#"{"Id":"\q"}"#, r#"{"Id" 5}"#, r#"{"Id":5,}"#, r#"{"Id":}"#, "{5}", "7", "null", "\"x\"", "[{}]",
            r#"{"Interactions":[{"Type":"\u12"}]}"#, r#"{"a":1 "b":2}"#, r#"{"Notes":"a" x}"#,
        ]),
    ) {
        let json = |record: &CallRecordInfo| serde_json::to_string(record).unwrap();
        let rows: Vec<_> = before.iter().map(json).chain([broken.to_owned()]).chain(after.iter().map(json)).collect();
        let page = read(&format!("{{\"Items\":[{}],\"TotalCount\":9}}", rows.join(",")), Format::Json).unwrap();
        let read: Vec<_> = page.calls().collect();
        prop_assert_eq!(read.len(), rows.len());
        for (index, call) in read.into_iter().enumerate() {
            match call {
                Err(error) => prop_assert_eq!(error.index, before.len()),
                Ok(call) => {
                    let of = if index < before.len() { &before[index] } else { &after[index - before.len() - 1] };
                    prop_assert!(same(&[as_generated(call)], std::slice::from_ref(of)));
                }
            }
        }
        prop_assert_eq!(page.total_count(), Some(9));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\":,\\nu0I".to_vec())], 0..60)) {
        for format in [Format::Json, Format::Jsv] {
            if let Ok(page) = CallsPage::parse(Bytes::from(bytes.clone()), format) {
                for call in page.calls().flatten() {
                    let _ = call.to_record();
                }
            }
        }
    }
}

#[test]
fn depth_is_bounded_without_recursion() {
    let deep = format!(
        "{{\"Items\":[{{\"X\":{}1{}}}]}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(
        read(&deep, Format::Json)
            .unwrap_err()
            .contains("nested too deep")
    );
}

#[test]
fn a_small_body_does_not_unfold_without_bound() {
    for rows in [
        "{},".repeat(300_000),
        format!(r#"{{"CompletedFormIds":[{}0]}},"#, "0,".repeat(5_000_000)),
    ] {
        let text = format!("{{\"Items\":[{rows}{{}}]}}");
        assert!(
            read(&text, Format::Json)
                .unwrap_err()
                .starts_with("more than")
        );
    }
    let rows = "{},".repeat(300_000);
    assert!(read(&format!("{{Items:[{rows}{{}}]}}"), Format::Jsv).is_err());
}
