//! Writes JSON values as YAML that people can read.

use serde_json::Value;

const HEADER: &str = "# Written by `cargo xtask mixin`; do not edit.\n";

/// A document.
pub(crate) fn document(value: &Value) -> String {
    let mut text = HEADER.to_owned();
    write(&mut text, value, 0);
    text
}

fn write(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(members) => {
            for (place, (key, value)) in members.iter().enumerate() {
                // The first member of an item of a list is behind the dash.
                if place > 0 || !text.ends_with("- ") {
                    text.push_str(&"  ".repeat(depth));
                }
                text.push_str(key);
                text.push(':');
                member(text, value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                text.push_str(&"  ".repeat(depth));
                text.push_str("- ");
                match item {
                    Value::Object(_) => write(text, item, depth + 1),
                    other => {
                        text.push_str(&other.to_string());
                        text.push('\n');
                    }
                }
            }
        }
        other => {
            text.push_str(&other.to_string());
            text.push('\n');
        }
    }
}

fn member(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(_) | Value::Array(_) => {
            text.push('\n');
            write(text, value, depth + 1);
        }
        Value::String(line) if line.len() > 60 || line.contains('\n') => {
            text.push_str(" |-\n");
            for line in line.lines() {
                text.push_str(&"  ".repeat(depth + 1));
                text.push_str(line);
                text.push('\n');
            }
        }
        other => {
            text.push(' ');
            text.push_str(&other.to_string());
            text.push('\n');
        }
    }
}
