//! The keys of the web configuration file as they are written, before they are checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_saphyr::Location;

use yaml_sections::{Section, Text, parse_duration};

/// The keys of the file, as they are written. A key without a value is `None`.
#[derive(Debug, Default)]
pub(crate) struct RawFile {
    pub(crate) tls_server_config: Option<RawTls>,
    pub(crate) headers: Option<BTreeMap<String, Text>>,
    pub(crate) basic_auth_users: Option<BTreeMap<String, Text>>,
    pub(crate) rate_limit: Option<RawLimit>,
}

/// The rate limit.
#[derive(Debug)]
pub(crate) struct RawLimit {
    pub(crate) interval: Option<Text>,
    pub(crate) burst: u32,
    /// The place of the burst, or of the limit.
    pub(crate) burst_at: Option<Location>,
    /// Whether it is `{}`.
    pub(crate) is_empty: bool,
}

/// The TLS keys that are written, with their places.
#[derive(Default)]
pub(crate) struct RawTls {
    at: Option<Location>,
    /// Whether it is `{}`.
    pub(crate) is_off: bool,
    texts: BTreeMap<&'static str, Text>,
    lists: BTreeMap<&'static str, (Option<Location>, Vec<String>)>,
    /// The opposite of `prefer_server_cipher_suites`.
    pub(crate) prefer_client_cipher_suites: bool,
}

impl std::fmt::Debug for RawTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It may contain the private key.
        f.write_str("RawTls")
    }
}

impl RawFile {
    /// Reads the keys. Adds a mistake for each one that is unknown or has the wrong shape.
    pub(crate) fn read(root: &mut Section<'_>) -> Self {
        let mut raw = Self::default();
        if root.node("tls_server_config").is_some() {
            let tls = root.section("tls_server_config");
            raw.tls_server_config = tls.map(|mut section| RawTls::read(&mut section));
        }
        if root.node("basic_auth_users").is_some() {
            let users = root.section("basic_auth_users");
            raw.basic_auth_users = users.map(|mut section| texts(section.entries()));
        }
        if let Some(mut http) = root.section("http_server_config") {
            // HTTP/1.1 is offered whatever it says.
            http.boolean("http2", true);
            if http.node("headers").is_some() {
                let headers = http.section("headers");
                raw.headers = headers.map(|mut section| texts(section.entries()));
            }
        }
        if root.node("rate_limit").is_some() {
            let limit = root.section("rate_limit");
            raw.rate_limit = limit.map(|mut section| RawLimit::read(&mut section));
        }
        raw
    }
}

impl RawLimit {
    fn read(section: &mut Section<'_>) -> Self {
        // One that is not a number is not also "0".
        let unread = u32::from(section.place("burst").is_some());
        Self {
            is_empty: section.is_empty(),
            interval: section.text("interval"),
            burst: section.number("burst", unread, 0..=u32::MAX),
            burst_at: section.place("burst").or(section.at()),
        }
    }
}

/// The keys of texts. An empty text says nothing, except for a version.
const TEXTS: &[&str] = &[
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_ca",
    "client_ca_file",
    "client_auth_type",
    "min_version",
    "max_version",
];

const LISTS: &[&str] = &["client_allowed_sans", "cipher_suites", "curve_preferences"];

impl RawTls {
    fn read(section: &mut Section<'_>) -> Self {
        let mut raw = Self {
            at: section.at(),
            is_off: section.is_empty(),
            prefer_client_cipher_suites: !section.boolean("prefer_server_cipher_suites", true),
            ..Self::default()
        };
        for key in TEXTS {
            let text = section.text(key);
            let text = text.filter(|text| !text.value.is_empty() || key.ends_with("_version"));
            raw.texts.extend(text.map(|text| (*key, text)));
        }
        for key in LISTS {
            if section.node(key).is_some() {
                let texts = section.texts(key).unwrap_or_default().into_iter();
                let texts = texts.map(|text| text.value).collect();
                raw.lists.insert(key, (section.place(key), texts));
            }
        }
        raw
    }

    /// Whether no key has a value.
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.lists.is_empty() && !self.prefer_client_cipher_suites
    }

    /// The text of a key.
    pub(crate) fn given(&self, key: &str) -> Option<&str> {
        self.texts.get(key).map(|text| text.value.as_str())
    }

    /// The texts of a list.
    pub(crate) fn list(&self, key: &str) -> Option<&[String]> {
        self.lists.get(key).map(|(_, texts)| texts.as_slice())
    }

    /// All keys that are written.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.texts.keys().chain(self.lists.keys()).copied()
    }

    /// The place of a key's value, or that of the map.
    pub(crate) fn place(&self, key: &str) -> Option<Location> {
        let text = self.texts.get(key).map(|text| text.at);
        let list = || self.lists.get(key).and_then(|(at, _)| *at);
        text.or_else(list).or(self.at)
    }
}

fn texts(entries: Vec<(&str, Text)>) -> BTreeMap<String, Text> {
    let entries = entries.into_iter();
    entries.map(|(key, text)| (key.to_owned(), text)).collect()
}

/// The interval of a rate limit; `None` for 0, which stands for no limit.
pub(crate) fn interval(text: &Text) -> Result<Option<Duration>, String> {
    if text.value == "0" {
        return Ok(None);
    }
    let interval = parse_duration(&text.value)?;
    Ok(Some(interval).filter(|interval| !interval.is_zero()))
}
