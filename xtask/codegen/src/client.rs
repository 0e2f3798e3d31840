//! Rebuilds progenitor's client: its code still makes the requests, but `api_client` sends them.
//!
//! Each operation keeps progenitor's method, path and query, and ends with one call of
//! `::api_client::RequestContext`. Operations that read, that write and that sign in are methods of
//! three types, so that code with one of them cannot call the operations of the others.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Expr, File, GenericArgument, ImplItem, ImplItemFn, Item, Pat, PathArguments, Stmt, Type,
};

use crate::plan::{ClientType, OperationCounts, PlannedOperation};

/// Replaces progenitor's client by one type for each [`ClientType`] that has operations.
pub fn rebuild(file: &mut File, planned: &[PlannedOperation]) -> syn::Result<OperationCounts> {
    let mut methods = Vec::new();
    let mut types = Vec::new();
    for item in std::mem::take(&mut file.items) {
        match item {
            Item::Mod(module) if module.ident == "types" => types.push(Item::Mod(module)),
            Item::Impl(block) if block.trait_.is_none() => {
                methods.extend(block.items.into_iter().filter_map(|member| match member {
                    ImplItem::Fn(method) if method.sig.asyncness.is_some() => Some(method),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    let mut counts = OperationCounts::default();
    let mut by_type: BTreeMap<ClientType, Vec<ImplItemFn>> = BTreeMap::new();
    for mut method in methods {
        let Some(operation) = planned.iter().find(|one| method.sig.ident == one.id) else {
            continue;
        };
        let exchange = send_through_context(&mut method, operation)?;
        counts.operations += 1;
        counts.bodies += usize::from(exchange.has_body);
        counts.streams += usize::from(exchange.is_stream);
        by_type.entry(operation.client).or_default().push(method);
    }
    file.items = syn::parse2::<File>(quote! {
        #[allow(unused_imports)]
        use ::api_client::__private::progenitor_client::{self, encode_path};
    })?
    .items;
    file.items.push(operation_constants(planned)?);
    file.items.append(&mut types);
    for (client, methods) in by_type {
        file.items.extend(client_type(client, &methods)?);
    }
    Ok(counts)
}

/// `pub mod operations`, with a constant for each operation.
fn operation_constants(planned: &[PlannedOperation]) -> syn::Result<Item> {
    let constants = planned.iter().map(|operation| {
        let doc = format!(" `{} {}`", operation.method.to_uppercase(), operation.path);
        let id = &operation.id;
        let name = constant(id);
        let repeats = if operation.repeatable {
            quote!(repeatable)
        } else {
            quote!(once)
        };
        quote! {
            #[doc = #doc]
            pub const #name: Operation = Operation::#repeats(#id);
        }
    });
    syn::parse2(quote! {
        /// The operations: the id of each, and whether it may be sent again after a failure.
        pub mod operations {
            use ::api_client::Operation;
            #(#constants)*
        }
    })
}

fn constant(id: &str) -> Ident {
    format_ident!("{}", id.to_uppercase())
}

fn client_type(client: ClientType, methods: &[ImplItemFn]) -> syn::Result<Vec<Item>> {
    let name = format_ident!("{}", client.name());
    let doc = format!(" {}", client.description());
    let file: File = syn::parse2(quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        pub struct #name {
            baseurl: String,
            client: reqwest::Client,
            context: ::api_client::RequestContext,
        }

        #[allow(clippy::all)]
        impl #name {
            /// A client for the API at this URL. `client` only makes requests; they are sent by
            /// `context`.
            pub fn new(
                baseurl: &str,
                client: reqwest::Client,
                context: ::api_client::RequestContext,
            ) -> Self {
                Self {
                    baseurl: baseurl.to_string(),
                    client,
                    context,
                }
            }

            #(#methods)*
        }
    })?;
    Ok(file.items)
}

struct Exchange {
    has_body: bool,
    is_stream: bool,
}

/// Keeps the statements that make the request, and replaces all that follow.
fn send_through_context(
    method: &mut ImplItemFn,
    operation: &PlannedOperation,
) -> syn::Result<Exchange> {
    let mut request = RequestMaker::default();
    let mut kept = Vec::new();
    for mut statement in std::mem::take(&mut method.block.stmts) {
        match local_name(&statement).as_deref() {
            Some("request") => {
                request.visit_stmt_mut(&mut statement);
                kept.push(statement);
                break;
            }
            // The headers with the description's version, which no server asks for.
            Some("header_map") | None => {}
            Some(_) => kept.push(statement),
        }
    }
    let described = described_type(method)?;
    let is_stream = quote!(#described).to_string() == "ByteStream";
    let id = constant(&operation.id);
    let body = request
        .body
        .clone()
        .unwrap_or_else(|| quote!(::api_client::NO_BODY));
    let (call, output) = if is_stream {
        (quote!(open), quote!(::api_client::ReplyStream))
    } else {
        (quote!(send), quote!(::api_client::Reply<#described>))
    };
    kept.push(Stmt::Expr(
        syn::parse2(quote! {
            self.context.#call(operations::#id, request, #body).await
        })?,
        None,
    ));
    method.block.stmts = kept;
    method.sig.output = syn::parse2(quote!(-> Result<#output, ::api_client::Error>))?;
    Ok(Exchange {
        has_body: request.body.is_some(),
        is_stream,
    })
}

fn local_name(statement: &Stmt) -> Option<String> {
    match statement {
        Stmt::Local(local) => match &local.pat {
            Pat::Ident(name) => Some(name.ident.to_string()),
            _ => Some(String::new()),
        },
        _ => None,
    }
}

/// The `T` of `Result<ResponseValue<T>, Error<E>>`.
fn described_type(method: &ImplItemFn) -> syn::Result<Type> {
    fn first_argument(ty: &Type) -> Option<&Type> {
        let Type::Path(path) = ty else {
            return None;
        };
        let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
            return None;
        };
        match arguments.args.first()? {
            GenericArgument::Type(inner) => Some(inner),
            _ => None,
        }
    }
    let written = match &method.sig.output {
        syn::ReturnType::Type(_, ty) => first_argument(ty).and_then(first_argument),
        syn::ReturnType::Default => None,
    };
    written.cloned().ok_or_else(|| {
        syn::Error::new_spanned(&method.sig, "an operation that gives no `ResponseValue`")
    })
}

/// Takes what the context does out of the chain of calls that makes a request: the body, the
/// headers with the version, and `build()?`.
#[derive(Default)]
struct RequestMaker {
    body: Option<TokenStream>,
}

impl VisitMut for RequestMaker {
    fn visit_local_mut(&mut self, local: &mut syn::Local) {
        local.attrs.clear();
        if let Pat::Ident(name) = &mut local.pat {
            name.mutability = None;
        }
        visit_mut::visit_local_mut(self, local);
    }

    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        loop {
            let inner = match &*expression {
                Expr::Try(attempt) => &attempt.expr,
                Expr::MethodCall(call) => {
                    let argument = call.args.first().map(|argument| match argument {
                        Expr::Reference(reference) => &reference.expr,
                        other => other,
                    });
                    match call.method.to_string().as_str() {
                        "json" => self.body = Some(quote!(::api_client::Body::Value(#argument))),
                        "form_urlencoded" => {
                            self.body = Some(quote!(::api_client::Body::Form(#argument)));
                        }
                        "headers" | "build" => {}
                        _ => break,
                    }
                    &call.receiver
                }
                _ => break,
            };
            *expression = (**inner).clone();
        }
        visit_mut::visit_expr_mut(self, expression);
    }
}
