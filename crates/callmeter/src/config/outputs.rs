//! Validation of the outputs.

use std::path::{Path, PathBuf};

use callmeter_records::Stream;
use serde_json::Map;

use super::accounts::sections;
use super::model::{Isolation, Journal, Output};
use super::output_from::OutputFrom;
use super::plugin_secrets;
use super::problem::Place;
use super::secret::SecretSource;
use super::section::Section;
use super::yaml;

const STREAMS: [(&str, Stream); 5] = [
    ("calls", Stream::Calls),
    ("balances", Stream::Balances),
    ("rates", Stream::Rates),
    ("billing", Stream::Billing),
    ("charges", Stream::Charges),
];

/// The number of outputs is limited: each has a thread and a cursor.
const MAX_OUTPUTS: usize = 64;

pub(super) fn outputs(file: &mut Section<'_>, journal: Option<&Journal>) -> Vec<Output> {
    let nodes = file.list("outputs").unwrap_or_default();
    if let Some(first_too_many) = nodes.get(MAX_OUTPUTS) {
        let message = format!("more than {MAX_OUTPUTS} outputs");
        let at = Some(first_too_many.referenced);
        file.problems().mistake(at, "outputs", message, None);
    }
    let why = "its position in the journal is stored under it";
    sections(file, "outputs", nodes, why)
        .into_iter()
        .filter_map(|(name, mut section)| output(&mut section, name, journal))
        .collect()
}

/// Where the plugins' settings are, or the outputs without any.
pub(super) fn places(file: &mut Section<'_>) -> Vec<Option<Place>> {
    let outputs = file.list("outputs").unwrap_or_default().iter();
    let place = |output: &yaml::Node| {
        let config = match &output.value {
            yaml::Value::Map(members) => members.iter().find(|(key, _)| key.value == "config"),
            _ => None,
        };
        Place::of(config.map_or(output.referenced, |(key, _)| key.referenced))
    };
    outputs.map(place).collect()
}

fn output(
    section: &mut Section<'_>,
    name: Option<String>,
    journal: Option<&Journal>,
) -> Option<Output> {
    let plugin = plugin(section);
    let streams = streams(section);
    let config = config(section);
    let isolations = [("process", Isolation::Process), ("none", Isolation::None)];
    let isolation = section.word("isolation", Isolation::Process, &isolations);
    let starts = [("oldest", OutputFrom::Oldest), ("now", OutputFrom::Now)];
    let from = section.word("from", OutputFrom::Oldest, &starts);
    let sha256 = section
        .text("sha256")
        .map(|text| text.value.trim().to_ascii_lowercase());
    if let Some(digest) = &sha256
        && (digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        section.mistake(
            "sha256",
            "is not a SHA-256 digest of 64 hexadecimal digits",
            Some("copy it from the output of sha256sum".to_owned()),
        );
    }
    let dead_letters = match section.text("dead_letters") {
        Some(text) => section.path(&text),
        None => journal?
            .path
            .parent()
            .unwrap_or(Path::new(""))
            .join("dead-letters"),
    };
    Some(Output {
        name: name?,
        plugin: plugin?,
        streams: streams?,
        config: config?,
        isolation,
        sha256,
        from,
        dead_letters,
    })
}

fn plugin(section: &mut Section<'_>) -> Option<PathBuf> {
    let teach = "the path of the plugin's library, such as /usr/lib/callmeter/libcallmeter_csv.so";
    let text = section.required("plugin", teach)?;
    // The dynamic loader would search its own directories for a name without a slash.
    if !text.value.contains('/') {
        let hint = "plugins are not searched for; write the whole path";
        let message = format!("{:?} is not a path", text.value);
        section.mistake("plugin", message, Some(hint.to_owned()));
        return None;
    }
    let path = section.path(&text);
    if section.problems().connects && !path.is_file() {
        section.mistake(
            "plugin",
            format!("there is no file {}", path.display()),
            None,
        );
        return None;
    }
    Some(path)
}

fn streams(section: &mut Section<'_>) -> Option<Vec<Stream>> {
    let texts = section.texts("streams")?;
    if texts.is_empty() {
        let hint = "list one or more of calls, balances, rates, billing";
        section.mistake("streams", "has no stream", Some(hint.to_owned()));
        return None;
    }
    let mut streams = Vec::new();
    for text in texts {
        let Some(stream) = section.word_of(&text, &STREAMS) else {
            continue;
        };
        if streams.contains(&stream) {
            let message = format!("{:?} is listed twice", text.value);
            let problems = section.problems();
            problems.mistake(Some(text.at), &text.key, message, None);
        } else {
            streams.push(stream);
        }
    }
    Some(streams)
}

fn config(section: &mut Section<'_>) -> Option<Map<String, serde_json::Value>> {
    let Some(node) = section.node("config") else {
        return Some(Map::new());
    };
    let serde_json::Value::Object(mut members) = yaml::to_json(section.problems().text, node)
    else {
        section.mistake("config", "is not a map of the plugin's settings", None);
        return None;
    };
    plugin_secrets::anchor(&mut members, section.directory());
    if !section.problems().connects {
        return Some(members);
    }
    let mut read = |source: &SecretSource| source.read().map(|secret| secret.expose().to_owned());
    if let Err(message) = plugin_secrets::resolve(&members, &mut read) {
        section.mistake("config", message, None);
        return None;
    }
    Some(members)
}
