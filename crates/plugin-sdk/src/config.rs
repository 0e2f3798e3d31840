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
            let message = error.into_inner().to_string();
            // "." is the whole configuration. serde itself names the key of an unknown or missing
            // field.
            let named = key == "." || message.contains(&format!("`{last}`"));
            let message = if named {
                message
            } else {
                format!("{key}: {message}")
            };
            without_values(message, &tree)
        })
    }
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
    }

    fn error(json: &str) -> String {
        Config::from_config(json.as_bytes()).map_or_else(|error| error, |_| String::new())
    }

    #[test]
    fn an_error_names_the_key_and_hides_the_value() {
        assert_eq!(
            error(r#"{"url":"x","batsh":1}"#),
            "unknown field `batsh`, expected `url` or `batch`"
        );
        assert_eq!(error("{}"), "missing field `url`");
        let hidden = error(r#"{"url":"x","batch":"hunter2 \" quoted"}"#);
        assert_eq!(hidden, "batch: invalid type: string \"…\", expected u32");
        assert_eq!(
            error("{\"url\":\n \"secret"),
            "the configuration is not JSON (column 8)"
        );
    }
}
