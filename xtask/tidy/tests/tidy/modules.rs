//! The modules of a crate without their tests: what each defines, imports and mentions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Item, UseTree, Visibility};

use crate::tree::from_root;

/// A module, in its own file or inline in the file of its parent.
#[derive(Default)]
pub(crate) struct Module {
    /// Its file from the repository's root.
    pub(crate) file: String,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// The names of its items.
    pub(crate) items: BTreeSet<String>,
    pub(crate) uses: Vec<Use>,
    /// The tokens of its items except `use`, as text.
    pub(crate) tokens: Vec<String>,
}

/// One name of a `use` item.
pub(crate) struct Use {
    /// The path that it imports, without a final `*`.
    pub(crate) path: Vec<String>,
    /// The name that it brings into the module; `None` for `*`.
    pub(crate) name: Option<String>,
    /// Whether it makes the name visible outside the module.
    pub(crate) is_public: bool,
}

/// What a path means.
pub(crate) enum Meaning {
    /// This module.
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

/// The modules of a crate; the first is its root.
pub(crate) struct Modules(pub(crate) Vec<Module>);

impl Modules {
    /// Reads the crate whose root is this file.
    pub(crate) fn read(root: &Path) -> Self {
        let mut modules = Self(Vec::new());
        modules.file(root, root.parent().unwrap(), None);
        modules
    }

    /// Reads a file; its children's files are in `directory`.
    fn file(&mut self, file: &Path, directory: &Path, parent: Option<usize>) -> usize {
        let text = std::fs::read_to_string(file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.module(&from_root(file), directory, parent, parsed.items)
    }

    fn module(
        &mut self,
        file: &str,
        directory: &Path,
        parent: Option<usize>,
        items: Vec<Item>,
    ) -> usize {
        let place = self.0.len();
        self.0.push(Module {
            file: file.to_owned(),
            parent,
            ..Module::default()
        });
        for item in items {
            if !attributes(&item).iter().any(is_for_tests) {
                self.item(place, directory, item);
            }
        }
        place
    }

    fn item(&mut self, place: usize, directory: &Path, item: Item) {
        match item {
            Item::Mod(module) => {
                let name = module.ident.to_string();
                let inside = directory.join(&name);
                let child = if let Some((_, items)) = module.content {
                    let file = self.0[place].file.clone();
                    self.module(&file, &inside, Some(place), items)
                } else {
                    let beside = directory.join(format!("{name}.rs"));
                    let file = if beside.is_file() {
                        beside
                    } else {
                        inside.join("mod.rs")
                    };
                    self.file(&file, &inside, Some(place))
                };
                self.0[place].children.insert(name, child);
            }
            Item::Use(item) => {
                let is_public = !matches!(item.vis, Visibility::Inherited);
                flatten(
                    &item.tree,
                    &mut Vec::new(),
                    is_public,
                    &mut self.0[place].uses,
                );
            }
            Item::Macro(item) if item.ident.is_some() => {
                let name = item.ident.as_ref().unwrap().to_string();
                // `crate::name!` names an exported macro wherever it is defined.
                let exported = item
                    .attrs
                    .iter()
                    .any(|one| one.path().is_ident("macro_export"));
                if exported && place != 0 {
                    let path = self.path(place, &name);
                    self.0[0].uses.push(Use {
                        path,
                        name: Some(name.clone()),
                        is_public: true,
                    });
                }
                self.0[place].items.insert(name);
                write_tokens(item.to_token_stream(), &mut self.0[place].tokens);
            }
            mut item => {
                if let Item::Impl(block) = &mut item {
                    block.items.retain(|item| match item {
                        syn::ImplItem::Fn(item) => !item.attrs.iter().any(is_for_tests),
                        syn::ImplItem::Const(item) => !item.attrs.iter().any(is_for_tests),
                        _ => true,
                    });
                }
                self.0[place].items.extend(name_of(&item));
                write_tokens(item.to_token_stream(), &mut self.0[place].tokens);
            }
        }
    }

    /// The path of a name in a module, from `crate`.
    fn path(&self, place: usize, name: &str) -> Vec<String> {
        let mut path = vec![name.to_owned()];
        let mut at = place;
        while let Some(parent) = self.0[at].parent {
            let children = &self.0[parent].children;
            let own = children.iter().find(|(_, child)| **child == at);
            // The root's macro is registered before its own module is: fall back to the file.
            let name = own.map_or_else(|| stem(&self.0[at].file), |(name, _)| name.clone());
            path.insert(0, name);
            at = parent;
        }
        path.insert(0, "crate".to_owned());
        path
    }

    /// What `path` means in module `from`; `None` for other crates.
    pub(crate) fn meaning(&self, from: usize, path: &[String]) -> Option<Meaning> {
        self.resolve(from, path, 0)
    }

    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<Meaning> {
        // Imports that name each other.
        if depth > 16 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(0, rest, depth),
            "self" => self.walk(from, rest, depth),
            "super" => self.walk(self.0[from].parent?, rest, depth),
            name if self.0[from].children.contains_key(name) => self.walk(from, path, depth),
            name => {
                let import = self.0[from].uses.iter().find(|import| {
                    import.name.as_deref() == Some(name) && import.path.first() != Some(first)
                })?;
                let whole: Vec<String> = import.path.iter().chain(rest).cloned().collect();
                self.resolve(from, &whole, depth + 1)
            }
        }
    }

