//! Rules of schemas.

use std::collections::BTreeMap;

use serde_json::Value;

use super::findings::Findings;
use crate::plan::variant;
use crate::schemas::{self, COMPONENTS, Side, children, members, reference, roots, text, walk};
use crate::source::{Source, join};

/// Calls `visit` for every schema of the spec: those of the components, those that operations name,
/// and all inside them.
fn every(source: &Source, mut visit: impl FnMut(&str, &Value)) {
    let components =
        members(source.root.pointer(COMPONENTS)).map(|(name, _)| join(COMPONENTS, name));
    let used = [Side::Request, Side::Answer]
        .into_iter()
        .flat_map(|side| roots(source, side));
    let mut waiting: Vec<String> = components.chain(used).collect();
    while let Some(pointer) = waiting.pop() {
        if let Some(value) = source.root.pointer(&pointer) {
            visit(&pointer, value);
            waiting.extend(children(value, &pointer));
        }
    }
}

/// Calls `visit` for every schema that one side uses.
fn side(source: &Source, side: Side, mut visit: impl FnMut(&str, &Value)) {
    for root in roots(source, side) {
        walk(source, &root, &mut visit);
    }
}

pub(super) fn dangling_references(source: &Source, findings: &mut Findings<'_>) {
    let mut waiting = vec![(String::new(), &source.root)];
    while let Some((pointer, value)) = waiting.pop() {
        // The content of `example` is data, not description.
        let entries: Vec<(String, &Value)> = match value {
            Value::Object(all) => all
                .iter()
                .filter(|(key, _)| *key != "example")
                .map(|(key, value)| (join(&pointer, key), value))
                .collect(),
            Value::Array(all) => all
                .iter()
                .enumerate()
                .map(|(index, value)| (join(&pointer, &index.to_string()), value))
                .collect(),
            _ => continue,
        };
        if let Some(target) = text(value, "$ref") {
            let found = target
                .strip_prefix('#')
                .is_some_and(|inside| source.root.pointer(inside).is_some());
            if !found {
                findings.add(
                    &join(&pointer, "$ref"),
                    format!("{target} is not in this file: progenitor panics"),
                    "a name that the components have",
                );
            }
        }
        waiting.extend(entries);
    }
}

pub(super) fn reference_siblings(source: &Source, findings: &mut Findings<'_>) {
    every(source, |pointer, schema| {
        let others: Vec<&String> = members(Some(schema))
            .map(|(key, _)| key)
            .filter(|key| *key != "$ref")
            .collect();
        if schema.get("$ref").is_some() && !others.is_empty() {
            findings.add(
                pointer,
                format!("{} beside a $ref: OpenAPI 3.0 ignores it", list(&others)),
                "it into the schema that the $ref names",
            );
        }
    });
}

pub(super) fn names(source: &Source, findings: &mut Findings<'_>) {
    for (name, _) in members(source.root.pointer(COMPONENTS)) {
        let pascal = name.starts_with(|letter: char| letter.is_ascii_uppercase())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric());
        if !pascal {
            findings.add(
                &join(COMPONENTS, name),
                format!("the schema {name} is not in PascalCase: its Rust type would have another name, and replacements would miss it"),
                "words without anything between them, each with a capital",
            );
        }
        if ["Error", "Client", "ResponseValue", "ByteStream"].contains(&name.as_str()) {
            findings.add(
                &join(COMPONENTS, name),
                format!("the schema {name} has the name of a type that every client has"),
                "another name, such as ApiError",
            );
        }
    }
}

pub(super) fn titles(source: &Source, findings: &mut Findings<'_>) {
    every(source, |pointer, schema| {
        if schema.get("title").is_some() {
            findings.add(
                &join(pointer, "title"),
                "a title renames the type; one that equals another schema's name takes that type instead",
                "a description",
            );
        }
    });
}

