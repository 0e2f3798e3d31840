//! `docs/OUTPUTS.md` names each key of the configuration's schema, and no other.

#[test]
fn the_reference_has_every_key() -> Result<(), Box<dyn std::error::Error>> {
    let schema = include_str!("../src/config.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema)?;
    let properties = schema["properties"].as_object().ok_or("no properties")?;

    let reference = include_str!("../../../docs/OUTPUTS.md");
    let table = reference
        .split_once("| webhook key |")
        .and_then(|(_, rest)| rest.split("\n\n").next())
        .ok_or("no table")?;
    let mut documented: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    documented.sort_unstable();
    keys.sort_unstable();
    assert_eq!(documented, keys);
    Ok(())
}
