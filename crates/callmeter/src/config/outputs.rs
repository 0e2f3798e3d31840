//! Validation of the outputs.

use std::collections::HashMap;

use callmeter_records::Stream;
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use super::accounts::label_name;
use super::checker::Checker;
use super::model::{Isolation, Journal, Output, OutputFrom};
use super::plugin_secrets;
use super::raw::{self, Text};
use super::secret::SecretSource;

const STREAMS: [(&str, Stream); 4] = [
    ("calls", Stream::Calls),
    ("balances", Stream::Balances),
    ("rates", Stream::Rates),
    ("billing", Stream::Billing),
];

/// Each output is a thread and a cursor.
const MAX_OUTPUTS: usize = 64;

pub(super) fn outputs(
    check: &mut Checker<'_>,
    raw: Option<&Vec<Spanned<raw::Output>>>,
    journal: Option<&Journal>,
) -> Vec<Output> {
    let raw = raw.map(Vec::as_slice).unwrap_or_default();
    if let Some(first_too_many) = raw.get(MAX_OUTPUTS) {
        let message = format!("more than {MAX_OUTPUTS} outputs");
        check.problem(Some(first_too_many.referenced), "outputs", message, None);
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    raw.iter()
        .enumerate()
        .filter_map(|(index, raw)| {
            let key = format!("outputs[{index}]");
            if let Some(text) = raw.value.name.as_ref()
                && let Some(first) = seen.insert(text.value.as_str(), index)
            {
                check.problem(
                    Some(text.referenced),
                    &format!("{key}.name"),
                    format!("{:?} is the name of outputs[{first}] as well", text.value),
                    Some(
                        "give each output a name of its own: its place in the journal hangs on it"
                            .to_owned(),
                    ),
                );
            }
            output(check, raw, &key, journal)
        })
        .collect()
}

fn output(
    check: &mut Checker<'_>,
    raw: &Spanned<raw::Output>,
    key: &str,
    journal: Option<&Journal>,
) -> Option<Output> {
    let at = raw.referenced;
    let raw = &raw.value;
    let of = |name: &str| format!("{key}.{name}");
    let name = label_name(check, at, key, raw.name.as_ref());
    let plugin = plugin(check, at, &of("plugin"), raw.plugin.as_ref());
    let streams = streams(check, at, &of("streams"), raw.streams.as_deref());
    let config = config(check, &of("config"), raw.config.as_ref());
    let isolation = raw
        .isolation
        .as_ref()
        .map_or(Some(Isolation::Process), |text| {
            let words = [("process", Isolation::Process), ("none", Isolation::None)];
            check.word(&of("isolation"), text, &words)
        });
    let from = raw.from.as_ref().map_or(Some(OutputFrom::Oldest), |text| {
        let words = [("oldest", OutputFrom::Oldest), ("now", OutputFrom::Now)];
        check.word(&of("from"), text, &words)
    });
    let sha256 = raw.sha256.as_ref().map(|text| {
        let digest = text.value.trim().to_ascii_lowercase();
        if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            check.problem(
                Some(text.referenced),
                &of("sha256"),
                "is not a SHA-256 digest of 64 hexadecimal digits",
                Some("take it from sha256sum".to_owned()),
            );
        }
        digest
    });
    let name = name?;
    let dead_letters = match &raw.dead_letters {
        Some(text) => check.path(text),
        None => journal?
            .path
            .parent()
            .unwrap_or(std::path::Path::new(""))
            .join("dead-letters"),
    };
    Some(Output {
        name,
        plugin: plugin?,
        streams: streams?,
        config: config?,
        isolation: isolation?,
        sha256,
        from: from?,
        dead_letters,
    })
}

fn plugin(
    check: &mut Checker<'_>,
    at: Location,
    key: &str,
    text: Option<&Text>,
) -> Option<std::path::PathBuf> {
    let teach = "the path of the plugin's library, such as /usr/lib/callmeter/libcallmeter_csv.so";
    let text = check.required(at, key, text, teach)?;
    // A name without a slash would send the dynamic loader searching its own directories.
    if !text.value.contains('/') {
        check.problem(
            Some(text.referenced),
            key,
            format!("{:?} is not a path", text.value),
            Some("plugins are not searched for; write the whole path".to_owned()),
        );
        return None;
    }
    let path = check.path(text);
    if !path.is_file() {
        let message = format!("there is no file {}", path.display());
        check.problem(Some(text.referenced), key, message, None);
        return None;
    }
    Some(path)
}

fn streams(
    check: &mut Checker<'_>,
    at: Location,
    key: &str,
    list: Option<&[Text]>,
) -> Option<Vec<Stream>> {
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        check.problem(
            Some(at),
            key,
            "names no stream",
            Some("list one or more of calls, balances, rates, billing".to_owned()),
        );
        return None;
    };
    let mut streams = Vec::new();
    for (index, text) in list.iter().enumerate() {
        let key = format!("{key}[{index}]");
        let stream = check.word(&key, text, &STREAMS)?;
        if streams.contains(&stream) {
            let message = format!("{:?} is listed twice", text.value);
            check.problem(Some(text.referenced), &key, message, None);
        } else {
            streams.push(stream);
        }
    }
    Some(streams)
}

fn config(
    check: &mut Checker<'_>,
    key: &str,
    value: Option<&Spanned<Value>>,
) -> Option<Map<String, Value>> {
    let Some(value) = value else {
        return Some(Map::new());
    };
    let mut members = match &value.value {
        Value::Object(members) => members.clone(),
        Value::Null => Map::new(),
        _ => {
            let message = "is not a map of the plugin's own settings";
            check.problem(Some(value.referenced), key, message, None);
            return None;
        }
    };
    plugin_secrets::anchor(&mut members, check.directory());
    let mut read = |source: &SecretSource| source.read().map(|secret| secret.expose().to_owned());
    if let Err(message) = plugin_secrets::resolve(&members, &mut read) {
        check.problem(Some(value.referenced), key, message, None);
        return None;
    }
    Some(members)
}
