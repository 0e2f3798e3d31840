//! The configuration without secrets, for the page `/config`.
//!
//! callmeter's own keys contain no secrets. The settings of plugins are not known here, so their
//! texts are masked unless their key says that they cannot be secret.

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
                mask(config, Shown::Numbers);
            }
        }
    }
    serde_saphyr::to_string(&tree).map_err(|error| error.to_string())
}

/// Which texts of a value are shown.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    /// All: the key is one that holds no secret.
    Texts,
    /// Only numbers, words such as `true`, and the host of an address.
    Numbers,
    /// None: the key is that of a secret.
    Nothing,
}

/// Keys whose texts are shown. They say where and how something is written, not with which rights.
/// Every other text is masked, because nobody knows what plugins accept.
const HARMLESS: [&str; 20] = [
    "directory",
    "file",
    "path",
    "prefix",
    "rotate",
    "compress",
    "max_bytes",
    "timeout",
    "connect_timeout",
    "pause",
    "fields",
    "reveal",
    "columns",
    "streams",
    "format",
    "table",
    "topic",
    "mode",
    "level",
    "time_zone",
];

fn mask(value: &mut Value, shown: Shown) {
    match value {
        Value::Object(members) => mask_members(members, shown),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, shown)),
        Value::String(text) => match (shown, address_without_path(text)) {
            (Shown::Texts, None) => {}
            (Shown::Texts | Shown::Numbers, Some(address)) => *text = address,
            (Shown::Numbers, None) | (Shown::Nothing, _) => MASK.clone_into(text),
        },
        Value::Number(_) if shown == Shown::Nothing => *value = Value::String(MASK.to_owned()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn mask_members(members: &mut Map<String, Value>, shown: Shown) {
    for (key, value) in members {
        mask(value, shown_under(key, shown));
    }
}

/// What is shown under a key. The path of a file or the name of a variable is no secret.
fn shown_under(key: &str, around: Shown) -> Shown {
    let key = key.to_ascii_lowercase();
    let secret_words = [
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
    let reference = ["_file", "_files", "_env", "_directory"];
    if reference.iter().any(|end| key.ends_with(end)) {
        Shown::Texts
    } else if around == Shown::Nothing || secret_words.iter().any(|word| key.contains(word)) {
        Shown::Nothing
    } else if HARMLESS.contains(&key.as_str()) {
        Shown::Texts
    } else {
        Shown::Numbers
    }
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
      dsn: "host=db user=u password=hunter2"
      database: postgres://u:hunter2@db.example.com/hunter2
      sasl: { mechanism: PLAIN, user: hunter2 }
      hosts: [hunter2]
      batch: 200
      rotate: daily
      flush: true
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
