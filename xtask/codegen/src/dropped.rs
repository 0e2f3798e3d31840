//! Keys of a spec that progenitor silently skips.
//!
//! `openapiv3` ignores unknown keys, so `maxlength: 64` would be accepted and have no effect.
//! Writing the model back and comparing it with the file finds each such key.

use serde_json::Value;

use crate::source::join;

/// The JSON pointers of keys in `written` that are not in `read`, which is the model written back.
pub fn keys(written: &Value, read: &Value) -> Vec<String> {
    let mut dropped = Vec::new();
    compare(written, read, "", &mut dropped);
    dropped
}

fn compare(written: &Value, read: &Value, pointer: &str, dropped: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (key, value) in written {
                let pointer = join(pointer, key);
                match read.get(key) {
                    Some(read) => compare(value, read, &pointer, dropped),
                    // An absent list or flag that says "none" or "no" is the same as one that is
                    // written.
                    None if says_nothing(value) => {}
                    None => dropped.push(pointer),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            for (index, (written, read)) in written.iter().zip(read).enumerate() {
                compare(written, read, &join(pointer, &index.to_string()), dropped);
            }
        }
        _ => {}
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}
