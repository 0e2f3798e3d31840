//! The code that a spec gives. `codegen --check` checks the generated files themselves; these
//! snapshots show a reviewer what a change of a spec does, and what the passes do.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use callmeter_codegen::generate::{changes, write};
use callmeter_codegen::plan::{APIS, Api, ClientType, Numbers, Plan, PlannedOperation};
use callmeter_codegen::schemas::operations;
use callmeter_codegen::source::Source;
use callmeter_codegen::{emit, passes};
use quote::ToTokens;
use syn::{FnArg, ImplItem, Item, ReturnType};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn open(api: &Api) -> (Source, Plan) {
    let source = Source::open(&root().join(api.spec), Path::new(api.spec)).unwrap();
    let plan = Plan::new(&source, api.numbers);
    (source, plan)
}

/// Tokens without the blanks and the leading colons that only a compiler needs.
fn short(tokens: &impl ToTokens) -> String {
    let text = tokens.to_token_stream().to_string().replace(' ', "");
    let text = text
        .replace("'a", "")
        .replace("::std::option::", "")
        .replace("::std::string::", "");
    text.replace("::std::vec::", "")
        .replace("::std::collections::", "")
        .replace("::api_client::", "api_client::")
}

/// Each operation with its arguments and what it returns; each type with its members.
fn surface(api: &Api) -> String {
    let (source, plan) = open(api);
    let files = emit::files(&source.model, &plan, api.spec).unwrap();
    let file = syn::parse_file(&files["generated.rs"]).unwrap();
    let mut text = String::new();
    for item in &file.items {
        match item {
            Item::Impl(implementation) if implementation.trait_.is_none() => {
                let _ = writeln!(text, "{}", short(&implementation.self_ty));
                for member in &implementation.items {
                    let ImplItem::Fn(method) = member else {
                        continue;
                    };
                    let name = method.sig.ident.to_string();
                    let operation = operations(&source)
                        .into_iter()
                        .find(|operation| operation.value["operationId"] == name.as_str())
                        .map_or_else(
                            || "-".to_owned(),
                            |found| format!("{} {}", found.method.to_uppercase(), found.path),
                        );
                    let _ = writeln!(text, "{name}: {operation}");
                    for argument in &method.sig.inputs {
                        if let FnArg::Typed(argument) = argument {
                            let _ = writeln!(
                                text,
                                "    {}: {}",
                                short(&argument.pat),
                                short(&argument.ty)
                            );
                        }
                    }
                    if let ReturnType::Type(_, ty) = &method.sig.output {
                        let _ = writeln!(text, "    -> {}", short(ty));
                    }
                }
            }
            Item::Mod(module) if module.ident == "types" => {
                for item in module.content.iter().flat_map(|(_, items)| items) {
                    if let Item::Struct(structure) = item {
                        let _ = writeln!(text, "{}", structure.ident);
                        for field in &structure.fields {
                            let name = field
                                .ident
                                .as_ref()
                                .map_or_else(|| "0".to_owned(), ToString::to_string);
                            let _ = writeln!(text, "    {name}: {}", short(&field.ty));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    text
}

#[test]
fn the_surface_of_hostedsuite() {
    insta::assert_snapshot!(surface(&APIS[0]));
}

#[test]
fn the_surface_of_portsip() {
    insta::assert_snapshot!(surface(&APIS[1]));
}

#[test]
fn the_plans() {
    let plans: String = APIS.iter().fold(String::new(), |mut text, api| {
        let _ = writeln!(text, "{}: {:#?}", api.name, open(api).1);
        text
    });
    insta::assert_snapshot!(plans);
}

/// A struct and a method as progenitor makes them.
const BEFORE: &str = r#"
pub mod types {
    #[doc = "A thing.\n\nOr another."]
    pub struct Thing {
        #[serde(rename = "Size", skip_serializing_if = "::std::option::Option::is_none")]
        pub size: ::std::option::Option<f64>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub count: ::std::option::Option<i32>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub good: ::std::option::Option<bool>,
        pub name: ::std::option::Option<::std::string::String>,
    }
    pub struct NewThing {
        pub size: f64,
        pub deposit: ::std::option::Option<f64>,
        pub count: i32,
    }
}
impl Client {
    pub fn new(baseurl: &str) -> Self {
        Self::new_with_client(baseurl, client.build().unwrap())
    }
    pub async fn get_thing<'a>(&'a self) -> Result<ResponseValue<types::Thing>, Error<types::ApiError>> {
        let url = format!("{}/thing", self.baseurl);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map.append(::reqwest::header::HeaderName::from_static("api-version"), ::reqwest::header::HeaderValue::from_static(Self::api_version()));
        let mut request = self.client.get(url).headers(header_map).build()?;
        match response.status().as_u16() {
            200..=299 => ResponseValue::from_response(response).await,
            400u16..=499u16 => Err(Error::ErrorResponse(ResponseValue::from_response(response).await?)),
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
}
"#;

#[test]
fn the_passes() {
    let mut text = String::new();
    for numbers in [Numbers::Kept, Numbers::Exact] {
        let mut file = syn::parse_str(BEFORE).unwrap();
        let plan = Plan {
            numbers,
            open_enums: Vec::new(),
            secrets: Vec::new(),
            ids: Vec::new(),
            defaults: Vec::new(),
            answers: ["Thing".to_owned()].into(),
            operations: vec![PlannedOperation {
                id: "get_thing".to_owned(),
                method: "get".to_owned(),
                path: "/thing".to_owned(),
                client: ClientType::Read,
                repeatable: true,
            }],
            expected: callmeter_codegen::plan::Counts::default(),
        };
        let counts = passes::apply(&mut file, &plan).unwrap();
        let _ = writeln!(
            text,
            "// {numbers:?}: {counts:?}\n{}",
            prettyplease::unparse(&file)
        );
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_pass_that_finds_nothing_is_an_error() {
    let api = &APIS[1];
    let (source, mut plan) = open(api);
    plan.answers.clear();
    let error = emit::files(&source.model, &plan, api.spec).unwrap_err();
    assert!(
        error.to_string().starts_with("the passes changed"),
        "{error}"
    );
}

#[test]
fn any_success_is_taken_and_defaults_stay_with_the_server() {
    let name = Path::new("tests/good.yaml");
    let source = Source::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name), name).unwrap();
    let mut model = source.model.clone();
    callmeter_codegen::widen::widen(&mut model);
    let written = serde_json::to_value(&model).unwrap();
    let codes: Vec<_> = written["paths"]["/new"]["post"]["responses"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(codes, ["2XX", "4XX", "5XX"]);
    assert!(
        source.root["components"]["schemas"]["NewThing"]["properties"]["size"]
            .get("default")
            .is_some()
    );
    assert!(
        written["components"]["schemas"]["NewThing"]["properties"]["size"]
            .get("default")
            .is_none()
    );
}

#[test]
fn differences_are_shown_and_written() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("differences");
    let api = &APIS[0];
    std::fs::create_dir_all(directory.join(api.directory)).unwrap();
    std::fs::create_dir_all(directory.join("specs")).unwrap();
    std::fs::copy(root().join(api.spec), directory.join(api.spec)).unwrap();
    for name in ["generated.rs", "generated_members.rs", "open.rs"] {
        let file = Path::new(api.directory).join(name);
        std::fs::copy(root().join(&file), directory.join(&file)).unwrap();
    }
    assert!(
        changes(&directory, api).unwrap().is_empty(),
        "run `cargo xtask codegen`"
    );

    let open = directory.join(api.directory).join("open.rs");
    let text = std::fs::read_to_string(&open).unwrap();
    std::fs::write(
        &open,
        text.replace("NumberOfCalls,", "")
            .replace("NumberOfCalls =", "Calls ="),
    )
    .unwrap();
    let found = changes(&directory, api).unwrap();
    assert_eq!(found.len(), 1);
    insta::assert_snapshot!(found[0].diff);
    write(&directory, &found[0]).unwrap();
    assert!(changes(&directory, api).unwrap().is_empty());
}

#[test]
fn two_runs_give_the_same_bytes() {
    for api in &APIS {
        let (source, plan) = open(api);
        let files = emit::files(&source.model, &plan, api.spec).unwrap();
        let (source, plan) = open(api);
        assert_eq!(files, emit::files(&source.model, &plan, api.spec).unwrap());
    }
}
