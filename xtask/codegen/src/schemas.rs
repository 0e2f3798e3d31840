//! Finds the schemas that requests use and those that answers use, and walks through them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::source::{Source, join};

/// Where a spec keeps its schemas.
pub const COMPONENTS: &str = "/components/schemas";

/// The methods of a path item that are operations.
pub const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Where a schema is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Sent by the client.
    Request,
    /// Sent by the server.
    Answer,
}

/// An operation as the spec has it.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// Such as `/call_rates/{id}`.
    pub path: &'a str,
    /// Such as `get`.
    pub method: &'a str,
    /// The operation object.
    pub value: &'a Value,
    /// Parameters that the whole path shares.
    pub shared: Option<&'a Value>,
}

impl Operation<'_> {
    /// The operation's JSON pointer.
    pub fn pointer(&self) -> String {
        join(&join("/paths", self.path), self.method)
    }

    /// The parameters of the path and of the operation, `$ref`s followed, each with its pointer.
    pub fn parameters<'s>(&self, source: &'s Source) -> Vec<(String, &'s Value)> {
        [join("/paths", self.path), self.pointer()]
            .into_iter()
            .map(|owner| join(&owner, "parameters"))
            .flat_map(|pointer| {
                let items = source.root.pointer(&pointer).and_then(Value::as_array);
                items
                    .into_iter()
                    .flatten()
                    .enumerate()
                    .map(move |(index, item)| {
                        (join(&pointer, &index.to_string()), source.resolve(item))
                    })
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

/// All operations, in the order of the paths' names.
pub fn operations(source: &Source) -> Vec<Operation<'_>> {
    members(source.root.get("paths"))
        .flat_map(|(path, item)| {
            members(Some(item))
                .filter(|(method, _)| METHODS.contains(&method.as_str()))
                .map(move |(method, value)| Operation {
                    path,
                    method,
                    value,
                    shared: item.get("parameters"),
                })
        })
        .collect()
}

/// The pointers of the schemas that operations name directly, on one side.
pub fn roots(source: &Source, side: Side) -> Vec<String> {
    let mut roots = Vec::new();
    for operation in operations(source) {
        match side {
            Side::Request => {
                let body = join(&operation.pointer(), "requestBody");
                if let Some(value) = source.root.pointer(&body) {
                    content_schemas(value, &body, &mut roots);
                }
            }
            Side::Answer => {
                let responses = join(&operation.pointer(), "responses");
                for (code, written) in members(source.root.pointer(&responses)) {
                    match reference(written) {
                        Some(target) => {
                            content_schemas(source.resolve(written), target, &mut roots);
                        }
                        None => content_schemas(written, &join(&responses, code), &mut roots),
                    }
                }
            }
        }
    }
    roots
}

fn content_schemas(owner: &Value, pointer: &str, found: &mut Vec<String>) {
    let pointer = join(pointer, "content");
    for (media, value) in members(owner.get("content")) {
        if value.get("schema").is_some() {
            found.push(join(&join(&pointer, media), "schema"));
        }
    }
}

/// The names of the component schemas that one side uses, directly or through others.
pub fn used(source: &Source, side: Side) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for root in roots(source, side) {
        walk(source, &root, &mut |_, value| {
            if let Some(name) = reference(value).and_then(component) {
                names.insert(name.to_owned());
            }
        });
    }
    names
}

/// Calls `visit` with the pointer and value of the schema at `pointer`, of every schema inside it,
/// and of every schema that those refer to; each component once.
pub fn walk(source: &Source, pointer: &str, visit: &mut dyn FnMut(&str, &Value)) {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![pointer.to_owned()];
    while let Some(pointer) = waiting.pop() {
        let Some(value) = source.root.pointer(&pointer) else {
            continue;
        };
        if !seen.insert(pointer.clone()) {
            continue;
        }
        visit(&pointer, value);
        if let Some(target) = reference(value) {
            waiting.push(target.to_owned());
            continue;
        }
        waiting.extend(children(value, &pointer));
    }
}

/// The pointers of the schemas directly inside a schema.
pub fn children(schema: &Value, pointer: &str) -> Vec<String> {
    let mut inside = Vec::new();
    for key in ["items", "additionalProperties", "not"] {
        if schema.get(key).is_some_and(Value::is_object) {
            inside.push(join(pointer, key));
        }
    }
    let properties = join(pointer, "properties");
    inside.extend(members(schema.get("properties")).map(|(name, _)| join(&properties, name)));
    for key in ["allOf", "anyOf", "oneOf"] {
        let parts = schema.get(key).and_then(Value::as_array);
        let count = parts.map_or(0, Vec::len);
        inside.extend((0..count).map(|index| join(&join(pointer, key), &index.to_string())));
    }
    inside
}

/// What a `$ref` points at inside the document, as a JSON pointer.
pub fn reference(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()?.strip_prefix('#')
}

/// The component's name that a pointer to it ends with.
pub fn component(pointer: &str) -> Option<&str> {
    pointer.strip_prefix(COMPONENTS)?.strip_prefix('/')
}

/// The members of an object; a value of another type has none.
pub fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

/// A member that is text.
pub fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}
