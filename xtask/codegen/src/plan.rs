//! What the generator does with each API, as far as possible read from its spec.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::schemas::{self, Side, members, text};
use crate::source::{Source, join};

/// An API that has a client crate.
#[derive(Debug)]
pub struct Api {
    /// Its name for `--only`.
    pub name: &'static str,
    /// The spec, from the repository's root.
    pub spec: &'static str,
    /// Where the generated files go, from the repository's root.
    pub directory: &'static str,
    /// How numbers of answers are read.
    pub numbers: Numbers,
}

/// How the numbers of an API's answers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// A number that cannot be read is kept as it was sent, with the rest of its record:
    /// `api_client::Number`.
    Kept,
    /// Integers as integers; any other number is money and keeps its exact decimal digits:
    /// `api_client::Amount`. A record with a number that cannot be read is an error.
    Exact,
}

/// The APIs.
pub const APIS: [Api; 2] = [
    Api {
        name: "hostedsuite",
        spec: "specs/hostedsuite.yaml",
        directory: "crates/hostedsuite-client/src",
        numbers: Numbers::Kept,
    },
    Api {
        name: "portsip",
        spec: "specs/portsip.yaml",
        directory: "crates/portsip-client/src",
        numbers: Numbers::Exact,
    },
];

/// What the spec says about its code.
#[derive(Debug)]
pub struct Plan {
    /// How numbers of answers are read.
    pub numbers: Numbers,
    /// Enums of answers, which must keep values that are not documented: replaced by those of
    /// `open.rs`.
    pub open_enums: Vec<OpenEnum>,
    /// Schemas that hold secrets (`format: password`): replaced by a type that prints nothing.
    pub secrets: Vec<String>,
    /// The schemas of path parameters: replaced by a type that refuses what would change the path.
    pub ids: Vec<String>,
    /// Request types that can have a default although members are required.
    pub defaults: Vec<String>,
    /// The Rust names of the structs that are decoded from answers.
    pub answers: BTreeSet<String>,
    /// The operations, in the order of their paths.
    pub operations: Vec<PlannedOperation>,
    /// What the passes must find.
    pub expected: Counts,
}

/// How often each pass found something to change. The spec says how often it must
/// ([`Plan::expected`]), so that a change of progenitor's output cannot silently disable a pass.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Number members of answers that are read leniently.
    pub answer_numbers: usize,
    /// Truth values of answers that are read leniently.
    pub answer_booleans: usize,
    /// Number members of requests that are written as exact decimals.
    pub request_money: usize,
    /// Operations.
    pub operations: OperationCounts,
}

/// What the rebuilt operations have; the spec says how many of each there must be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct OperationCounts {
    /// Operations.
    pub operations: usize,
    /// Those that send a body.
    pub bodies: usize,
    /// Those whose answer is a stream.
    pub streams: usize,
}

/// An operation, and how it is sent.
#[derive(Debug)]
pub struct PlannedOperation {
    /// Such as `get_call_rate`.
    pub id: String,
    /// Such as `get`.
    pub method: String,
    /// Such as `/call_rates/{id}`.
    pub path: String,
    /// The type whose method it is.
    pub client: ClientType,
    /// Whether it may be sent again after a failure.
    pub repeatable: bool,
}

/// The types that operations are methods of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientType {
    /// Operations that take no token, of an API whose others do.
    SignIn,
    /// Operations that read.
    Read,
    /// Operations that write.
    Write,
}

impl ClientType {
    /// The name of the generated type.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn => "SignInClient",
            Self::Read => "ReadClient",
            Self::Write => "WriteClient",
        }
    }

    /// The documentation of the generated type.
    pub fn description(self) -> &'static str {
        match self {
            Self::SignIn => "The operations that take no token: they get one.",
            Self::Read => "The operations that read. None of them changes anything on the server.",
            Self::Write => "The operations that change something on the server.",
        }
    }
}

/// The key that says what an operation does where its method does not.
pub const ACCESS: &str = "x-access";

/// What an operation does to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It reads, and may be repeated.
    Read,
    /// It reads, and must not be repeated.
    ReadOnce,
    /// It changes something.
    Write,
}

impl Access {
    /// What [`ACCESS`] says.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "read" => Some(Self::Read),
            "read-once" => Some(Self::ReadOnce),
            "write" => Some(Self::Write),
            _ => None,
        }
    }

    /// What an operation of this method does unless the spec says otherwise.
    pub fn of_method(method: &str) -> Self {
        match method {
            "get" | "head" | "options" => Self::Read,
            _ => Self::Write,
        }
    }
}

/// An enum whose values are those that the vendor documents, and any other.
#[derive(Debug)]
pub struct OpenEnum {
    /// The schema's name.
    pub name: String,
    /// The schema's description.
    pub description: String,
    /// The documented values.
    pub values: Vec<String>,
}

