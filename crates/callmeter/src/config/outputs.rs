//! Validation of the outputs.

use std::path::{Path, PathBuf};

use callmeter_records::Stream;
use serde_json::Map;

use super::accounts::sections;
use super::model::{Isolation, Journal, Output};
use super::output_from::OutputFrom;
use super::paths::usable_directory;
use super::plugin_secrets;
use super::secret::SecretSource;
use yaml_sections::Place;
use yaml_sections::Section;

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
    let mut places = Vec::new();
    sections(file, "outputs", nodes, why)
        .into_iter()
        .filter_map(|(name, mut section)| {
            let output = output(&mut section, name, journal)?;
            refuse_shared_place(&section, &output, &mut places);
            Some(output)
        })
        .collect()
}

/// Where a plugin writes: the plugin, the setting and its path, and the start of the file names.
type WritesTo = (PathBuf, &'static str, PathBuf, Option<serde_json::Value>);

/// Refuses an output of a plugin that writes where another one of the same plugin writes: each
/// would wait for the other to stop.
fn refuse_shared_place(
    section: &Section<'_>,
    output: &Output,
    places: &mut Vec<(WritesTo, String)>,
) {
    for key in ["directory", "file"] {
        let Some(path) = output.config.get(key).and_then(|path| path.as_str()) else {
            continue;
        };
        let prefix = output.config.get("prefix").cloned();
        let prefix = prefix.filter(|prefix| prefix.as_str() != Some(""));
        let place = (real(&output.plugin), key, real(Path::new(path)), prefix);
        match places.iter().find(|(other, _)| *other == place) {
            // A name that occurs twice is a mistake of its own.
            Some((_, other)) if *other == output.name => {}
            Some((_, other)) => section.mistake(
                "config",
                format!(
                    "{key} {path:?} is that of output {other}, which has the same plugin: output \
                     {} could not write there",
                    output.name
                ),
                Some(format!("give each output its own {key}")),
            ),
            None => places.push((place, output.name.clone())),
        }
    }
}

/// The path without links and dots, also if its last part is not there yet.
fn real(path: &Path) -> PathBuf {
    let whole = path.canonicalize();
    let of_parent = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    whole.ok().or_else(of_parent).unwrap_or(path.to_path_buf())
}

/// Where the plugins' settings are, or the outputs without any.
pub(super) fn places(file: &mut Section<'_>) -> Vec<Option<Place>> {
    let outputs = file.list("outputs").unwrap_or_default().iter();
    let place = |output: &yaml_sections::Node| {
        let config = match &output.value {
            yaml_sections::Value::Map(members) => {
                members.iter().find(|(key, _)| key.value == "config")
            }
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
        Some(text) => {
            let path = section.path(&text);
            if let Err((message, hint)) = usable_directory(&path) {
                section.mistake("dead_letters", message, Some(hint));
            }
            path
        }
        None => journal?.place.directory().join("dead-letters"),
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
    let serde_json::Value::Object(mut members) =
        yaml_sections::to_json(section.problems().text, node)
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
