//! Checks an output's settings against the JSON Schema of its plugin. No message quotes a value,
//! because settings hold secrets.

use boon::{Compiler, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use callmeter_error_chain::deceives;
use serde_json::Value;

/// Where a schema is, for its references to itself.
const LOCATION: &str = "https://plugin.invalid/config.schema.json";

/// The start of a text about settings.
const INVALID: &str = "its settings are not valid: ";

/// Why settings are not valid, or cannot be checked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigCheck {
    /// The settings do not match the schema.
    #[error("{INVALID}{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// The schema is of no use. That is a fault of the plugin, not of the settings.
    #[error("the plugin's JSON Schema cannot be used: {0}")]
    Schema(String),
}

/// A schema that refers to other documents is refused: nothing is read from disk or network.
struct NoOther;

impl UrlLoader for NoOther {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("it refers to {url}").into())
    }
}

/// Checks settings in JSON.
pub(crate) fn check(schema: &str, config: &str) -> Result<(), ConfigCheck> {
    let (schemas, index) = compile(schema)?;
    let config: Value = serde_json::from_str(config)
        .map_err(|_| ConfigCheck::Invalid(vec!["they are not JSON".to_owned()]))?;
    schemas.validate(&config, index).map_err(|error| {
        let mut problems = Vec::new();
        collect(&error, &mut problems);
        problems.sort();
        problems.dedup();
        ConfigCheck::Invalid(problems)
    })
}

/// Checks that settings could be checked with a schema.
pub(crate) fn check_schema(schema: &str) -> Result<(), ConfigCheck> {
    compile(schema).map(|_| ())
}

/// The problems that the schema found, and what the plugin itself says against the settings. What
/// it says of a key that the schema already names is left out, because it is the same mistake.
pub(crate) fn both(mut problems: Vec<String>, said: &str) -> ConfigCheck {
    let named: Vec<String> = problems
        .iter()
        .filter_map(|problem| first_key(problem))
        .map(str::to_owned)
        .collect();
    let mut leave_out = false;
    for (index, part) in said.split("; ").enumerate() {
        // What begins without a key goes on with the problem before it.
        if index == 0 || part.starts_with('`') {
            leave_out = first_key(part).is_some_and(|key| named.iter().any(|name| name == key));
            if !leave_out {
                problems.push(part.to_owned());
            }
        } else if let Some(last) = problems.last_mut()
            && !leave_out
        {
            last.push_str("; ");
            last.push_str(part);
        }
    }
    ConfigCheck::Invalid(problems)
}

/// The first word between backquotes.
fn first_key(problem: &str) -> Option<&str> {
    problem.split('`').nth(1)
}

fn compile(schema: &str) -> Result<(Schemas, SchemaIndex), ConfigCheck> {
    let unusable = |error: &dyn std::fmt::Display| ConfigCheck::Schema(error.to_string());
    let schema: Value = serde_json::from_str(schema).map_err(|error| unusable(&error))?;
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(NoOther));
    compiler
        .add_resource(LOCATION, schema)
        .map_err(|error| unusable(&error))?;
    let mut schemas = Schemas::new();
    let index = compiler
        .compile(LOCATION, &mut schemas)
        .map_err(|error| unusable(&error))?;
    Ok((schemas, index))
}

/// The innermost errors say what is wrong; those around them only that something is.
fn collect(error: &ValidationError<'_, '_>, problems: &mut Vec<String>) {
    let choice = matches!(error.kind, ErrorKind::OneOf(_) | ErrorKind::AnyOf);
    if error.causes.is_empty() || choice {
        let place = error.instance_location.to_string();
        let key = place.trim_start_matches('/').replace('/', ".");
        let text = describe(error);
        problems.push(if key.is_empty() {
            text
        } else {
            format!("`{key}` {text}")
        });
        return;
    }
    for cause in &error.causes {
        collect(cause, problems);
    }
}

