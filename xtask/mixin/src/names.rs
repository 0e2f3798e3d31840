//! Names in queries: `{Calls}` stands for the name of the family with that id, so that a renamed
//! family cannot leave a query that finds nothing.
//!
//! `grown({Calls}[1h])` stands for the increase of a counter that includes the first value of a new
//! series, which `increase()` leaves out.
//!
//! Several instances may share a journal. `one(…)` stands for the value of one of them where all show
//! the same, as they do of totals, and for the only value where one shows it. `held({Up})` stands for
//! the state of what one instance works on, also while it moves to another one. An instance that does not
//! reach the journal may show a state that is another one's by now, so it is left out.

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
    let query = &call(&grown(query), "one", &|of| {
        format!("max without (instance) ({of})")
    });
    let query = &call(query, "held", &|of| {
        format!(
            "max without (instance) (last_over_time({of}[{MOVE}]) \
             unless on (job, instance) {{JournalUp}} == 0)"
        )
    });
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

/// How long the state of something may be unknown while it moves to another instance: that long an
/// alert goes on, and does not begin again.
const MOVE: &str = "5m";

/// Writes out the calls of a function that is not PromQL's.
fn call(query: &str, name: &str, write: &dyn Fn(&str) -> String) -> String {
    let name = format!("{name}(");
    let mut text = String::new();
    let mut rest = query;
    while let Some(at) = begin(rest, &name) {
        let (before, after) = rest.split_at(at);
        let after = after.get(name.len()..).unwrap_or_default();
        let (inner, end) = after.split_at(closing(after));
        text.push_str(before);
        text.push_str(&write(&call(inner, name.trim_end_matches('('), write)));
        rest = end.strip_prefix(')').unwrap_or(end);
    }
    text.push_str(rest);
    text
}

/// Where a function is called, and not another one whose name ends in the same way.
fn begin(query: &str, name: &str) -> Option<usize> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = query.match_indices(name).map(|(at, _)| at);
    found.find(|at| {
        !query
            .get(..*at)
            .is_some_and(|before| before.ends_with(is_word))
    })
}

/// Where the parenthesis ends that is open at the beginning.
fn closing(query: &str) -> usize {
    let (mut depth, mut in_text) = (0_u32, false);
    for (at, letter) in query.char_indices() {
        match letter {
            '"' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text && depth == 0 => return at,
            ')' if !in_text => depth -= 1,
            _ => {}
        }
    }
    query.len()
}

/// Writes out `grown(…)`. A series is new if it was not there at the beginning of the window, but
/// the family was, for its account and instance. So a gap in the scrapes, an instance or a Prometheus
/// that starts, makes no series new. `grown({Charges}[1h] like {Calls})` looks for another family.
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
            "({counter} unless {counter} offset {window} and on (account, instance) {family} offset {window})"
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
        assert_eq!(
            expand(r#"sum(one(rate({Calls}{a=")"}[1h]) * (2))) + none(1)"#).unwrap(),
            r#"sum(max without (instance) (rate(callmeter_calls_total{a=")"}[1h]) * (2))) + none(1)"#
        );
        assert_eq!(
            expand(r#"held({Up}{a="b"}) == 0"#).unwrap(),
            r#"max without (instance) (last_over_time(callmeter_up{a="b"}[5m]) unless on (job, instance) callmeter_journal_up == 0) == 0"#
        );
        let new = "(callmeter_calls_total{a=\"b\"} unless callmeter_calls_total{a=\"b\"} offset 1h and on (account, instance) callmeter_calls_total offset 1h)";
        assert_eq!(
            expand(r#"sum(grown({Calls}{a="b"}[1h])) > 0"#).unwrap(),
            format!(
                "sum((increase(callmeter_calls_total{{a=\"b\"}}[1h]) unless {new} or {new})) > 0"
            )
        );
    }
}
