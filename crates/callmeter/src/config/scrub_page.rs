//! Removes secrets from the texts of the configuration's page, so that it stays YAML whatever a
//! secret is.

use serde_json::Value;

/// The shortest number that is hidden if it is a secret: shorter ones occur anywhere.
const SHORTEST_NUMBER: usize = 4;

/// The YAML with each text as `scrub` returns it.
///
/// # Errors
/// If it is not valid YAML.
pub fn scrubbed(yaml: &str, scrub: impl Fn(&str) -> String) -> Result<String, String> {
    let mut tree: Value = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
    change(&mut tree, &scrub);
    serde_saphyr::to_string(&tree).map_err(|error| error.to_string())
}

fn change(value: &mut Value, scrub: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = scrub(text),
        Value::Number(number) => {
            let text = number.to_string();
            let clean = scrub(&text);
            if text.len() >= SHORTEST_NUMBER && clean != text {
                *value = Value::String(clean);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| change(item, scrub)),
        Value::Object(members) => members.values_mut().for_each(|value| change(value, scrub)),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_stays_yaml_whatever_a_secret_is() {
        let secrets = ["5", "true", "every", "2468"];
        let scrub = |text: &str| {
            let hide = |text: String, secret: &&str| text.replace(secret, "***");
            secrets.iter().fold(text.to_owned(), hide)
        };
        let yaml = "every: 5\non: true\npin: 2468\nlist: [a 5, { x: 'true' }]\n";
        let shown = scrubbed(yaml, scrub).unwrap();
        let shown: Value = serde_saphyr::from_str(&shown).unwrap();
        let expected = serde_json::json!({
            "every": 5, "on": true, "pin": "***", "list": ["a ***", { "x": "***" }]
        });
        assert_eq!(shown, expected);
    }
}