pub(super) fn types(source: &Source, findings: &mut Findings<'_>) {
    const TYPES: [&str; 6] = ["string", "number", "integer", "boolean", "array", "object"];
    every(source, |pointer, schema| {
        if ["$ref", "allOf", "anyOf", "oneOf", "not"]
            .iter()
            .any(|key| schema.get(key).is_some())
        {
            return;
        }
        match text(schema, "type") {
            Some(kind) if TYPES.contains(&kind) => {}
            Some(kind) => findings.add(
                &join(pointer, "type"),
                format!("{kind} is no type: progenitor reads it as any JSON"),
                format!("one of {}", TYPES.join(", ")),
            ),
            None if members(Some(schema))
                .all(|(key, _)| key == "description" || key.starts_with("x-")) => {}
            None => findings.add(
                pointer,
                "a schema without a type is read as any JSON, whatever else it says",
                "its type, or nothing but a description when any JSON is meant",
            ),
        }
    });
}

pub(super) fn combinations(source: &Source, findings: &mut Findings<'_>) {
    every(source, |pointer, schema| {
        for key in ["anyOf", "oneOf", "allOf", "not"] {
            if schema.get(key).is_some() {
                findings.add(
                    &join(pointer, key),
                    format!("{key} gives an untagged or flattened type: the first unforeseen value fails its whole body"),
                    "one object with every member, all optional, or a plain enum (answers keep unknown values)",
                );
            }
        }
    });
}

pub(super) fn inline_objects(source: &Source, findings: &mut Findings<'_>) {
    every(source, |pointer, schema| {
        let named = pointer
            .strip_prefix(COMPONENTS)
            .is_some_and(|rest| rest.matches('/').count() == 1);
        if !named && schema.get("properties").is_some() {
            findings.add(
                pointer,
                "an object inside a schema gets a type named after its place, and the passes do not know it",
                "a schema of the components, and a $ref to it",
            );
        }
    });
}

pub(super) fn enum_values(source: &Source, findings: &mut Findings<'_>) {
    every(source, |pointer, schema| {
        let Some(values) = schema.get("enum").and_then(Value::as_array) else {
            return;
        };
        let nullable = schema.get("nullable") == Some(&Value::Bool(true));
        let mut variants: BTreeMap<String, &str> = BTreeMap::new();
        for value in values {
            let Some(value) = value.as_str() else {
                if !(nullable && value.is_null()) {
                    findings.add(
                        &join(pointer, "enum"),
                        format!("{value} among the values of an enum"),
                        "texts only, and null only beside nullable: true",
                    );
                }
                continue;
            };
            let name = variant(value);
            if !name.starts_with(char::is_alphabetic) {
                findings.add(
                    &join(pointer, "enum"),
                    format!("the value {value:?} gives no name for a variant: progenitor panics"),
                    "type: string, and the values in the description",
                );
            } else if let Some(other) = variants.insert(name.clone(), value) {
                findings.add(
                    &join(pointer, "enum"),
                    format!("the values {other:?} and {value:?} give one variant, {name}: progenitor panics"),
                    "type: string, and the values in the description",
                );
            }
        }
    });
}

pub(super) fn member_names(source: &Source, findings: &mut Findings<'_>) {
    every(source, |pointer, schema| {
        let mut fields: BTreeMap<String, &String> = BTreeMap::new();
        for (name, _) in members(schema.get("properties")) {
            let field = field_name(name);
            if let Some(other) = fields.insert(field.clone(), name) {
                findings.add(
                    &join(&join(pointer, "properties"), name),
                    format!("the members {other} and {name} give one field, {field}: the code does not compile"),
                    "one of them; the reader skips the other",
                );
            }
        }
    });
}

/// The name of the field that progenitor makes for a member.
fn field_name(member: &str) -> String {
    let mut field = String::new();
    let mut before = ' ';
    for letter in member.chars() {
        if letter.is_uppercase() && (before.is_lowercase() || before.is_numeric()) {
            field.push('_');
        }
        if letter.is_alphanumeric() {
            field.extend(letter.to_lowercase());
        } else {
            field.push('_');
        }
        before = letter;
    }
    field.trim_matches('_').to_owned()
}