impl Plan {
    /// Reads the plan from a spec that breaks no rule.
    pub fn new(source: &Source, numbers: Numbers) -> Self {
        let components: BTreeMap<&String, &Value> =
            members(source.root.pointer(schemas::COMPONENTS)).collect();
        let used_in_answers = schemas::used(source, Side::Answer);
        let used_in_requests = schemas::used(source, Side::Request);

        let open_enums = components
            .iter()
            .filter(|(name, _)| used_in_answers.contains(**name))
            .filter_map(|(name, schema)| {
                let values = schema.get("enum")?.as_array()?;
                Some(OpenEnum {
                    name: (*name).clone(),
                    description: text(schema, "description").unwrap_or_default().to_owned(),
                    values: values
                        .iter()
                        .filter_map(Value::as_str)
                        .map(ToOwned::to_owned)
                        .collect(),
                })
            })
            .collect();
        let secrets = components
            .iter()
            .filter(|(_, schema)| text(schema, "format") == Some("password"))
            .map(|(name, _)| (*name).clone())
            .collect();
        let ids: BTreeSet<String> = schemas::operations(source)
            .iter()
            .flat_map(|operation| operation.parameters(source))
            .filter(|(_, parameter)| text(parameter, "in") == Some("path"))
            .filter_map(|(_, parameter)| {
                let target = schemas::reference(parameter.get("schema")?)?;
                schemas::component(target).map(ToOwned::to_owned)
            })
            .collect();
        let defaults = used_in_requests
            .iter()
            .filter(|name| {
                components
                    .get(name)
                    .is_some_and(|schema| has_default(source, schema))
            })
            .cloned()
            .collect();
        let answers = used_in_answers
            .iter()
            .filter(|name| components.get(name).is_some_and(|schema| is_object(schema)))
            .cloned()
            .collect();

        Self {
            numbers,
            open_enums,
            secrets,
            ids: ids.into_iter().collect(),
            defaults,
            answers,
            operations: operations(source),
            expected: expected(source, numbers, &used_in_answers, &used_in_requests),
        }
    }
}

/// Whether a request has required members, all of which have an empty value. (Without required
/// members it has a default anyway.)
fn has_default(source: &Source, schema: &Value) -> bool {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    !required.is_empty()
        && required.iter().all(|name| {
            let member = schema
                .pointer(&join("/properties", name))
                .map(|member| source.resolve(member));
            member.is_some_and(|member| {
                text(member, "type") == Some("string")
                    && ["enum", "minLength", "maxLength", "pattern"]
                        .iter()
                        .all(|bound| member.get(bound).is_none())
            })
        })
}

fn is_object(schema: &Value) -> bool {
    text(schema, "type") == Some("object")
}

/// What the generated code must contain, counted in the spec.
fn expected(
    source: &Source,
    numbers: Numbers,
    answers: &BTreeSet<String>,
    requests: &BTreeSet<String>,
) -> Counts {
    let count = |names: &BTreeSet<String>, kinds: &[&str]| {
        names
            .iter()
            .filter_map(|name| source.root.pointer(&join(schemas::COMPONENTS, name)))
            .flat_map(|schema| members(schema.get("properties")))
            .filter(|(_, member)| text(member, "type").is_some_and(|kind| kinds.contains(&kind)))
            .count()
    };
    let operations = schemas::operations(source);
    let streams = operations
        .iter()
        .flat_map(|operation| members(operation.value.get("responses")))
        .filter(|(_, answer)| {
            source
                .resolve(answer)
                .pointer("/content/application~1octet-stream")
                .is_some()
        })
        .count();
    Counts {
        answer_numbers: count(answers, &["integer", "number"]),
        answer_booleans: count(answers, &["boolean"]),
        request_money: match numbers {
            Numbers::Kept => 0,
            Numbers::Exact => count(requests, &["number"]),
        },
        operations: OperationCounts {
            operations: operations.len(),
            bodies: operations
                .iter()
                .filter(|operation| operation.value.get("requestBody").is_some())
                .count(),
            streams,
        },
    }
}

/// How each operation is sent.
fn operations(source: &Source) -> Vec<PlannedOperation> {
    let takes_token = |value: &Value| {
        let security = value.get("security").and_then(Value::as_array);
        security.map(|schemes| !schemes.is_empty())
    };
    let api_takes_token = takes_token(&source.root).unwrap_or(false);
    schemas::operations(source)
        .into_iter()
        .map(|operation| {
            let access = text(operation.value, ACCESS)
                .and_then(Access::named)
                .unwrap_or_else(|| Access::of_method(operation.method));
            let client = match access {
                _ if api_takes_token && takes_token(operation.value) == Some(false) => {
                    ClientType::SignIn
                }
                Access::Read | Access::ReadOnce => ClientType::Read,
                Access::Write => ClientType::Write,
            };
            PlannedOperation {
                id: text(operation.value, "operationId")
                    .unwrap_or_default()
                    .to_owned(),
                method: operation.method.to_owned(),
                path: operation.path.to_owned(),
                client,
                repeatable: access == Access::Read,
            }
        })
        .collect()
}

/// The variant of an enum's value: `NotBillable` for itself, `Offline` for `OFFLINE`, `TwoWords`
/// for `TWO_WORDS`.
pub fn variant(value: &str) -> String {
    let shouted = !value.chars().any(char::is_lowercase);
    value
        .split(|letter: char| !letter.is_alphanumeric())
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            let rest: String = if shouted {
                letters.flat_map(char::to_lowercase).collect()
            } else {
                letters.collect()
            };
            first.chain(rest.chars().collect::<Vec<_>>())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::variant;

    #[test]
    fn values_become_variants() {
        for (value, name) in [
            ("LOCAL", "Local"),
            ("NotBillable", "NotBillable"),
            ("Next30Seconds", "Next30Seconds"),
            ("TWO_WORDS", "TwoWords"),
            ("in-between", "InBetween"),
            ("+", ""),
        ] {
            assert_eq!(variant(value), name, "{value}");
        }
    }
}
