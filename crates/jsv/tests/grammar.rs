//! The grammar case by case: what ServiceStack's services send, what is refused and how the error
//! reads.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row<'a> {
    id: &'a str,
    seconds: Option<f64>,
    #[serde(default)]
    flagged: bool,
}

#[track_caller]
fn value(text: &str) -> Value {
    jsv::from_str(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Tries to read a list of bytes, and ignores the error if there is none.
#[derive(Debug)]
struct LenientList;

impl<'de> Deserialize<'de> for LenientList {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let _ = Vec::<u8>::deserialize(deserializer);
        Ok(Self)
    }
}

#[derive(Debug, PartialEq)]
struct LenientNumber(Option<u8>);

impl<'de> Deserialize<'de> for LenientNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(u8::deserialize(deserializer).ok()))
    }
}

#[test]
fn shapes_are_told_by_their_brackets_and_scalars_are_text() {
    assert_eq!(
        value(r#"{A:1,B:True,C:,D:"",E:[1,,x],F:{G:[]},"H, I":null}"#),
        json!({"A": "1", "B": "True", "C": null, "D": "", "E": ["1", null, "x"], "F": {"G": []}, "H, I": "null"})
    );
    assert_eq!(value("[,]"), json!([null, null]));
    assert_eq!(value("[a,]"), json!(["a", null]));
    assert_eq!(
        value("[[],[a],[[b,c]],]"),
        json!([[], ["a"], [["b", "c"]], null])
    );
}

#[test]
fn unquoted_text_holds_what_its_place_lets_it() {
    assert_eq!(
        value(r#"{When:2026-08-06T08:45:00Z,Span:PT1M1.25S,Odd:a]b[c,Inch:5" pipe, Blank : x }"#),
        json!({
            "When": "2026-08-06T08:45:00Z", "Span": "PT1M1.25S", "Odd": "a]b[c", "Inch": "5\" pipe",
            " Blank ": " x ",
        })
    );
    assert_eq!(
        value("[08:45:00,a[1],b[2[3]]]"),
        json!(["08:45:00", "a[1]", "b[2[3]]"])
    );
}

#[test]
fn names_of_structs_are_trimmed_and_keys_of_maps_are_not() {
    let row: Row<'_> = jsv::from_str("{ Id :7, \tSeconds:1}").unwrap();
    assert_eq!((row.id, row.seconds), ("7", Some(1.0)));
    let map: HashMap<String, i32> = jsv::from_str("{ Id :7}").unwrap();
    assert_eq!(map[" Id "], 7);
}

#[test]
fn unknown_members_of_any_shape_are_skipped() {
    let text =
        r#"{New:{A:[{B:"}]"},[[]],],"C,":{}},Id:7,Other:"a ""b"", c",Null:,Seconds:12,List:[1,2]}"#;
    let row: Row<'_> = jsv::from_str(text).unwrap();
    assert_eq!(
        row,
        Row {
            id: "7",
            seconds: Some(12.0),
            flagged: false
        }
    );
}

#[test]
fn an_answer_with_an_error_object() {
    let text = "{ResponseStatus:{ErrorCode:SecurityException,Message:\"Invalid UserName, or Password\",Errors:[]}}";
    assert_eq!(
        value(text),
        json!({"ResponseStatus": {
            "ErrorCode": "SecurityException", "Message": "Invalid UserName, or Password", "Errors": [],
        }})
    );
}

#[test]
fn quoted_text_without_quotes_inside_is_borrowed() {
    let rows: Vec<Row<'_>> = jsv::from_str(r#"[{Id:"a,b"}]"#).unwrap();
    assert_eq!(rows[0].id, "a,b");
    assert!(jsv::from_str::<&str>(r#""a""b""#).is_err());
    assert_eq!(jsv::from_str::<String>(r#""a""b""#).unwrap(), "a\"b");
}

#[test]
fn the_documented_sample_is_read_by_the_lenient_reader_only() {
    let sample =
        "[\r\n\t{\r\n\t\tId: String,\r\n\t\tSeconds: 0,\r\n\t\tFlagged: False\r\n\t}\r\n]\r\n";
    let rows: Vec<Row<'_>> = jsv::from_str_pretty(sample).unwrap();
    assert_eq!(
        rows,
        [Row {
            id: "String",
            seconds: Some(0.0),
            flagged: false
        }]
    );
    assert!(jsv::from_str::<Vec<Row<'_>>>(sample).is_err());
    // Quoted text stays as it is, even across lines.
    let kept: Vec<String> = jsv::from_str_pretty("[\n \" a,\n b \" , c d \n]").unwrap();
    assert_eq!(kept, [" a,\n b ", "c d"]);
}

#[test]
fn errors_say_what_and_where() {
    let mut seen = String::new();
    for text in [
        "",
        "[{Id:7,Seconds:1}",
        "[{Id:7,Seconds:1}]x",
        "[{Id:7,Seconds:1}]\n]",
        "[{Id:7,Seconds:1]",
        "[{Id:7},{Id:\"8}]",
        "[{Id:7,Seconds:1,}]",
        "[{Id:7,Seconds}]",
        "[{:7}]",
        "[{Id:a{b}]",
        "[{Id:\"a\"b}]",
        "[{Id:7,Seconds:twelve}]",
        "[{Id:7,Seconds:inf}]",
        "[{Id:7,Flagged:yes}]",
        "[{Id:7,Flagged:}]",
        "[{Id:[7]}]",
        "[{Seconds:7}]",
        "[7]",
        "{Id:7}",
        "[\n{Id:7}\n]",
        "{\nId: 7\n}",
        "[}",
        "[]]",
        "\u{feff}[]",
    ] {
        let error = jsv::from_str::<Vec<Row<'_>>>(text).unwrap_err();
        writeln!(seen, "{text:?}\n    {error}").unwrap();
    }
    insta::assert_snapshot!(seen);
}

#[test]
fn the_place_of_an_error_counts_lines_within_quotes() {
    let text = "[\"a\nb\",\"c\n\",x]";
    let error = jsv::from_str::<(String, String, u8)>(text).unwrap_err();
    let place = error.position().unwrap();
    assert_eq!((place.offset, place.line, place.column), (12, 3, 3));
    let bytes = b"[a,\n\xff]";
    let place = jsv::from_slice::<Vec<String>>(bytes)
        .unwrap_err()
        .position();
    let place = place.unwrap();
    assert_eq!((place.offset, place.line, place.column), (4, 2, 1));
}

#[test]
fn a_type_that_swallows_an_error_does_not_read_on_in_the_middle() {
    assert!(jsv::from_str::<Vec<LenientList>>("[[1,x],[2]]").is_err());
    // An invalid number is still one complete value, so it can be skipped.
    assert_eq!(
        jsv::from_str::<Vec<LenientNumber>>("[1,x,3]").unwrap(),
        [
            LenientNumber(Some(1)),
            LenientNumber(None),
            LenientNumber(Some(3))
        ]
    );
}

#[test]
fn limits_hold_for_read_and_skipped_values() {
    let limits = jsv::Limits {
        bytes: 1000,
        depth: 3,
        items: 10,
    };
    let read = |text: &str| {
        let mut reader = jsv::Deserializer::from_str(text).with_limits(limits);
        Value::deserialize(&mut reader).and_then(|_| reader.end())
    };
    let skip = |text: &str| {
        let mut reader = jsv::Deserializer::from_str(text).with_limits(limits);
        IgnoredAny::deserialize(&mut reader).and_then(|_| reader.end())
    };
    let fits = ["[[[]]]", "{A:{B:{}}}", "[,,,,,,,,,]"];
    let exceeds = [
        "[[[[]]]]",
        "{A:[{B:[]}]}",
        "[,,,,,,,,,,]",
        "[{A:1,B:2,C:3,D:4},{A:1,B:2,C:3,D:4,E:5}]",
    ];
    for text in fits {
        read(text).unwrap();
        skip(text).unwrap();
    }
    for text in exceeds {
        for error in [read(text).unwrap_err(), skip(text).unwrap_err()] {
            assert!(
                matches!(error.kind(), jsv::ErrorKind::Limit(..)),
                "{text} {error}"
            );
        }
    }
    let long = "a".repeat(jsv::Limits::DEFAULT.bytes + 1);
    for error in [
        jsv::from_str::<String>(&long).unwrap_err(),
        jsv::from_reader::<String>(long.as_bytes()).unwrap_err(),
    ] {
        assert!(
            matches!(error.kind(), jsv::ErrorKind::Limit("bytes", _)),
            "{error}"
        );
    }
    let deep = "[".repeat(1_000_000);
    for error in [
        jsv::from_str::<Value>(&deep).unwrap_err(),
        jsv::from_str::<IgnoredAny>(&deep).unwrap_err(),
    ] {
        assert!(matches!(error.kind(), jsv::ErrorKind::Limit(..)), "{error}");
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    #[derive(serde::Serialize)]
    struct Deeper(Vec<Deeper>);
    let deep = (0..60).fold(Deeper(Vec::new()), |inner, _| Deeper(vec![inner]));
    assert!(matches!(
        jsv::to_string(&deep).unwrap_err().kind(),
        jsv::ErrorKind::Limit(..)
    ));
    for key in [vec![1], vec![]] {
        let error = jsv::to_string(&BTreeMap::from([(key, 1)])).unwrap_err();
        assert!(matches!(error.kind(), jsv::ErrorKind::Key), "{error}");
    }
    let error = jsv::to_string(&BTreeMap::from([(None::<u8>, 1)])).unwrap_err();
    assert!(matches!(error.kind(), jsv::ErrorKind::Key), "{error}");
}

#[test]
fn errors_quote_nothing_of_the_text() {
    for text in [
        "[secret]",
        "[{secret:1}]",
        "[{Id:1,Seconds:secret}]",
        "[{Id:1,Flagged:secret}]",
        "secret",
    ] {
        let error = jsv::from_str::<Vec<Row<'_>>>(text).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn a_writer_that_fails_and_one_that_does_not() {
    let mut out = Vec::new();
    jsv::to_writer(&mut out, &[Some(1), None]).unwrap();
    assert_eq!(out, b"[1,]");
    let error = jsv::to_writer(&mut [0_u8; 2][..], "abc").unwrap_err();
    assert!(matches!(error.kind(), jsv::ErrorKind::Io(_)));
}
