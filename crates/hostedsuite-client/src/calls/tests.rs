//! Properties of reading pages: the same result as `serde_json` where that can read them, and a
//! better one where it cannot.

use api_client::Number;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::generated::types::{CallRecordInfo, CallRecordPage};

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

/// A member with a name and, sometimes, a value.
fn member(
    name: &'static str,
    value: impl Strategy<Value = Option<Value>> + 'static,
) -> BoxedStrategy<(&'static str, Option<Value>)> {
    value.prop_map(move |value| (name, value)).boxed()
}

fn object(members: Vec<BoxedStrategy<(&'static str, Option<Value>)>>) -> BoxedStrategy<Value> {
    let filled = |members: Vec<(&str, Option<Value>)>| {
        let present = members.into_iter();
        Value::Object(
            present
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect(),
        )
    };
    members.prop_map(filled).boxed()
}

/// Objects with the members of a table.
macro_rules! objects_of {
    ($($name:ident: $kind:ident $(($record:ident, $row:ident))? = $member:literal, $doc:literal;)*) => {
        object(vec![$(member($member, objects_of!(@$kind))),*])
    };
    (@text) => { text().prop_map(|text| text.map(Value::String)) };
    (@number) => { number().prop_map(|number| serde_json::to_value(number).ok().filter(|value| !value.is_null())) };
    (@flag) => { option::of(any::<bool>().prop_map(Value::Bool)) };
    (@texts) => { option::of(vec("\\PC{0,5}".prop_map(Value::String), 0..3).prop_map(Value::Array)) };
    (@objects) => { option::of(vec(interaction(), 0..3).prop_map(Value::Array)) };
}

fn interaction() -> BoxedStrategy<Value> {
    call_record_interaction_info! { objects_of }
}

fn record() -> impl Strategy<Value = CallRecordInfo> {
    call_record_info! { objects_of }.prop_map(|record| serde_json::from_value(record).unwrap())
}

/// Builds an object from the getters of a row.
macro_rules! object_from {
    ($row:ident; $($name:ident: $kind:ident $(($record:ident, $inner:ident))? = $member:literal, $doc:literal;)*) => {{
        let mut object = serde_json::Map::new();
        $(if let Some(value) = object_from!(@$kind $member, $row.$name(), $row) {
            object.insert($member.to_owned(), value);
        })*
        Value::Object(object)
    }};
    (@text $member:literal, $value:expr, $row:ident) => { $value.map(Value::from) };
    (@number $member:literal, $value:expr, $row:ident) => {
        serde_json::to_value($value.to_owned()).ok().filter(|value| !value.is_null())
    };
    (@flag $member:literal, $value:expr, $row:ident) => { $value.unwrap().map(Value::Bool) };
    (@texts $member:literal, $value:expr, $row:ident) => {
        $value.map(|list| list.map(|text| Value::from(text.unwrap())).collect())
    };
    (@objects $member:literal, $value:expr, $row:ident) => {
        $value.map(|list| list.map(|entry| call_record_interaction_info! { object_from entry; }).collect())
    };
}

/// Builds a record of the generated type from the getters.
fn as_generated(call: CallRef<'_>) -> CallRecordInfo {
    let mut object = call_record_info! { object_from call; };
    // The getter returns `None` for an empty id.
    if let Some(id) = call.0.text(0) {
        object["Id"] = id.into();
    }
    serde_json::from_value(object).unwrap()
}

fn read(text: &str, format: Format) -> Result<CallsPage, String> {
    CallsPage::parse(Bytes::copy_from_slice(text.as_bytes()), format)
}

fn records(page: &CallsPage) -> Vec<CallRecordInfo> {
    page.calls()
        .map(|call| as_generated(call.unwrap()))
        .collect()
}

/// The same JSON with members in another order and case, and unknown members.
fn disturbed(value: &serde_json::Value, turn: usize) -> String {
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

/// Compares as JSON: a number in the answer's text may be written differently (`1` and `1.0`).
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

    /// A page that is cut off anywhere is an error, never a page with fewer rows.
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

    /// A broken row does not affect the others.
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
fn a_row_that_is_nested_too_deep_costs_no_other_row() {
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    for member in ["Unknown", "Notes", "Interactions"] {
        let body = format!(
            r#"{{"Items":[{{"Id":"1"}},{{"Id":"2","{member}":{deep}}},{{"Id":"3"}}],"TotalCount":3}}"#
        );
        let page = read(&body, Format::Json).unwrap();
        let calls: Vec<_> = page.calls().collect();
        let ids = [&calls[0], &calls[2]].map(|call| call.as_ref().unwrap().id());
        assert_eq!(ids, [Some("1"), Some("3")], "{member}");
        let error = calls[1].as_ref().unwrap_err();
        assert!(error.reason.contains("nested too deep"), "{error}");
    }
}

#[test]
fn depth_is_bounded_without_recursion() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let error = read(&format!(r#"{{"Unknown":{deep}}}"#), Format::Json).unwrap_err();
    assert!(error.contains("nested too deep"), "{error}");
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

#[derive(Default)]
struct Texts(std::collections::HashMap<u64, KnownText>);

impl crate::KnownRows for Texts {
    fn text_of(&self, id: u64) -> Option<KnownText> {
        self.0.get(&id).copied()
    }
}

fn parse_known(body: &str, known: &Texts) -> Result<CallsPage, String> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let bytes = body.len() as u64;
    crate::raw_table::read(COLUMNS, body, Format::Json, Some(known))
        .map(|table| CallsPage::new(table, bytes, 0, None, false))
        .map_err(|Unreadable(reason)| reason)
}

proptest! {
    /// Known rows are left out and nothing else changes, wherever the text was cut or changed.
    #[test]
    fn rows_whose_texts_are_known_are_not_read(
        rows in vec((0_u32..50, "[a-z\"{}\\[\\],\\\\]{0,12}"), 1..8),
        known in vec(any::<bool>(), 8),
        cut in 0_usize..400,
        changed in 0_usize..400,
    ) {
        let row = |(id, notes): &(u32, String)| {
            let notes = serde_json::to_string(notes).unwrap();
            format!(r#"{{"Id":"call-{id}","Notes":{notes},"HoldCount":{id}}}"#)
        };
        let texts: Vec<String> = rows.iter().map(row).collect();
        let body = format!(r#"{{"Items":[{}],"TotalCount":9}}"#, texts.join(" , "));
        let read = parse_known(&body, &Texts::default()).unwrap();
        let kept = (0..rows.len()).filter(|index| known[*index]);
        let kept = Texts(kept.filter_map(|index| read.known_text(index)).collect());
        let page = parse_known(&body, &kept).unwrap();
        prop_assert_eq!(page.row_hashes(), read.row_hashes());
        prop_assert_eq!(page.total_count(), Some(9));
        for (index, row) in page.rows().enumerate() {
            match row {
                CallRow::Read(call) => prop_assert_eq!(call.id(), read.calls().nth(index).unwrap().unwrap().id()),
                CallRow::Known(id) => {
                    prop_assert!(kept.0.contains_key(&id));
                    let again = page.read_again(index).unwrap();
                    let (again, call) = (again.calls().next().unwrap().unwrap(), read.calls().nth(index).unwrap().unwrap());
                    prop_assert_eq!((again.id(), again.notes()), (call.id(), call.notes()));
                }
                CallRow::Unreadable(error) => prop_assert!(false, "{}", error),
            }
        }
        // A body that is cut or changed is read in the same way, whatever is known.
        let cut = &body[..cut.min(body.len())];
        let mut bytes = body.clone().into_bytes();
        let place = changed % bytes.len();
        bytes[place] = bytes[place].wrapping_add(1) & 0x7f;
        let changed = String::from_utf8(bytes).unwrap();
        for other in [cut, &changed] {
            let (with, without) = (parse_known(other, &kept), parse_known(other, &Texts::default()));
            prop_assert_eq!(with.as_ref().err(), without.as_ref().err());
            if let (Ok(with), Ok(without)) = (with, without) {
                prop_assert_eq!(with.row_hashes(), without.row_hashes());
            }
        }
    }
}
