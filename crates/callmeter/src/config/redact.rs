//! The configuration without secrets, for the page `/config`.
//!
//! callmeter's own keys contain no secrets. The settings of plugins are not known here, so only
//! those that cannot be secret are shown.

use serde_json::{Map, Value};
use url::Url;

/// Replaces a secret, as in Prometheus.
const MASK: &str = "<secret>";

/// A configuration file as YAML without comments, with the secrets of plugins masked.
///
/// # Errors
/// If the text is not valid YAML.
pub fn redacted(text: &str) -> Result<String, String> {
    let mut tree: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    if let Some(outputs) = tree.get_mut("outputs").and_then(Value::as_array_mut) {
        for output in outputs {
            if let Some(config) = output.get_mut("config") {
                mask(config, Shown::ByKey);
            }
        }
    }
    serde_saphyr::to_string(&tree).map_err(|error| error.to_string())
}

/// Whether the scalars of a value are shown.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    /// Unless their key may be that of a secret.
    ByKey,
    /// Not at all.
    Never,
}

fn mask(value: &mut Value, shown: Shown) {
    match value {
        Value::Object(members) => mask_members(members, shown),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, shown)),
        Value::String(text) => {
            if shown == Shown::Never {
                MASK.clone_into(text);
            } else if let Some(address) = address_without_path(text) {
                *text = address;
            }
        }
        Value::Number(_) if shown == Shown::Never => *value = Value::String(MASK.to_owned()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn mask_members(members: &mut Map<String, Value>, shown: Shown) {
    for (key, value) in members {
        let shown = if is_secret(key) { Shown::Never } else { shown };
        mask(value, shown);
    }
}

/// Whether a value with this key may be secret. The path of a file or the name of a variable is
/// not.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let words = [
        "secret",
        "password",
        "passwd",
        "token",
        "key",
        "credential",
        "auth",
        "bearer",
        "header",
        "cookie",
        "signature",
    ];
    words.iter().any(|word| key.contains(word))
        && !key.ends_with("_file")
        && !key.ends_with("_files")
        && !key.ends_with("_env")
}

/// Scheme and host of an address. Webhooks often have a secret in the path.
fn address_without_path(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let rest = if url.path().len() > 1 || url.query().is_some() || url.password().is_some() {
        MASK
    } else {
        ""
    };
    Some(format!("{}://{host}{port}/{rest}", url.scheme()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_may_keep_secret_is_not_shown() {
        let text = r#"
accounts:
  - name: acme # a comment with hunter2
    hostedsuite: { url: "https://cpo.hostedsuite.com/api", password_file: /etc/p }
outputs:
  - name: crm
    plugin: /p.so
    config:
      url: https://u:hunter2@hooks.example.com:8443/services/hunter2?token=hunter2
      secret: hunter2
      secret_file: /etc/crm.secret
      secrets: [hunter2, hunter2]
      headers: { X-Api: hunter2, nested: { deep: [hunter2] } }
      api_key: 123456
      batch: 200
      directory: /var/lib/x
"#;
        let shown = redacted(text).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains("123456"), "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn the_page_is_valid_yaml() {
        let text = std::fs::read_to_string("testdata/config/valid.yml").unwrap();
        let shown: Value = serde_saphyr::from_str(&redacted(&text).unwrap()).unwrap();
        let written: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(shown, written);
    }
}
