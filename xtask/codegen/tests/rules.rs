//! A small bad spec for each rule, and the messages it gives.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use callmeter_codegen::rules;
use callmeter_codegen::source::Source;

fn bad(name: &str) -> (PathBuf, PathBuf) {
    let name = PathBuf::from(format!("tests/bad/{name}.yaml"));
    (Path::new(env!("CARGO_MANIFEST_DIR")).join(&name), name)
}

#[test]
fn each_rule_says_where_and_what_to_write_instead() {
    let mut said = String::new();
    for rule in rules::names() {
        let (path, name) = bad(rule);
        let source = Source::open(&path, &name).unwrap();
        let breaches = rules::check(&source);
        assert!(!breaches.is_empty(), "{rule}: nothing found");
        for breach in breaches {
            assert_eq!(breach.rule, rule, "{breach}");
            let _ = writeln!(said, "{breach}");
        }
    }
    insta::assert_snapshot!(said);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let mut said = String::new();
    for name in [
        "unreadable-yaml",
        "unreadable-key-twice",
        "unreadable-no-openapi",
    ] {
        let (path, name) = bad(name);
        let _ = writeln!(said, "{}", Source::open(&path, &name).unwrap_err());
    }
    insta::assert_snapshot!(said);
}

#[test]
fn no_bad_spec_is_left_over() {
    let known: Vec<&str> = rules::names().collect();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")).unwrap()
    {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".yaml").unwrap();
        assert!(
            name.starts_with("unreadable-") || known.contains(&name),
            "tests/bad/{name}.yaml belongs to no rule"
        );
    }
}

#[test]
fn the_good_spec_breaks_no_rule() {
    let name = Path::new("tests/good.yaml");
    let source = Source::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name), name).unwrap();
    assert_eq!(rules::check(&source), []);
}
