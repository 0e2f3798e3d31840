//! Code outside tests updates every metric family of the table.
//!
//! A family of the `prometheus` registry is a field or a local variable of the file that registers
//! it. Another file has to use the field, or the same file twice, or the variable. Every other
//! family has to be named as `FamilyId::Name` outside the table.

use crate::known;
use crate::modules::Modules;
use crate::tree::{packages, root};

/// Where the families are.
const TABLE: &str = "crates/meter/src/families.rs";

/// The type that names a family.
const ENUM: &str = "FamilyId";

/// A file's tokens, without its tests.
struct Source {
    file: String,
    tokens: Vec<String>,
}

impl Source {
    fn has(&self, token: &str) -> bool {
        self.tokens.iter().any(|one| one == token)
    }

    /// Where it names a family.
    fn names(&self, id: &str) -> Option<usize> {
        // A function may import it by a shorter name.
        let alias = position(&self.tokens, &[ENUM, "as"]).map(|at| self.tokens[at + 2].as_str());
        let named = |name: &str| position(&self.tokens, &[name, ":", ":", id]);
        named(ENUM).or_else(|| named(alias?))
    }
}

#[test]
fn every_metric_is_updated() {
    let table = std::fs::read_to_string(root().join(TABLE)).unwrap();
    let families = families(&table);
    assert!(
        families.len() > 30,
        "{TABLE} is not read as it is written: {families:?}"
    );
    let sources = sources();
    let naming: Vec<&Source> = sources.iter().filter(|source| source.has(ENUM)).collect();
    let never: Vec<&str> = families
        .iter()
        .filter(|(id, source)| {
            if source == "Registry" {
                !is_registered_and_updated(&naming, &sources, id)
            } else {
                !naming.iter().any(|source| source.names(id).is_some())
            }
        })
        .map(|(id, _)| id.as_str())
        .filter(|id| !known::METRICS_NEVER_UPDATED.contains(id))
        .collect();
    assert!(
        never.is_empty(),
        "nothing updates these families of {TABLE}: {never:?}"
    );
}

/// Id and source of each family: `Up: State Gauge "callmeter_up" …`.
fn families(table: &str) -> Vec<(String, String)> {
    let rows = table.lines().filter(|line| line.contains("\"callmeter_"));
    rows.filter_map(|line| {
        let (id, rest) = line.split_once(": ")?;
        let source = rest.split(' ').next()?;
        Some((id.trim().to_owned(), source.to_owned()))
    })
    .collect()
}

fn sources() -> Vec<Source> {
    let roots = packages().into_iter().flat_map(|package| package.roots());
    let modules = roots.flat_map(|root| Modules::read(&root).0);
    let sources = modules.map(|module| Source {
        file: module.file,
        tokens: module.tokens,
    });
    sources.filter(|source| source.file != TABLE).collect()
}

/// `naming` are those of `sources` that name families.
fn is_registered_and_updated(naming: &[&Source], sources: &[Source], id: &str) -> bool {
    naming.iter().any(|source| {
        let Some(at) = source.names(id) else {
            return false;
        };
        // `name: table.counters(FamilyId::Name)` or `let name = table.gauges(FamilyId::Name)`.
        let before = &source.tokens[..at];
        let Some(sign) = before
            .iter()
            .rposition(|token| token == ":" || token == "=")
        else {
            return false;
        };
        let name = before[sign - 1].as_str();
        if before[sign] == "=" {
            let uses = source.tokens[at..].iter().filter(|token| *token == name);
            uses.count() > 0
        } else {
            // A file that updates its own field also names it where the field is collected.
            sources.iter().any(|other| {
                let uses = uses_of_field(&other.tokens, name);
                uses > usize::from(other.file == source.file)
            })
        }
    })
}

fn uses_of_field(tokens: &[String], name: &str) -> usize {
    let field = [".", name];
    let uses = tokens.windows(2).filter(|pair| *pair == field);
    uses.count()
}

fn position(tokens: &[String], wanted: &[&str]) -> Option<usize> {
    tokens
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[test]
fn a_metric_that_only_its_own_file_mentions_is_not_updated() {
    let source = |file: &str, text: &str| Source {
        file: file.to_owned(),
        tokens: text.split(' ').map(str::to_owned).collect(),
    };
    let registering = source(
        "metrics.rs",
        "{ polls : table . counters ( FamilyId : : Polls ) ? , } forget ( & self . polls )",
    );
    let is_updated = |sources: &[Source], id: &str| {
        let naming: Vec<&Source> = sources.iter().collect();
        is_registered_and_updated(&naming, sources, id)
    };
    assert!(!is_updated(std::slice::from_ref(&registering), "Polls"));
    let updating = source("runner.rs", "metrics . polls . inc ( )");
    assert!(is_updated(&[registering, updating], "Polls"));
    let local = source(
        "build.rs",
        "let build = table . gauges ( FamilyId : : BuildInfo ) ? ; build . set ( 1 )",
    );
    assert!(is_updated(&[local], "BuildInfo"));
}
