//! Names in queries: `{Calls}` stands for the name of the family with that id, so that a renamed
//! family cannot leave a query that finds nothing.

use callmeter_meter::FamilyId;

/// The runbook, for the links of alerts. The path is in the repository, which has no public address
/// yet; write that before it when there is one.
pub const RUNBOOK: &str = "docs/RUNBOOK.md";

/// A query names a family that the table does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{{{id}}} in the query {query:?} is not a family of crates/meter/src/families.rs")]
pub struct UnknownFamily {
    id: String,
    query: String,
}

/// The query with the names of its families.
///
/// # Errors
/// If it names a family that does not exist.
pub fn expand(query: &str) -> Result<String, UnknownFamily> {
    let mut text = String::with_capacity(query.len() * 2);
    let mut rest = query;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        // Selectors begin with a label, which is in lower case.
        let is_family = after.starts_with(|letter: char| letter.is_ascii_uppercase());
        let Some((id, after)) = after.split_once('}').filter(|_| is_family) else {
            text.push('{');
            rest = after;
            continue;
        };
        let mut families = FamilyId::ALL.iter();
        let found = families.find(|family| format!("{family:?}") == id);
        let family = found.ok_or_else(|| UnknownFamily {
            id: id.to_owned(),
            query: query.to_owned(),
        })?;
        text.push_str(family.family().name);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_names_and_selectors_stay() {
        let query = r#"sum by (account) ({Calls}{direction="incoming"} / {CallAnswer}_count{})"#;
        assert_eq!(
            expand(query).unwrap(),
            r#"sum by (account) (callmeter_calls_total{direction="incoming"} / callmeter_call_answer_seconds_count{})"#
        );
        assert!(expand("sum({CallsOnMars})").is_err());
    }
}
