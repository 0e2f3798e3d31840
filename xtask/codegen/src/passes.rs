//! Changes to the code that progenitor makes.
//!
//! That code is right for a server that follows its description. These servers do not always do so,
//! and what they send must not be lost, so:
//!
//! * numbers and truth values of answers are read leniently ([`Numbers`] says how), and money never
//!   as a binary fraction;
//! * operations are sent by `api_client` ([`client`]);
//! * each line of documentation is a line of `///`.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::visit_mut::VisitMut;
use syn::{Attribute, Expr, Field, File, Item, ItemMod, Meta, parse_quote};

use crate::client;
use crate::plan::{Counts, Numbers, Plan};

/// Applies all passes.
pub fn apply(file: &mut File, plan: &Plan) -> syn::Result<Counts> {
    let mut lenient = LenientMembers {
        numbers: plan.numbers,
        answers: &plan.answers,
        in_answer: false,
        answer_numbers: 0,
        answer_booleans: 0,
        request_money: 0,
    };
    for item in &mut file.items {
        if let Item::Mod(module) = item
            && module.ident == "types"
        {
            lenient.visit_item_mod_mut(module);
        }
    }
    let operations = client::rebuild(file, &plan.operations)?;
    OneLineDocs.visit_file_mut(file);
    Ok(Counts {
        answer_numbers: lenient.answer_numbers,
        answer_booleans: lenient.answer_booleans,
        request_money: lenient.request_money,
        operations,
    })
}

/// Numbers and truth values of answers, and money of requests.
struct LenientMembers<'p> {
    numbers: Numbers,
    answers: &'p BTreeSet<String>,
    in_answer: bool,
    answer_numbers: usize,
    answer_booleans: usize,
    request_money: usize,
}

impl VisitMut for LenientMembers<'_> {
    fn visit_item_mod_mut(&mut self, module: &mut ItemMod) {
        for item in module.content.iter_mut().flat_map(|(_, items)| items) {
            if let Item::Struct(structure) = item {
                self.in_answer = self.answers.contains(&structure.ident.to_string());
                for field in &mut structure.fields {
                    self.visit_field_mut(field);
                }
            }
        }
    }

    fn visit_field_mut(&mut self, field: &mut Field) {
        let written = &field.ty;
        let written = quote!(#written).to_string().replace(' ', "");
        let optional = written
            .strip_prefix("::std::option::Option<")
            .and_then(|rest| rest.strip_suffix('>'));
        match (self.in_answer, optional, self.numbers) {
            (true, Some("bool"), _) => {
                add_reader(field, "::api_client::lenient::opt_bool");
                self.answer_booleans += 1;
            }
            (true, Some("i32" | "i64" | "f64"), Numbers::Kept) => {
                keep_number(field);
                self.answer_numbers += 1;
            }
            (true, Some(integer @ ("i32" | "i64")), Numbers::Exact) => {
                add_reader(field, &format!("::api_client::lenient::opt_{integer}"));
                self.answer_numbers += 1;
            }
            (_, Some("f64"), Numbers::Exact) => {
                field.ty = parse_quote!(::std::option::Option<::api_client::Amount>);
                if self.in_answer {
                    self.answer_numbers += 1;
                } else {
                    self.request_money += 1;
                }
            }
            (false, None, Numbers::Exact) if written == "f64" => {
                field.ty = parse_quote!(::api_client::Amount);
                self.request_money += 1;
            }
            _ => {}
        }
    }
}

/// Makes a function of `api_client` read the member. Without `default` it would be called for
/// absent members, too.
fn add_reader(field: &mut Field, function: &str) {
    field
        .attrs
        .push(parse_quote!(#[serde(default, deserialize_with = #function)]));
}

/// Turns an optional number into `Number`, which has a value for a missing one.
fn keep_number(field: &mut Field) {
    field.ty = parse_quote!(::api_client::Number);
    for attribute in &mut field.attrs {
        if !attribute.path().is_ident("serde") {
            continue;
        }
        let mut rename: Option<syn::LitStr> = None;
        // The rest is `skip_serializing_if`, which is for options.
        let _ = attribute.parse_nested_meta(|meta| {
            let value: syn::LitStr = meta.value()?.parse()?;
            if meta.path.is_ident("rename") {
                rename = Some(value);
            }
            Ok(())
        });
        let rename = rename.map(|name| quote!(rename = #name,));
        *attribute = parse_quote!(#[serde(
            #rename default,
            skip_serializing_if = "::api_client::Number::is_missing"
        )]);
    }
}

/// Splits documentation of several lines, which would be printed as `/** … */`.
struct OneLineDocs;

impl VisitMut for OneLineDocs {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        *attributes = std::mem::take(attributes)
            .into_iter()
            .flat_map(|attribute| match documentation(&attribute) {
                Some(text) => text
                    .lines()
                    .map(|line| {
                        let line = match line.trim_end() {
                            "" => String::new(),
                            line if line.starts_with(' ') => line.to_owned(),
                            line => format!(" {line}"),
                        };
                        parse_quote!(#[doc = #line])
                    })
                    .collect(),
                None => vec![attribute],
            })
            .collect();
    }
}

fn documentation(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let Expr::Lit(literal) = &pair.value else {
        return None;
    };
    match &literal.lit {
        syn::Lit::Str(text) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

/// Parses the output of progenitor.
pub fn parse(tokens: TokenStream) -> syn::Result<File> {
    syn::parse2(tokens)
}
