//! Rules of paths, operations, parameters, requests and answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::findings::Findings;
use crate::plan::{ACCESS, Access};
use crate::schemas::{self, Operation, members, operations, reference, text};
use crate::source::{Source, join};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const BYTES: &str = "application/octet-stream";

pub(super) fn version(source: &Source, findings: &mut Findings<'_>) {
    let version = text(&source.root, "openapi").unwrap_or_default();
    if version != "3.0.3" {
        findings.add(
            "/openapi",
            format!("OpenAPI {version:?}: progenitor reads 3.0 only"),
            "openapi: 3.0.3",
        );
    }
}

pub(super) fn path_references(source: &Source, findings: &mut Findings<'_>) {
    for (path, item) in members(source.root.get("paths")) {
        if item.get("$ref").is_some() {
            findings.add(
                &join("/paths", path),
                format!("the path {path} is a $ref, which progenitor does not follow"),
                "the path item itself",
            );
        }
    }
}

pub(super) fn operation_ids(source: &Source, findings: &mut Findings<'_>) {
    let mut first: BTreeMap<&str, String> = BTreeMap::new();
    for operation in operations(source) {
        let pointer = join(&operation.pointer(), "operationId");
        let what = format!("{} {}", operation.method, operation.path);
        let Some(id) = text(operation.value, "operationId") else {
            findings.add(
                &operation.pointer(),
                format!("{what} has no operationId, so its method has no name"),
                "an operationId in snake_case",
            );
            continue;
        };
        if !is_snake_case(id) {
            findings.add(
                &pointer,
                format!("the operationId {id} is not in snake_case; two that differ only in case give one method twice"),
                "lower-case words with underscores between them",
            );
        }
        if id == "new" {
            findings.add(
                &pointer,
                format!("the operationId {id} is the name of a function that every client has"),
                "another name",
            );
        }
        if let Some(other) = first.insert(id, what.clone()) {
            findings.add(
                &pointer,
                format!("the operationId {id} is that of {other} too"),
                "a name for each",
            );
        }
    }
}

fn is_snake_case(id: &str) -> bool {
    id.starts_with(|letter: char| letter.is_ascii_lowercase())
        && id.split('_').all(|word| {
            !word.is_empty()
                && word
                    .chars()
                    .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        })
}

pub(super) fn access(source: &Source, findings: &mut Findings<'_>) {
    for operation in operations(source) {
        let Some(value) = operation.value.get(ACCESS) else {
            continue;
        };
        let pointer = join(&operation.pointer(), ACCESS);
        match value.as_str().and_then(Access::named) {
            None => findings.add(
                &pointer,
                format!("{ACCESS} is {value}, which says nothing about the operation"),
                "read, read-once (it must not be sent again after a failure) or write",
            ),
            Some(access) if access == Access::of_method(operation.method) => findings.add(
                &pointer,
                format!(
                    "{ACCESS} says what the method {} says already",
                    operation.method
                ),
                format!(
                    "nothing: {ACCESS} is for operations that do not do what their method says"
                ),
            ),
            Some(_) => {}
        }
    }
}

pub(super) fn answer_codes(source: &Source, findings: &mut Findings<'_>) {
    for operation in operations(source) {
        let pointer = join(&operation.pointer(), "responses");
        let responses = operation.value.get("responses");
        let codes: Vec<&str> = members(responses).map(|(code, _)| code.as_str()).collect();
        let successes = codes.iter().filter(|code| code.starts_with('2')).count();
        if successes != 1 {
            findings.add(
                &pointer,
                format!("{successes} answers for success: progenitor panics unless there is exactly one type"),
                "one code from 200 to 299; the client takes any of them",
            );
        }
        for code in &codes {
            if *code == "default" {
                findings.add(
                    &join(&pointer, code),
                    "a default answer: progenitor panics, or makes a pattern that is never reached",
                    "4XX and 5XX",
                );
            } else if !code.starts_with('2') && !["4XX", "5XX"].contains(code) {
                findings.add(
                    &join(&pointer, code),
                    format!(
                        "an answer for {code} alone: progenitor panics when errors differ in type"
                    ),
                    "4XX and 5XX, and the code in a description",
                );
            }
        }
        let failure = |code: &str| responses.and_then(|all| all.get(code)).and_then(reference);
        if failure("4XX").is_none() || failure("4XX") != failure("5XX") {
            findings.add(
                &pointer,
                "4XX and 5XX are not one and the same $ref: progenitor panics when errors differ in type, and a code without \
                 an answer loses its body",
                "the same $ref to a response of the components for both",
            );
        }
    }
}

