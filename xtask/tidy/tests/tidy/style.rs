//! How files look: each begins with what it is for, comments are not wide, `mod.rs` holds no logic.

use std::collections::BTreeMap;

use syn::Item;

use crate::known;
use crate::tree::{SourceFile, packages, root};

/// The widest comment line, in characters.
const WIDEST: usize = 100;

#[test]
fn files_begin_with_what_they_are_for() {
    let files = packages().into_iter().flat_map(|package| package.files());
    let without: Vec<String> = files
        .filter(|file| {
            !begins_with_purpose(&file.text)
                && !known::WITHOUT_PURPOSE.contains(&file.name.as_str())
        })
        .map(|file| file.name)
        .collect();
    assert!(
        without.is_empty(),
        "begin these with a `//!` line that says what the file is for: {without:#?}"
    );
}

fn begins_with_purpose(text: &str) -> bool {
    // A README may serve as a crate's documentation.
    text.starts_with("//! ") || text.starts_with("#![doc = include_str!(")
}

#[test]
fn comments_are_at_most_100_columns_wide() {
    let mut found = Vec::new();
    for package in packages() {
        let wide: Vec<String> = package.files().iter().flat_map(wide_comments).collect();
        let limit = known::WIDE_COMMENTS
            .iter()
            .find(|(name, _)| *name == package.name);
        if wide.len() > limit.map_or(0, |(_, count)| *count) {
            found.extend(wide);
        }
    }
    assert!(
        found.is_empty(),
        "comment lines over {WIDEST} columns:\n{}",
        found.join("\n")
    );
}

fn wide_comments(file: &SourceFile) -> Vec<String> {
    let lines = file
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| is_wide_comment(line));
    lines
        .map(|(number, _)| format!("{}:{}", file.name, number + 1))
        .collect()
}

/// URLs and rows of tables cannot be broken.
fn is_wide_comment(line: &str) -> bool {
    let Some(comment) = line.trim_start().strip_prefix("//") else {
        return false;
    };
    let text = comment.trim_start_matches(['/', '!', ' ']);
    line.chars().count() > WIDEST && !text.contains("://") && !text.starts_with('|')
}

#[test]
fn mod_files_only_declare_and_reexport() {
    let mut logic = BTreeMap::new();
    for file in packages().iter().flat_map(crate::tree::Package::files) {
        if file.name.contains("/src/") && file.name.ends_with("/mod.rs") {
            let items = syn::parse_file(&file.text).unwrap().items;
            let other = items.iter().filter(|item| !declares(item)).count();
            if other > 0 && !known::MOD_FILES_WITH_LOGIC.contains(&file.name.as_str()) {
                logic.insert(file.name, other);
            }
        }
    }
    assert!(
        logic.is_empty(),
        "move these items from mod.rs to a file that is named for them: {logic:#?}"
    );
}

/// Whether an item is `mod name;` or `pub use`; tests may be inline.
fn declares(item: &Item) -> bool {
    match item {
        Item::Mod(item) => item.content.is_none() || item.ident == "tests",
        Item::Use(_) => true,
        _ => false,
    }
}

#[test]
fn the_compiler_of_the_repository_is_the_oldest_supported_one() {
    let value = |file: &str, key: &str| {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap().trim_matches([' ', '=', '"']).to_owned()
    };
    let channel = value("rust-toolchain.toml", "channel");
    assert_eq!(channel, value("Cargo.toml", "rust-version") + ".0");
}

#[test]
fn wide_comments_are_told_from_code_urls_and_tables() {
    let long = "x".repeat(100);
    assert!(is_wide_comment(&format!("    /// {long}")));
    assert!(is_wide_comment(&format!("//! {long}")));
    assert!(!is_wide_comment(&format!("//{}", "x".repeat(98))));
    assert!(!is_wide_comment(&format!("let x = \"{long}\";")));
    assert!(!is_wide_comment(&format!("// https://example.com/{long}")));
    assert!(!is_wide_comment(&format!("/// | {long} |")));
}

#[test]
fn a_mod_file_with_a_function_holds_logic() {
    let text = "//! A module.\nmod a;\npub use a::B;\nfn c() {}";
    let items = syn::parse_file(text).unwrap().items;
    assert_eq!(
        items.iter().map(declares).collect::<Vec<_>>(),
        [true, true, false]
    );
    assert!(begins_with_purpose(text) && !begins_with_purpose("use a;\n//! late"));
}
