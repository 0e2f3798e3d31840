//! From a plan and a model to the text of the two generated files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use openapiv3::OpenAPI;
use progenitor::{
    GenerationSettings, Generator, HooksMode, InterfaceStyle, TagStyle, TypeImpl, TypePatch,
};
use quote::quote;

use crate::passes;
use crate::plan::{Counts, OpenEnum, Plan, variant};
use crate::widen::widen;

/// Why no code could be made of a spec that breaks no rule.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// Progenitor refused the model.
    #[error("progenitor: {0}; a rule for this is missing in xtask/codegen/src/rules.rs")]
    Progenitor(#[from] progenitor::Error),
    /// What progenitor made is not Rust.
    #[error("progenitor's output cannot be parsed: {0}")]
    Parse(#[from] syn::Error),
    /// A pass did not find what the spec says it must find.
    #[error(
        "the passes changed {found:?}, the spec wants {expected:?}; see xtask/codegen/src/passes.rs"
    )]
    Counts {
        /// What was found.
        found: Counts,
        /// What the spec has.
        expected: Counts,
    },
    /// A replacement that matched nothing: progenitor ignores it silently.
    #[error("schema {0} should have been replaced, but the generated code still defines it")]
    NotReplaced(String),
}

/// The text of every generated file, by its name.
pub fn files(
    model: &OpenAPI,
    plan: &Plan,
    spec: &str,
) -> Result<BTreeMap<&'static str, String>, EmitError> {
    Ok(BTreeMap::from([
        ("generated.rs", client(model, plan, spec)?),
        ("open.rs", open_enums(&plan.open_enums, spec)),
    ]))
}

fn client(model: &OpenAPI, plan: &Plan, spec: &str) -> Result<String, EmitError> {
    let mut model = model.clone();
    widen(&mut model);
    let tokens = Generator::new(&settings(plan)).generate_tokens(&model)?;
    let mut file = passes::parse(tokens)?;
    let replaced = plan
        .secrets
        .iter()
        .chain(&plan.ids)
        .chain(plan.open_enums.iter().map(|item| &item.name));
    for name in replaced {
        if defines(&file, name) {
            return Err(EmitError::NotReplaced(name.clone()));
        }
    }
    let found = passes::apply(&mut file, plan);
    if found != plan.expected {
        return Err(EmitError::Counts {
            found,
            expected: plan.expected,
        });
    }
    Ok(format!(
        "{}\n{}",
        header(
            spec,
            "The client of every operation, and the types that it sends and receives."
        ),
        prettyplease::unparse(&file)
    ))
}

fn settings(plan: &Plan) -> GenerationSettings {
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Positional)
        .with_tag(TagStyle::Merged)
        .with_hooks(HooksMode::Expected)
        .with_inner_type(quote!(crate::Inner))
        .with_derive("PartialEq")
        .with_map_type("::std::collections::BTreeMap");
    for name in &plan.secrets {
        settings.with_replacement(
            name,
            "::api_client::Secret",
            std::iter::once(TypeImpl::Default),
        );
    }
    for name in &plan.ids {
        settings.with_replacement(
            name,
            "::api_client::ResourceId",
            std::iter::once(TypeImpl::Display),
        );
    }
    for item in &plan.open_enums {
        settings.with_replacement(
            &item.name,
            format!("crate::open::{}", item.name),
            [TypeImpl::Display, TypeImpl::FromStr].into_iter(),
        );
    }
    for name in &plan.defaults {
        settings.with_patch(name, TypePatch::default().with_derive("Default"));
    }
    settings
}

/// Whether the file's module of types has a type of this name.
fn defines(file: &syn::File, name: &str) -> bool {
    file.items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Mod(module) if module.ident == "types" => module.content.as_ref(),
            _ => None,
        })
        .flat_map(|(_, items)| items)
        .any(|item| match item {
            syn::Item::Struct(item) => item.ident == name,
            syn::Item::Enum(item) => item.ident == name,
            syn::Item::Type(item) => item.ident == name,
            _ => false,
        })
}

fn open_enums(enums: &[OpenEnum], spec: &str) -> String {
    let mut text = header(
        spec,
        "Enums of answers: the documented values, and whatever else a server sends.",
    );
    for item in enums {
        text.push_str("\n::api_client::open_enum! {\n");
        for line in item.description.lines() {
            let _ = writeln!(text, "    /// {line}");
        }
        let _ = writeln!(text, "    {} {{", item.name);
        for value in &item.values {
            let _ = writeln!(text, "        {} = {value:?},", variant(value));
        }
        text.push_str("    }\n}\n");
    }
    text
}

fn header(spec: &str, subject: &str) -> String {
    format!(
        "//! {subject}\n//!\n//! @generated by `cargo xtask codegen` from {spec}. Do not edit: change the spec or the generator.\n"
    )
}
