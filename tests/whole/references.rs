//! `docs/OUTPUTS.md` names each key of an output's configuration schema, and no other.

use serde_json::Value;

const REFERENCE: &str = include_str!("../../docs/OUTPUTS.md");
const SCHEMAS: [(&str, &str); 2] = [
    (
        "csv",
        include_str!("../../plugins/csv/src/config.schema.json"),
    ),
    (
        "webhook",
        include_str!("../../plugins/webhook/src/config.schema.json"),
    ),
];

#[test]
fn outputs_have_every_key_in_their_reference() {
    for (plugin, schema) in SCHEMAS {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        let (_, table) = REFERENCE.split_once(&format!("| {plugin} key |")).unwrap();
        let mut documented: Vec<&str> = table
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
        documented.sort_unstable();
        keys.sort_unstable();
        assert_eq!(documented, keys, "{plugin}");
    }
}
