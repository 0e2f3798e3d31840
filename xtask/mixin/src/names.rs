//! Names in queries: `{Calls}` stands for the name of the family with that id, so that a renamed
//! family cannot leave a query that finds nothing.
//!
//! `grown({Calls}[1h])` stands for the increase of a counter that includes the first value of a new
//! series, which `increase()` leaves out.

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
    let query = &grown(query);
    let mut text = String::with_capacity(query.len() * 2);
    let mut rest = query.as_str();
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
            query: query.clone(),
        })?;
        text.push_str(family.family().name);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// Writes out `grown(…)`. A series is new if it was not there at the beginning of the window, but
/// the family was, for its account. So a gap in the scrapes, or a Prometheus that starts, makes no
/// series new. `grown({Charges}[1h] like {Calls})` looks for another family.
fn grown(query: &str) -> String {
    let mut text = String::new();
    let mut rest = query;
    while let Some((before, after)) = rest.split_once("grown(") {
        let parts = after.split_once(']').and_then(|(of, after)| {
            let (counter, window) = of.rsplit_once('[')?;
            let (like, after) = after.split_once(')')?;
            let like = like.strip_prefix(" like ");
            let family = like.or(counter.split_inclusive('}').next())?;
            Some((counter, window, family, after))
        });
        let Some((counter, window, family, after)) = parts else {
            break;
        };
        let new = format!(
            "({counter} unless {counter} offset {window} and on (account) {family} offset {window})"
        );
        text.push_str(before);
        let grown = format!("(increase({counter}[{window}]) unless {new} or {new})");
        text.push_str(&grown);
        rest = after;
    }
    text.push_str(rest);
    text
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
        let new = "(callmeter_calls_total{a=\"b\"} unless callmeter_calls_total{a=\"b\"} offset 1h and on (account) callmeter_calls_total offset 1h)";
        assert_eq!(
            expand(r#"sum(grown({Calls}{a="b"}[1h])) > 0"#).unwrap(),
            format!(
                "sum((increase(callmeter_calls_total{{a=\"b\"}}[1h]) unless {new} or {new})) > 0"
            )
        );
    }
}
