//! The keys of the web configuration file as they are written, before they are checked.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::{ConfigError, Problems, Section, Text, parse_yaml};

/// The keys of the file, as they are written.
#[derive(Debug, Default)]
pub(super) struct RawFile {
    pub(super) tls_server_config: Option<RawTls>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) basic_auth_users: Option<BTreeMap<String, String>>,
    pub(super) interval: Option<String>,
    pub(super) burst: u32,
}

#[derive(Default, PartialEq)]
pub(super) struct RawTls {
    pub(super) cert: String,
    pub(super) key: String,
    pub(super) client_ca: String,
    pub(super) cert_file: String,
    pub(super) key_file: String,
    pub(super) client_auth_type: String,
    pub(super) client_ca_file: String,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) cipher_suites: Option<Vec<String>>,
    /// The opposite of `prefer_server_cipher_suites`.
    pub(super) prefer_client_cipher_suites: bool,
    pub(super) curve_preferences: Option<Vec<String>>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
}

impl std::fmt::Debug for RawTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It may contain the private key.
        f.write_str("RawTls")
    }
}

impl RawFile {
    /// Reads the keys. Adds a line for each one that is unknown or has the wrong shape.
    ///
    /// # Errors
    /// If the text is not YAML.
    pub(super) fn of(
        file: &Path,
        text: &str,
        mistakes: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let root = parse_yaml(file, text)?;
        let problems = Problems::new(file, text);
        let raw = Section::new(&problems, String::new(), &root)
            .map(|mut root| Self::read(&mut root))
            .unwrap_or_default();
        let (found, _) = problems.finish();
        if !found.is_empty() {
            mistakes.push(ConfigError::new(found).to_string());
        }
        Ok(raw)
    }

    fn read(root: &mut Section<'_>) -> Self {
        let mut raw = Self::default();
        if root.node("tls_server_config").is_some() {
            let tls = root.section("tls_server_config");
            raw.tls_server_config = tls.map(|mut section| RawTls::read(&mut section));
        }
        let has_users = root.node("basic_auth_users").is_some();
        let users = root.section("basic_auth_users");
        let users = users.map(|mut section| texts(section.entries()));
        raw.basic_auth_users = users.filter(|_| has_users);
        if let Some(mut http) = root.section("http_server_config") {
            // callmeter supports HTTP/1.1 only.
            http.boolean("http2", true);
            if let Some(mut headers) = http.section("headers") {
                raw.headers = texts(headers.entries());
            }
        }
        if let Some(mut limit) = root.section("rate_limit") {
            raw.interval = limit.text("interval").map(|text| text.value);
            raw.burst = limit.number("burst", 0, 0..=u32::MAX);
        }
        raw
    }
}

impl RawTls {
    fn read(section: &mut Section<'_>) -> Self {
        let mut text = |name| section.text(name).map(|text| text.value);
        let (min_version, max_version) = (text("min_version"), text("max_version"));
        let mut text = |name| text(name).unwrap_or_default();
        let mut raw = Self {
            cert: text("cert"),
            key: text("key"),
            client_ca: text("client_ca"),
            cert_file: text("cert_file"),
            key_file: text("key_file"),
            client_auth_type: text("client_auth_type"),
            client_ca_file: text("client_ca_file"),
            min_version,
            max_version,
            ..Self::default()
        };
        raw.prefer_client_cipher_suites = !section.boolean("prefer_server_cipher_suites", true);
        let mut list = |name| {
            section.node(name)?;
            let texts = section.texts(name).unwrap_or_default();
            Some(texts.into_iter().map(|text| text.value).collect())
        };
        raw.client_allowed_sans = list("client_allowed_sans");
        raw.cipher_suites = list("cipher_suites");
        raw.curve_preferences = list("curve_preferences");
        raw
    }
}

fn texts(entries: Vec<(&str, Text)>) -> BTreeMap<String, String> {
    let entries = entries.into_iter();
    entries
        .map(|(key, text)| (key.to_owned(), text.value))
        .collect()
}
