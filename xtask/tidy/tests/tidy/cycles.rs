//! Dependencies between the modules of a crate run one way.
//!
//! The nodes are the files of the modules; an inline module belongs to its file. There is an edge
//! from file A to file B if code of A that is not for tests
//! - imports with `use` something that B defines, or
//! - names it by a path that starts with `crate`, `self`, `super`, a child module or an imported
//!   name, also inside functions and macro calls.
//!
//! Re-exports are followed to the definition, so a `lib.rs` or `mod.rs` that only declares and
//! re-exports has no edges. A `pub use` is an edge only if its own file uses the name, too. Edges
//! from generated files are left out. The test does not see the use of a method whose `impl` is in
//! another file than its type.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::known;
use crate::modules::{Meaning, Modules};
use crate::tree::packages;

/// For each file, the files that it depends on, each with a path that shows it.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn modules_depend_on_each_other_one_way() {
    let mut found = Vec::new();
    let mut stale: Vec<&[&str]> = known::CYCLES.to_vec();
    for package in packages() {
        for root in package.roots() {
            let graph = graph(&Modules::read(&root));
            for cycle in cycles(&graph) {
                let known =
                    |listed: &&&[&str]| cycle.iter().all(|file| listed.contains(&file.as_str()));
                match known::CYCLES.iter().find(known) {
                    Some(listed) => stale.retain(|other| other != listed),
                    None => found.push(describe(&cycle, &graph)),
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "modules that depend on each other; move what both need to a third module:\n\n{}",
        found.join("\n")
    );
    assert!(
        stale.is_empty(),
        "cycles that no longer exist; remove them from known.rs: {stale:#?}"
    );
}

fn graph(modules: &Modules) -> Graph {
    let mut graph = Graph::new();
    for (place, module) in modules.0.iter().enumerate() {
        if module.file.ends_with("/generated.rs") {
            continue;
        }
        let mut paths: Vec<Vec<String>> = Vec::new();
        for import in &module.uses {
            match &import.name {
                Some(name) if !import.is_public || module.tokens.contains(name) => {
                    paths.push(import.path.clone());
                }
                None if !import.is_public => {
                    // The name may be anything in the other module.
                    if let Some(Meaning::Module(target)) = modules.meaning(place, &import.path) {
                        let all = modules.0[target].items.iter();
                        let meant = all.filter(|name| module.tokens.contains(name));
                        paths.extend(
                            meant.map(|name| {
                                [&import.path[..], std::slice::from_ref(name)].concat()
                            }),
                        );
                    }
                }
                _ => {}
            }
        }
        paths.extend(paths_in(&module.tokens));
        for path in paths {
            // A module that is imported as such is used by the paths that begin with its name.
            let Some(Meaning::Item(target)) = modules.meaning(place, &path) else {
                continue;
            };
            let target = &modules.0[target].file;
            if *target != module.file {
                let edges = graph.entry(module.file.clone()).or_default();
                edges
                    .entry(target.clone())
                    .or_insert_with(|| path.join("::"));
            }
        }
    }
    graph
}

/// The paths of at least two parts.
fn paths_in(tokens: &[String]) -> Vec<Vec<String>> {
    let is_name =
        |token: &String| token.starts_with(|first: char| first.is_alphabetic() || first == '_');
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begin = at;
        at += 1;
        let follows = begin > 0 && matches!(tokens[begin - 1].as_str(), ":" | "." | "'" | "$");
        let is_path = begin < 2 || tokens[begin - 2] != ":" || tokens[begin - 1] != ":";
        // A type after a single colon begins a path, a name after two continues one.
        let follows = follows && !(tokens[begin - 1] == ":" && is_path);
        if follows || !is_name(&tokens[begin]) {
            continue;
        }
        let mut path = vec![tokens[begin].clone()];
        while at + 2 < tokens.len()
            && tokens[at] == ":"
            && tokens[at + 1] == ":"
            && is_name(&tokens[at + 2])
        {
            path.push(tokens[at + 2].clone());
            at += 3;
        }
        // `pub(in path)` says who sees an item, not what it uses.
        let is_visibility = begin >= 2 && tokens[begin - 1] == "in" && tokens[begin - 2] == "(";
        if path.len() > 1 && !is_visibility {
            paths.push(path);
        }
    }
    paths
}

/// The largest sets of files each of which depends on all others of its set.
fn cycles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = graph
        .keys()
        .map(|file| (file, reach(graph, file)))
        .collect();
    let mut cycles = BTreeSet::new();
    for (file, others) in &reached {
        if others.contains(file) {
            let mutual = others
                .iter()
                .filter(|other| reached.get(*other).is_some_and(|back| back.contains(file)));
            cycles.insert(
                mutual
                    .map(|other| (*other).clone())
                    .collect::<BTreeSet<String>>(),
            );
        }
    }
    cycles.into_iter().collect()
}

fn reach<'g>(graph: &'g Graph, from: &'g String) -> BTreeSet<&'g String> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![from];
    while let Some(file) = pending.pop() {
        for next in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next) {
                pending.push(next);
            }
        }
    }
    reached
}

fn describe(cycle: &BTreeSet<String>, graph: &Graph) -> String {
    let mut text = cycle.iter().cloned().collect::<Vec<_>>().join("\n") + "\n";
    for file in cycle {
        for (target, path) in graph[file]
            .iter()
            .filter(|(target, _)| cycle.contains(*target))
        {
            writeln!(text, "    {file} -> {target}   ({path})").unwrap();
        }
    }
    text
}

#[test]
fn paths_are_found_in_tokens() {
    let text = "f ( a : : b : : c , x . d : : e , < T : g : : h > ) y : i : : j : : < k > pub ( in l : : m )";
    let tokens: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let paths: Vec<String> = paths_in(&tokens)
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(paths, ["a::b::c", "g::h", "i::j"]);
}

#[test]
fn a_cycle_through_three_files_is_one() {
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e")];
    let mut graph = Graph::new();
    for (from, to) in edges {
        graph
            .entry(from.to_owned())
            .or_default()
            .insert(to.to_owned(), String::new());
    }
    let expected = ["a", "b", "c"].map(str::to_owned);
    assert_eq!(cycles(&graph), [BTreeSet::from(expected)]);
}