pub(super) fn answer_bodies(source: &Source, findings: &mut Findings<'_>) {
    for operation in operations(source) {
        let pointer = join(&operation.pointer(), "responses");
        for (code, written) in members(operation.value.get("responses")) {
            let pointer =
                reference(written).map_or_else(|| join(&pointer, code), ToOwned::to_owned);
            let content: Vec<(&String, &Value)> =
                members(source.resolve(written).get("content")).collect();
            match content.as_slice() {
                [] if code.starts_with('2') => {}
                [] => findings.add(
                    &pointer,
                    "an error without a body: what the server says of it would be lost",
                    "application/json with the error's schema",
                ),
                [(media, body)] if *media == JSON => {
                    if body.get("schema").is_none() {
                        findings.add(
                            &pointer,
                            "JSON without a schema: progenitor panics",
                            "a schema",
                        );
                    }
                }
                [(media, body)] if *media == BYTES && code.starts_with('2') => {
                    if body.pointer("/schema/format").and_then(Value::as_str) != Some("binary") {
                        findings.add(
                            &pointer,
                            "bytes that are not described as such would be decoded as JSON",
                            "schema: {type: string, format: binary}",
                        );
                    }
                }
                [(media, _)] => findings.add(
                    &pointer,
                    format!("{media} gives a stream of bytes, whatever its schema"),
                    format!("{JSON}, or {BYTES} for a file"),
                ),
                _ => findings.add(
                    &pointer,
                    "several media types: progenitor panics when their types differ",
                    format!("{JSON} only, and the others in a description"),
                ),
            }
        }
    }
}

pub(super) fn request_bodies(source: &Source, findings: &mut Findings<'_>) {
    for operation in operations(source) {
        let pointer = join(&operation.pointer(), "requestBody");
        let Some(body) = operation.value.get("requestBody") else {
            continue;
        };
        let content: Vec<(&String, &Value)> = members(body.get("content")).collect();
        let [(media, value)] = content.as_slice() else {
            findings.add(
                &pointer,
                format!(
                    "{} media types for one body: progenitor panics",
                    content.len()
                ),
                format!("one, {JSON} or {FORM}"),
            );
            continue;
        };
        if ![JSON, FORM].contains(&media.as_str()) {
            findings.add(
                &pointer,
                format!("{media}: progenitor cannot send it, or sends bytes without a type"),
                format!("{JSON} or {FORM}"),
            );
        }
        if value.get("schema").and_then(reference).is_none() {
            findings.add(
                &pointer,
                "a body without a named schema gets a type named after the operation",
                "a $ref to a schema of the components",
            );
        }
    }
}

pub(super) fn parameter_places(source: &Source, findings: &mut Findings<'_>) {
    for operation in operations(source) {
        for (pointer, parameter) in operation.parameters(source) {
            let name = text(parameter, "name").unwrap_or_default();
            match text(parameter, "in") {
                Some("path" | "query") => {}
                place => findings.add(
                    &pointer,
                    format!(
                        "the parameter {name} is in {}, which the client cannot send",
                        place.unwrap_or("no place")
                    ),
                    "in: path or in: query; headers and cookies are set by api_client::RequestContext",
                ),
            }
            if text(parameter, "style") == Some("deepObject") || parameter.get("content").is_some()
            {
                findings.add(
                    &pointer,
                    format!("the parameter {name} has a form that progenitor refuses"),
                    "a schema of a plain type, without style",
                );
            }
            if name == "header_map" {
                findings.add(
                    &pointer,
                    "a parameter called header_map hides a variable of the generated method",
                    "another operation, or take the parameter out",
                );
            }
        }
    }
}

pub(super) fn path_templates(source: &Source, findings: &mut Findings<'_>) {
    for operation in operations(source) {
        let named: Vec<&str> = template(&operation);
        let mut declared = Vec::new();
        for (pointer, parameter) in operation.parameters(source) {
            if text(parameter, "in") != Some("path") {
                continue;
            }
            let name = text(parameter, "name").unwrap_or_default();
            declared.push(name);
            if parameter.get("required") != Some(&Value::Bool(true)) {
                findings.add(
                    &pointer,
                    format!("the path parameter {name} is not required: progenitor panics"),
                    "required: true",
                );
            }
            if !named.contains(&name) {
                findings.add(
                    &pointer,
                    format!(
                        "the path {} has no {{{name}}}: progenitor panics",
                        operation.path
                    ),
                    "the parameter's name as the path has it",
                );
            }
        }
        for name in named.iter().filter(|name| !declared.contains(name)) {
            findings.add(
                &operation.pointer(),
                format!(
                    "{{{name}}} of the path {} is not described: progenitor panics",
                    operation.path
                ),
                "a parameter of this name, in: path",
            );
        }
    }
}

/// The names in braces.
fn template<'a>(operation: &Operation<'a>) -> Vec<&'a str> {
    operation
        .path
        .split('{')
        .skip(1)
        .filter_map(|part| part.split('}').next())
        .collect()
}

pub(super) fn path_ids(source: &Source, findings: &mut Findings<'_>) {
    for operation in operations(source) {
        for (pointer, parameter) in operation.parameters(source) {
            let named = parameter
                .get("schema")
                .and_then(reference)
                .and_then(schemas::component);
            if text(parameter, "in") == Some("path") && named.is_none() {
                findings.add(
                    &pointer,
                    "a path parameter with a schema of its own: an id of `..` would reach another path",
                    "a $ref to a schema of the components; the client has a type for it that refuses such ids",
                );
            }
        }
    }
}
