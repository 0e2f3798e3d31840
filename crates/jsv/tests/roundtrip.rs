//! What is written is read back, for values of every kind that serde knows, nested.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    text: String,
    optional: Option<String>,
    signed: i64,
    unsigned: u64,
    wide: i128,
    double: f64,
    single: f32,
    flag: bool,
    letter: char,
    list: Vec<Option<String>>,
    lists: Vec<Vec<i32>>,
    map: BTreeMap<String, String>,
    numbered: BTreeMap<i32, bool>,
    kind: Kind,
    kinds: BTreeMap<Bare, Kind>,
    pair: (u8, Option<String>),
    #[serde(rename = "a \"name\": with, all [of] {it}")]
    wrapped: Option<Wrapped>,
    children: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(String);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Bare {
    One,
    #[serde(rename = "t,w\"o")]
    Two,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    #[serde(rename = "of, any:\"kind\"")]
    Renamed,
    Newtype(Option<String>),
    Tuple(i8, Option<String>),
    Struct {
        a: Option<f64>,
        b: Vec<String>,
    },
}

/// Text with many of the characters that have a meaning in the format.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        3 => prop::sample::select("\":,{}[]\r\n\\ \t'".chars().collect::<Vec<_>>()),
        2 => prop::char::range('a', 'c'),
        1 => any::<char>(),
    ];
    vec(character, 0..8).prop_map(String::from_iter)
}

/// A list of exactly one null is written as the empty list: the format cannot tell them apart.
fn nullable_list() -> impl Strategy<Value = Vec<Option<String>>> {
    vec(prop::option::of(text()), 0..4).prop_filter("one null", |list| list != &[None])
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::num::f64::ANY.prop_filter("NaN is not equal to itself", |double| !double.is_nan()),
        (-1_000_000_i32..1_000_000).prop_map(|cents| f64::from(cents) / 100.0),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Unit),
        Just(Kind::Renamed),
        prop::option::of(text()).prop_map(Kind::Newtype),
        (any::<i8>(), prop::option::of(text())).prop_map(|(a, b)| Kind::Tuple(a, b)),
        (prop::option::of(double()), vec(text(), 0..3)).prop_map(|(a, b)| Kind::Struct { a, b }),
    ]
}

fn leaf() -> impl Strategy<Value = Node> {
    let scalars = (
        text(),
        prop::option::of(text()),
        any::<i64>(),
        any::<u64>(),
        any::<i128>(),
        double(),
        prop::num::f32::NORMAL,
        any::<bool>(),
        any::<char>(),
    );
    let composed = (
        nullable_list(),
        vec(vec(any::<i32>(), 0..3), 0..3),
        btree_map(text(), text(), 0..3),
        btree_map(any::<i32>(), any::<bool>(), 0..3),
        kind(),
        btree_map(
            prop::sample::select(vec![Bare::One, Bare::Two]),
            kind(),
            0..2,
        ),
        (any::<u8>(), prop::option::of(text())),
        prop::option::of(text()),
    );
    (scalars, composed).prop_map(|(scalars, composed)| {
        let (text, optional, signed, unsigned, wide, double, single, flag, letter) = scalars;
        let (list, lists, map, numbered, kind, kinds, pair, wrapped) = composed;
        Node {
            text,
            optional,
            signed,
            unsigned,
            wide,
            double,
            single,
            flag,
            letter,
            list,
            lists,
            map,
            numbered,
            kind,
            kinds,
            pair,
            wrapped: wrapped.map(Wrapped),
            children: Vec::new(),
        }
    })
}

fn node() -> impl Strategy<Value = Node> {
    leaf().prop_recursive(3, 8, 3, |inner| {
        (leaf(), vec(inner, 0..3)).prop_map(|(node, children)| Node { children, ..node })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_nested_value_comes_back(node in node()) {
        let text = jsv::to_string(&node).unwrap();
        prop_assert_eq!(&jsv::from_str::<Node>(&text).unwrap(), &node);
        prop_assert_eq!(&jsv::from_reader::<Node>(text.as_bytes()).unwrap(), &node);
        // It can be skipped, and cut out and read again.
        jsv::from_str::<serde::de::IgnoredAny>(&text).unwrap();
        let twice = format!("[{text},{text}]");
        let raw: Vec<jsv::Raw<'_>> = jsv::from_str(&twice).unwrap();
        prop_assert_eq!(raw[1].get(), &text);
    }

    #[test]
    fn every_cut_is_an_error(node in leaf(), place in any::<prop::sample::Index>()) {
        let text = jsv::to_string(&node).unwrap();
        let cuts: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
        let cut = &text[..cuts[place.index(cuts.len())]];
        let error = jsv::from_str::<Node>(cut).unwrap_err();
        prop_assert!(error.is_truncated() || cut.is_empty(), "{}", error);
    }

    #[test]
    fn a_text_comes_back_from_every_place(text in text()) {
        let alone = jsv::to_string(&text).unwrap();
        prop_assert_eq!(&jsv::from_str::<String>(&alone).unwrap(), &text);
        let key = BTreeMap::from([(text, 1)]);
        prop_assert_eq!(&jsv::from_str::<BTreeMap<String, i32>>(&jsv::to_string(&key).unwrap()).unwrap(), &key);
    }

    #[test]
    fn doubles_come_back_bit_by_bit(bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        let back: f64 = jsv::from_str(&jsv::to_string(&double).unwrap()).unwrap();
        prop_assert!(back.to_bits() == bits || double.is_nan() && back.is_nan());
    }

    #[test]
    fn any_text_ends_in_a_value_or_an_error_with_its_place(input in "[\":,{}\\[\\]\r\n ab1]{0,40}") {
        type Members = BTreeMap<String, Vec<Option<String>>>;
        let results = [
            jsv::from_str::<serde_json::Value>(&input).map(drop),
            jsv::from_str::<Members>(&input).map(drop),
            jsv::from_str_pretty::<serde_json::Value>(&input).map(drop),
        ];
        for error in results.into_iter().filter_map(Result::err) {
            prop_assert!(error.position().is_some_and(|place| place.offset <= input.len()), "{error}");
        }
        // Skipping and reading agree on what is JSV.
        let read = jsv::from_str::<serde_json::Value>(&input).is_ok();
        let skipped = jsv::from_str::<serde::de::IgnoredAny>(&input).is_ok();
        prop_assert_eq!(read, skipped);
    }
}
