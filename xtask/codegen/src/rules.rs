//! Shapes of a spec that progenitor refuses, panics on, or turns into code that does not compile or
//! fails on real answers.
//!
//! Each rule has a small spec that breaks it in `tests/bad/`, named after it.

mod findings;
mod operations;
mod schemas;

use std::collections::BTreeSet;

pub use findings::Breach;
use findings::Findings;

use crate::dropped;
use crate::source::Source;

/// A rule: its name, and the function that finds its breaches.
type Rule = (&'static str, fn(&Source, &mut Findings<'_>));

/// All rules.
const RULES: &[Rule] = &[
    ("openapi-version", operations::version),
    ("path-reference", operations::path_references),
    ("operation-id", operations::operation_ids),
    ("access", operations::access),
    ("answer-codes", operations::answer_codes),
    ("answer-body", operations::answer_bodies),
    ("request-body", operations::request_bodies),
    ("parameter-place", operations::parameter_places),
    ("path-template", operations::path_templates),
    ("path-id", operations::path_ids),
    ("dangling-reference", schemas::dangling_references),
    ("reference-siblings", schemas::reference_siblings),
    ("schema-name", schemas::names),
    ("title", schemas::titles),
    ("known-type", schemas::types),
    ("combination", schemas::combinations),
    ("inline-object", schemas::inline_objects),
    ("enum-values", schemas::enum_values),
    ("member-names", schemas::member_names),
    ("additional-members", schemas::additional_members),
    ("answer-bounds", schemas::answer_bounds),
    ("answer-null", schemas::answer_nulls),
    ("answer-enum", schemas::answer_enums),
    ("request-pattern", schemas::request_patterns),
    ("both-sides", schemas::both_sides),
];

/// The names of all rules, in the order in which they are checked.
pub fn names() -> impl Iterator<Item = &'static str> {
    RULES
        .iter()
        .map(|(name, _)| *name)
        .chain(std::iter::once(DROPPED))
}

const DROPPED: &str = "dropped-key";

/// Every breach of every rule, in the order of the lines.
pub fn check(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (rule, find) in RULES {
        let mut findings = Findings {
            source,
            rule,
            breaches: &mut breaches,
        };
        find(source, &mut findings);
    }
    let mut findings = Findings {
        source,
        rule: DROPPED,
        breaches: &mut breaches,
    };
    // A model that cannot be written back has no keys.
    let read = serde_json::to_value(&source.model).unwrap_or_default();
    for pointer in dropped::keys(&source.root, &read) {
        let owner = pointer.rfind('/').map_or("", |cut| &pointer[..cut]);
        if source
            .root
            .pointer(owner)
            .is_some_and(|owner| owner.get("$ref").is_some())
        {
            continue; // the rule on siblings has a better message
        }
        let key = pointer.rsplit('/').next().unwrap_or_default().to_owned();
        findings.add(
            &pointer,
            format!("the key {key} is not OpenAPI here, and progenitor skips it"),
            "it as OpenAPI 3.0 spells it, or leave it out",
        );
    }
    // A shared schema is reached more than once.
    let mut seen = BTreeSet::new();
    breaches.retain(|breach| seen.insert((breach.line, breach.rule, breach.what.clone())));
    breaches.sort_by_key(|breach| breach.line);
    breaches
}
