//! Reads `config:` into a plugin's own type, and quotes no values in errors, because they may be
//! secret.

/// A type that can be read from an output's `config:`, which the host passes as JSON.
///
/// With the feature `serde` every `DeserializeOwned` type can.
pub trait FromConfig: Sized {
    /// Reads the JSON; the error text names the key but quotes no value.
    fn from_config(json: &[u8]) -> Result<Self, String>;
}

/// The configuration as it came, for plugins that parse it by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawConfig(pub Vec<u8>);

impl FromConfig for RawConfig {
    fn from_config(json: &[u8]) -> Result<Self, String> {
        Ok(Self(json.to_vec()))
    }
}

#[cfg(feature = "serde")]
impl<T: serde::de::DeserializeOwned> FromConfig for T {
    fn from_config(json: &[u8]) -> Result<Self, String> {
        // Parsed into a tree first: an error while building the type then has no line and column of
        // a text that nobody sees, and the values that it must not quote are known.
        let tree: serde_json::Value = serde_json::from_slice(json).map_err(|error| {
            format!("the configuration is not JSON (column {})", error.column())
        })?;
        serde_path_to_error::deserialize(&tree).map_err(|error| {
            let key = error.path().to_string();
            let last = key.rsplit('.').next().unwrap_or_default().to_owned();
            let message = plain(&error.into_inner().to_string());
            // "." is the whole configuration. serde itself names the key of an unknown or missing
            // field.
            let named = key == "." || message.contains(&format!("`{last}`"));
            let message = if named {
                message
            } else {
                format!("`{key}`: {message}")
            };
            without_values(message, &tree)
        })
    }
}

/// serde's message without the names of Rust's types.
#[cfg(feature = "serde")]
fn plain(message: &str) -> String {
    let message = message.replace("unknown variant", "unknown value");
    if message.starts_with("data did not match any variant of untagged enum") {
        return "it has no form that is allowed here".to_owned();
    }
    let Some((found, expected)) = message.rsplit_once("expected ") else {
        return message;
    };
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "string or map" => "a word",
        "a string" | "a borrowed string" | "path string" => "a text",
        "a sequence" => "a list",
        "a map" => "keys with values",
        other if other.starts_with("struct ") => "keys with values",
        other if other.starts_with("enum ") || other.contains(" enum ") => "one of its words",
        other => other,
    };
    let found = found
        .replace("type: sequence", "type: a list")
        .replace("type: map", "type: keys with values");
    format!("{found}expected {expected}")
}

/// Replaces every text of the configuration that the message quotes; serde's messages do
/// ("invalid type: string \"…\"").
#[cfg(feature = "serde")]
fn without_values(mut message: String, tree: &serde_json::Value) -> String {
    use serde_json::Value;
    let mut values = Vec::new();
    let mut rest = vec![tree];
    while let Some(value) = rest.pop() {
        match value {
            Value::String(text) => values.push(text.as_str()),
            Value::Array(items) => rest.extend(items),
            Value::Object(members) => rest.extend(members.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    // Longest first, so that a value inside another one does not leave its rest behind. Three bytes
    // hide nothing, and replacing them would make the message unreadable.
    values.retain(|text| text.len() > 3);
    values.sort_by_key(|text| std::cmp::Reverse(text.len()));
    for text in values {
        let quoted = format!("{text:?}");
        message = message.replace(&quoted, "\"…\"");
        message = message.replace(text, "…");
    }
    message
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::FromConfig;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by Debug")]
    struct Config {
        url: String,
        #[serde(default)]
        batch: u32,
        #[serde(default)]
        size: usize,
        #[serde(default)]
        ratio: f64,
        #[serde(default)]
        on: bool,
        #[serde(default)]
        path: std::path::PathBuf,
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        either: Option<Either>,
        #[serde(default)]
        mode: Option<Mode>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only read by Debug")]
    struct Inner {
        x: i64,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only read by Debug")]
    enum Either {
        Number(u8),
        Text(String),
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Slow,
    }

    fn error(json: &str) -> String {
        Config::from_config(json.as_bytes()).map_or_else(|error| error, |_| String::new())
    }

    #[test]
    fn an_error_names_the_key_and_hides_the_value() {
        assert_eq!(
            error(r#"{"url":"x","batsh":1}"#),
            "unknown field `batsh`, expected one of `url`, `batch`, `size`, `ratio`, `on`, `path`, \
             `names`, `inner`, `either`, `mode`"
        );
        assert_eq!(error("{}"), "missing field `url`");
        let hidden = error(r#"{"url":"x","batch":"hunter2 \" quoted"}"#);
        assert_eq!(
            hidden,
            "`batch`: invalid type: string \"…\", expected a whole number from 0 to 4294967295"
        );
        assert_eq!(
            error("{\"url\":\n \"secret"),
            "the configuration is not JSON (column 8)"
        );
    }

    #[test]
    fn no_message_has_the_name_of_a_type_of_rust() {
        let texts: Vec<String> = [
            r#""batch":4294967296"#,
            r#""size":5.0"#,
            r#""size":-1"#,
            r#""ratio":[]"#,
            r#""on":1"#,
            r#""path":1"#,
            r#""names":{}"#,
            r#""names":[7]"#,
            r#""inner":5"#,
            r#""inner":{"x":0.5}"#,
            r#""either":[]"#,
            r#""mode":"medium""#,
            r#""mode":4"#,
        ]
        .iter()
        .map(|member| {
            format!(
                "{member}\n    {}",
                error(&format!(r#"{{"url":"x",{member}}}"#))
            )
        })
        .collect();
        insta::assert_snapshot!(texts.join("\n"));
    }
}