fn describe(error: &ValidationError<'_, '_>) -> String {
    let list = |words: &[String]| words.join(", ");
    match &error.kind {
        ErrorKind::AdditionalProperties { got } => {
            let keys: Vec<String> = got.iter().map(|key| format!("`{key}`")).collect();
            format!("has no key {}", list(&keys))
        }
        ErrorKind::Required { want } => {
            let keys: Vec<String> = want.iter().map(|key| format!("`{key}`")).collect();
            format!("lacks {}", list(&keys))
        }
        ErrorKind::Enum { want } => {
            let words: Vec<String> = want.iter().map(Value::to_string).collect();
            format!("must be one of {}", list(&words))
        }
        ErrorKind::Pattern { want, .. } => format!("does not match the pattern {}", shown(want)),
        ErrorKind::Format { want, .. } => format!("is not of the format {want}"),
        ErrorKind::Type { want, .. } => {
            let types: Vec<String> = want.iter().map(|one| one.to_string()).collect();
            format!("must be of type {}", types.join(" or "))
        }
        ErrorKind::Minimum { want, .. } => format!("must be at least {want}"),
        ErrorKind::Maximum { want, .. } => format!("must be at most {want}"),
        ErrorKind::MinLength { want, .. } => format!("must have at least {want} characters"),
        ErrorKind::MaxLength { want, .. } => format!("must have at most {want} characters"),
        ErrorKind::MinItems { want, .. } => format!("must have at least {want} items"),
        ErrorKind::OneOf(Some(_)) => {
            "matches several alternatives, of which one is allowed".to_owned()
        }
        ErrorKind::OneOf(None) | ErrorKind::AnyOf => {
            let mut inner = Vec::new();
            for cause in &error.causes {
                collect(cause, &mut inner);
            }
            inner.dedup();
            format!("matches no alternative: {}", inner.join(", or "))
        }
        _ => "is not allowed by the schema".to_owned(),
    }
}

/// A pattern with its control characters as an author writes them.
fn shown(pattern: &str) -> String {
    let mut text = String::new();
    for c in pattern.chars() {
        if deceives(c) {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{ConfigCheck, both, check};

    const SCHEMA: &str = r#"{
        "type": "object",
        "additionalProperties": false,
        "required": ["url"],
        "properties": {
            "url": { "type": "string", "pattern": "^https:" },
            "rotate": { "enum": ["daily", "never"] },
            "batch": { "type": "integer", "minimum": 1, "maximum": 9 },
            "items": { "type": "array", "items": { "type": "object", "required": ["secret"] } },
            "either": { "oneOf": [{ "type": "string" }, { "type": "object" }] }
        }
    }"#;

    #[test]
    fn problems_name_the_key_and_no_value() {
        let texts: Vec<String> = [
            r#"{"url": "https://x", "rotate": "daily"}"#,
            r#"{"urll": "https://x"}"#,
            r#"{"url": "hunter2", "rotate": "hunter2", "batch": 0}"#,
            r#"{"url": "https://x", "batch": "hunter2"}"#,
            r#"{"url": "https://x", "batch": 10, "items": [{"secret": 1}, {}], "either": 4}"#,
            "[]",
        ]
        .iter()
        .map(|config| match check(SCHEMA, config) {
            Ok(()) => "valid".to_owned(),
            Err(error) => error.to_string(),
        })
        .collect();
        let texts = texts.join("\n");
        assert!(!texts.contains("hunter2"), "{texts}");
        insta::assert_snapshot!(texts);
    }

    #[test]
    fn a_mistake_that_both_find_is_named_once() {
        let problems = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let text = |schema: &[&str], said| both(problems(schema), said).to_string();
        assert_eq!(
            text(
                &["`batch` must be at least 1"],
                "`batch`: expected 1 to 9 records; or none; `headers`: \"X Y\" is no name; quote it"
            ),
            "its settings are not valid: `batch` must be at least 1; \
             `headers`: \"X Y\" is no name; quote it"
        );
        assert_eq!(
            text(&["lacks `url`"], "missing field `url`"),
            "its settings are not valid: lacks `url`"
        );
        assert_eq!(
            text(&[], "say either `directory` or `file`"),
            "its settings are not valid: say either `directory` or `file`"
        );
    }

    #[test]
    fn a_pattern_is_shown_as_it_is_written() {
        let schema = r#"{"properties": {"x": {"pattern": "^[^\u0000-\u001f\u202e][0-9]+$"}}}"#;
        assert_eq!(
            check(schema, r#"{"x": ""}"#).unwrap_err().to_string(),
            r"its settings are not valid: `x` does not match the pattern ^[^\u{0}-\u{1f}\u{202e}][0-9]+$"
        );
    }

    #[test]
    fn a_schema_that_cannot_be_used_is_told_apart() {
        for schema in [
            "{",
            r#"{"type": 7}"#,
            r#"{"$ref": "file:///etc/passwd"}"#,
            r#"{"pattern": "("}"#,
        ] {
            let error = check(schema, "{}").unwrap_err();
            assert!(matches!(error, ConfigCheck::Schema(_)), "{schema}: {error}");
        }
    }
}
