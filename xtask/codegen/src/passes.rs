//! Changes to the code that progenitor makes.
//!
//! What it makes is right for a server that keeps to its description. These servers do not always, and what they send must not be lost, so:
//!
//! * numbers and truth values of answers are read leniently ([`Numbers`] says how), money never as a binary fraction;
//! * bodies are read by `api_client::decode` and `decode_error`: bounded, byte order mark skipped, the status never lost;
//! * `Client::new` goes: it panics when TLS cannot be set up, and its total time-out would cut a long export;
//! * the header `api-version`, which these servers do not know, is not sent;
//! * each line of documentation is a line of `///`.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Expr, Field, File, ImplItem, Item, ItemMod, Meta, Stmt, parse_quote};

use crate::plan::{Counts, Numbers, Plan};

/// Applies all passes.
pub fn apply(file: &mut File, plan: &Plan) -> Counts {
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
    let mut bodies = Bodies::default();
    bodies.visit_file_mut(file);
    let mut headers = VersionHeader::default();
    headers.visit_file_mut(file);
    let constructors = remove_new(file);
    OneLineDocs.visit_file_mut(file);
    Counts {
        answer_numbers: lenient.answer_numbers,
        answer_booleans: lenient.answer_booleans,
        request_money: lenient.request_money,
        decodes: bodies.decodes,
        error_decodes: bodies.error_decodes,
        version_headers: headers.removed,
        constructors,
    }
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

/// Has the member read by a function of `api_client`. Without `default`, a function would be asked for absent members too.
fn add_reader(field: &mut Field, function: &str) {
    field
        .attrs
        .push(parse_quote!(#[serde(default, deserialize_with = #function)]));
}

/// Turns an optional number into one that knows by itself whether it is missing.
fn keep_number(field: &mut Field) {
    field.ty = parse_quote!(::api_client::Number);
    for attribute in &mut field.attrs {
        if !attribute.path().is_ident("serde") {
            continue;
        }
        let mut rename: Option<syn::LitStr> = None;
        // What else stands there is `skip_serializing_if`, which is for options.
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

/// `ResponseValue::from_response` of answers and of errors.
#[derive(Default)]
struct Bodies {
    decodes: usize,
    error_decodes: usize,
    in_error: bool,
}

impl VisitMut for Bodies {
    fn visit_expr_call_mut(&mut self, call: &mut syn::ExprCall) {
        let callee = &call.func;
        let callee = quote!(#callee).to_string().replace(' ', "");
        if callee == "ResponseValue::from_response" {
            if self.in_error {
                self.error_decodes += 1;
                call.func = parse_quote!(::api_client::decode_error);
            } else {
                self.decodes += 1;
                call.func = parse_quote!(::api_client::decode);
            }
        }
        let outer = self.in_error;
        self.in_error |= callee == "Error::ErrorResponse";
        visit_mut::visit_expr_call_mut(self, call);
        self.in_error = outer;
    }
}

/// The statements that put `api-version` into the headers, and the headers themselves.
#[derive(Default)]
struct VersionHeader {
    removed: usize,
}

impl VisitMut for VersionHeader {
    fn visit_impl_item_fn_mut(&mut self, method: &mut syn::ImplItemFn) {
        let before = method.block.stmts.len();
        let statements = std::mem::take(&mut method.block.stmts);
        method.block.stmts = statements
            .into_iter()
            .filter(|statement| !builds_headers(statement))
            .collect();
        if method.block.stmts.len() < before {
            self.removed += 1;
            WithoutHeaders.visit_impl_item_fn_mut(method);
        }
    }
}

/// `let mut header_map = …;` or `header_map.append(…);`
fn builds_headers(statement: &Stmt) -> bool {
    match statement {
        Stmt::Local(local) => {
            let pattern = &local.pat;
            quote!(#pattern).to_string().contains("header_map")
        }
        Stmt::Expr(Expr::MethodCall(call), _) => {
            matches!(&*call.receiver, Expr::Path(path) if path.path.is_ident("header_map"))
        }
        _ => false,
    }
}

/// Takes `.headers(header_map)` out of a chain of calls.
struct WithoutHeaders;

impl VisitMut for WithoutHeaders {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        if let Expr::MethodCall(call) = expression
            && call.method == "headers"
        {
            *expression = (*call.receiver).clone();
        }
        visit_mut::visit_expr_mut(self, expression);
    }
}

/// Removes `Client::new`; how many there were.
fn remove_new(file: &mut File) -> usize {
    let mut removed = 0;
    for item in &mut file.items {
        let Item::Impl(implementation) = item else {
            continue;
        };
        let owner = &implementation.self_ty;
        if implementation.trait_.is_some() || quote!(#owner).to_string() != "Client" {
            continue;
        }
        implementation.items.retain(|member| {
            let is_new = matches!(member, ImplItem::Fn(method) if method.sig.ident == "new");
            removed += usize::from(is_new);
            !is_new
        });
    }
    removed
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

/// Parses what progenitor made.
pub fn parse(tokens: TokenStream) -> syn::Result<File> {
    syn::parse2(tokens)
}
