//! A value that is written reads back the same, also after it was read and written again.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, PartialEq, Arbitrary, Serialize, Deserialize)]
struct Node {
    text: String,
    optional: Option<String>,
    signed: i64,
    unsigned: u128,
    double: f64,
    single: f32,
    flag: bool,
    letter: char,
    list: Vec<Option<String>>,
    map: BTreeMap<String, String>,
    numbered: BTreeMap<i16, Vec<Vec<u8>>>,
    kind: Kind,
    #[serde(rename = "quo\"ted, name")]
    pair: (u8, Option<String>),
    children: Vec<Node>,
}

#[derive(Debug, PartialEq, Arbitrary, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(Option<String>),
    Tuple(i8, Option<String>),
    Struct { a: Option<f64>, b: Vec<String> },
}

impl Node {
    /// Replaces values that the format cannot tell apart, and NaN, which is not equal to itself.
    fn normalise(&mut self) {
        if self.list == [None] {
            self.list.clear();
        }
        if self.double.is_nan() {
            self.double = 0.0;
        }
        if self.single.is_nan() {
            self.single = 0.0;
        }
        if let Kind::Struct { a: Some(a), .. } = &mut self.kind {
            if a.is_nan() {
                *a = 0.0;
            }
        }
        self.children.iter_mut().for_each(Self::normalise);
    }
}

/// The same for a value without types: members that are null vanish, and a list of one null is
/// empty.
fn normalise(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(normalise);
            if items[..] == [Value::Null] {
                items.clear();
            }
        }
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(normalise);
        }
        _ => {}
    }
}

fuzz_target!(|input: &[u8]| {
    if let Ok(mut node) = Node::arbitrary(&mut Unstructured::new(input)) {
        node.normalise();
        match jsv::to_string(&node) {
            Ok(text) => {
                let back: Node =
                    jsv::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                assert_eq!(back, node, "{text}");
            }
            Err(error) => assert!(matches!(error.kind(), jsv::ErrorKind::Limit(..)), "{error}"),
        }
    }
    if let Ok(mut value) = jsv::from_slice::<Value>(input) {
        normalise(&mut value);
        let text = jsv::to_string(&value).expect("what was read can be written");
        let back: Value = jsv::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(back, value, "{text}");
        // Writing the value that was read gives the same text.
        assert_eq!(jsv::to_string(&back).expect("it was written before"), text);
    }
});