    /// Follows `path` from inside module `at`.
    fn walk(&self, at: usize, path: &[String], depth: usize) -> Option<Meaning> {
        let Some((name, rest)) = path.split_first() else {
            return Some(Meaning::Module(at));
        };
        let module = &self.0[at];
        if name == "super" {
            return self.walk(module.parent?, rest, depth);
        }
        if let Some(child) = module.children.get(name) {
            return self.walk(*child, rest, depth);
        }
        if module.items.contains(name) {
            return Some(Meaning::Item(at));
        }
        for import in &module.uses {
            if import.name.as_ref() == Some(name) {
                let whole: Vec<String> = import.path.iter().chain(rest).cloned().collect();
                return self.resolve(at, &whole, depth + 1);
            }
        }
        for import in module.uses.iter().filter(|import| import.name.is_none()) {
            let Some(Meaning::Module(target)) = self.resolve(at, &import.path, depth + 1) else {
                continue;
            };
            let found = &self.0[target];
            let has = found.children.contains_key(name)
                || found.items.contains(name)
                || found
                    .uses
                    .iter()
                    .any(|import| import.name.as_ref() == Some(name));
            if has {
                return self.walk(target, path, depth + 1);
            }
        }
        // A macro of this module has made it.
        Some(Meaning::Item(at))
    }
}

/// The file's name without its extension; that of its directory for `mod.rs`.
fn stem(file: &str) -> String {
    let path = PathBuf::from(file);
    let path = if path.ends_with("mod.rs") {
        path.parent().unwrap().to_path_buf()
    } else {
        path
    };
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Whether an attribute is `#[cfg(test)]`, or `#[cfg(all(test, …))]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    let mut tokens = Vec::new();
    if attribute.path().is_ident("cfg") {
        write_tokens(attribute.meta.to_token_stream(), &mut tokens);
    }
    let has = |word: &str| tokens.iter().any(|token| token == word);
    has("test") && !has("not") && !has("any")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn flatten(tree: &UseTree, path: &mut Vec<String>, is_public: bool, uses: &mut Vec<Use>) {
    let mut add = |path: Vec<String>, name: Option<String>| {
        uses.push(Use {
            path,
            name,
            is_public,
        });
    };
    match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            flatten(&tree.tree, path, is_public, uses);
            path.pop();
        }
        UseTree::Name(tree) if tree.ident == "self" => add(path.clone(), path.last().cloned()),
        UseTree::Name(tree) => {
            let name = tree.ident.to_string();
            add(
                [path.as_slice(), std::slice::from_ref(&name)].concat(),
                Some(name),
            );
        }
        UseTree::Rename(tree) => {
            let whole = [path.as_slice(), &[tree.ident.to_string()]].concat();
            add(whole, Some(tree.rename.to_string()));
        }
        UseTree::Glob(_) => add(path.clone(), None),
        UseTree::Group(tree) => {
            for tree in &tree.items {
                flatten(tree, path, is_public, uses);
            }
        }
    }
}

/// Appends the tokens, those of groups with their delimiters, except doc comments.
fn write_tokens(stream: TokenStream, tokens: &mut Vec<String>) {
    for tree in stream {
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                tokens.push(open.to_owned());
                write_tokens(group.stream(), tokens);
                tokens.push(close.to_owned());
            }
            other => tokens.push(other.to_string()),
        }
    }
}