pub(super) fn additional_members(source: &Source, findings: &mut Findings<'_>) {
    every(source, |pointer, schema| {
        let Some(additional) = schema.get("additionalProperties") else {
            return;
        };
        let pointer = join(pointer, "additionalProperties");
        if schema.get("properties").is_some() {
            findings.add(
                &pointer,
                "additionalProperties beside properties: false fails a whole body for one new member, a schema reads every member twice",
                "properties only; members that are not described are skipped",
            );
        } else if text(additional, "type").is_none() && reference(additional).is_none() {
            findings.add(
                &pointer,
                "a map of nobody knows what",
                "the type of its values",
            );
        }
    });
}

pub(super) fn answer_bounds(source: &Source, findings: &mut Findings<'_>) {
    const BOUNDS: [&str; 13] = [
        "required",
        "default",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "minItems",
        "maxItems",
        "uniqueItems",
    ];
    side(source, Side::Answer, |pointer, schema| {
        for bound in BOUNDS {
            if schema.get(bound).is_some() {
                findings.add(
                    &join(pointer, bound),
                    format!("{bound} in an answer: the first server that does not keep to it costs its whole body"),
                    "it into the description",
                );
            }
        }
        if let Some(format @ ("date-time" | "date" | "uuid" | "ipv4" | "ipv6")) =
            text(schema, "format")
        {
            findings.add(
                &join(pointer, "format"),
                format!("the format {format} in an answer: a text that is not quite it costs its whole body"),
                "type: string, and the format in the description",
            );
        }
    });
}

pub(super) fn answer_nulls(source: &Source, findings: &mut Findings<'_>) {
    side(source, Side::Answer, |pointer, schema| {
        for (name, member) in members(schema.get("properties")) {
            let many = text(member, "type") == Some("array")
                || member.get("additionalProperties").is_some();
            if many && member.get("nullable") != Some(&Value::Bool(true)) {
                findings.add(
                    &join(&join(pointer, "properties"), name),
                    format!("the list or map {name} is not nullable: a null costs its whole body"),
                    "nullable: true",
                );
            }
        }
    });
}

pub(super) fn answer_enums(source: &Source, findings: &mut Findings<'_>) {
    side(source, Side::Answer, |pointer, schema| {
        let named = pointer
            .strip_prefix(COMPONENTS)
            .is_some_and(|rest| rest.matches('/').count() == 1);
        if schema.get("enum").is_some() && !named {
            findings.add(
                &join(pointer, "enum"),
                "an enum inside an answer's schema cannot be replaced by one that keeps unknown values",
                "a schema of the components, and a $ref to it",
            );
        }
    });
}

pub(super) fn request_patterns(source: &Source, findings: &mut Findings<'_>) {
    side(source, Side::Request, |pointer, schema| {
        if schema.get("pattern").is_some() {
            findings.add(
                &join(pointer, "pattern"),
                "a pattern makes the client need a regular-expression engine for it alone",
                "it into the description, and check it in the facade",
            );
        }
        if let Some(format @ ("date-time" | "date" | "uuid")) = text(schema, "format") {
            findings.add(
                &join(pointer, "format"),
                format!("the format {format} makes the client need a crate for it alone"),
                "type: string, and the format in the description",
            );
        }
    });
}

pub(super) fn both_sides(source: &Source, findings: &mut Findings<'_>) {
    let requests = schemas::used(source, Side::Request);
    let answers = schemas::used(source, Side::Answer);
    for name in requests.intersection(&answers) {
        let pointer = join(COMPONENTS, name);
        let is_object = source
            .root
            .pointer(&pointer)
            .is_some_and(|schema| schema.get("properties").is_some());
        if is_object {
            findings.add(
                &pointer,
                format!(
                    "{name} is sent and received: what a request must have, an answer may lack"
                ),
                "a schema for each side",
            );
        }
    }
}

fn list(keys: &[&String]) -> String {
    keys.iter()
        .map(|key| key.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
