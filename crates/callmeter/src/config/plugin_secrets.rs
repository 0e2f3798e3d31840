//! Secrets in the settings of a plugin: `secret_file: /path` or `secret_env: NAME` become `secret:
//! …` before the plugin gets them, so that plugins need not read secrets themselves.

use std::path::Path;

use serde_json::{Map, Value};

use super::secret::SecretSource;

/// The names of secrets. `X_file` and `X_env` are resolved for these, also after another word
/// (`signing_secret_file`). Any other `…_file` is passed to the plugin as it is.
const SECRET_NAMES: [&str; 3] = ["secret", "password", "token"];

/// The name and the source of the secret that a setting refers to.
fn named_secret<'k>(key: &'k str, value: &Value) -> Option<(&'k str, SecretSource)> {
    let source = value.as_str()?;
    let (name, source) = if let Some(name) = key.strip_suffix("_file") {
        (name, SecretSource::File(source.into()))
    } else {
        let name = key.strip_suffix("_env")?;
        (name, SecretSource::Env(source.to_owned()))
    };
    let last_word = name.rsplit('_').next()?;
    SECRET_NAMES.contains(&last_word).then_some((name, source))
}

/// Makes the relative paths of secret files relative to `directory`.
pub(super) fn anchor(config: &mut Map<String, Value>, directory: &Path) {
    for (key, value) in config {
        if let Some((_, SecretSource::File(path))) = named_secret(key, value) {
            *value = Value::String(directory.join(path).display().to_string());
        }
        match value {
            Value::Object(members) => anchor(members, directory),
            Value::Array(items) => items
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(|members| anchor(members, directory)),
            _ => {}
        }
    }
}

/// Whether the settings refer to a secret.
pub fn has_secrets(config: &Map<String, Value>) -> bool {
    config.iter().any(|(key, value)| {
        named_secret(key, value).is_some()
            || match value {
                Value::Object(members) => has_secrets(members),
                Value::Array(items) => items.iter().filter_map(Value::as_object).any(has_secrets),
                _ => false,
            }
    })
}

/// The settings with their secrets, read by `read`.
///
/// # Errors
/// With key and reason, if a secret cannot be read, or is set twice.
pub fn resolve<E: std::fmt::Display>(
    config: &Map<String, Value>,
    read: &mut impl FnMut(&SecretSource) -> Result<String, E>,
) -> Result<Map<String, Value>, String> {
    let mut resolved = Map::new();
    for (key, value) in config {
        if let Some((name, source)) = named_secret(key, value) {
            if config.contains_key(name) {
                return Err(format!("{key} conflicts with {name}; keep one of the two"));
            }
            let secret = read(&source).map_err(|error| format!("{key}: {error}"))?;
            if resolved
                .insert(name.to_owned(), Value::String(secret))
                .is_some()
            {
                return Err(format!(
                    "{name} is set both by a file and by a variable; keep one of the two"
                ));
            }
        } else {
            let value = match value {
                Value::Object(members) => Value::Object(resolve(members, read)?),
                Value::Array(items) => Value::Array(resolve_items(items, read)?),
                other => other.clone(),
            };
            resolved.insert(key.clone(), value);
        }
    }
    Ok(resolved)
}

fn resolve_items<E: std::fmt::Display>(
    items: &[Value],
    read: &mut impl FnMut(&SecretSource) -> Result<String, E>,
) -> Result<Vec<Value>, String> {
    items
        .iter()
        .map(|item| match item {
            Value::Object(members) => resolve(members, read).map(Value::Object),
            other => Ok(other.clone()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolved(config: &Value) -> Result<Value, String> {
        let Value::Object(config) = config else {
            unreachable!()
        };
        resolve(config, &mut |source| match source {
            SecretSource::Env(name) if name == "UNSET" => Err("it is not set"),
            source => Ok(format!("content of {source}")),
        })
        .map(Value::Object)
    }

    #[test]
    fn secrets_are_read_and_other_files_are_not() {
        let config = json!({
            "url": "https://x",
            "secret_file": "/s",
            "auth": { "bearer_token_env": "T" },
            "ca_file": "/ca.pem",
            "list": [{ "password_file": "/p" }, 1]
        });
        assert_eq!(
            resolved(&config).unwrap(),
            json!({
                "url": "https://x",
                "secret": "content of file /s",
                "auth": { "bearer_token": "content of environment variable T" },
                "ca_file": "/ca.pem",
                "list": [{ "password": "content of file /p" }, 1]
            })
        );
    }

    #[test]
    fn relative_secret_files_are_beside_the_configuration() {
        let mut config =
            json!({ "secret_file": "s", "ca_file": "c", "x": [{ "token_file": "/t" }] });
        anchor(config.as_object_mut().unwrap(), Path::new("/etc/callmeter"));
        assert_eq!(
            config,
            json!({ "secret_file": "/etc/callmeter/s", "ca_file": "c", "x": [{ "token_file": "/t" }] })
        );
    }

    #[test]
    fn a_secret_has_one_source() {
        for config in [
            json!({ "secret": "x", "secret_file": "/s" }),
            json!({ "secret_env": "S", "secret_file": "/s" }),
            json!({ "secret_env": "UNSET" }),
        ] {
            assert!(resolved(&config).is_err(), "{config}");
        }
    }
}
