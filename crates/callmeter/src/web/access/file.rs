//! The web configuration file: strict YAML in the format of Prometheus' exporter toolkit, which
//! `promtool check web-config` checks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::protection::Protection;
use super::raw::{RawFile, RawTls};
use axum::http::{HeaderName, HeaderValue};

/// Why the access rules cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not valid. A line for each mistake, with file and key.
    #[error("{0}")]
    Invalid(String),
    /// The file leaves out what protects a running server.
    #[error(
        "{file}: is it unfinished? {keys}; restart callmeter if the file is meant to be as it is"
    )]
    Unprotected {
        /// The web configuration file.
        file: String,
        /// What is missing, and what to write.
        keys: String,
    },
}

/// The web configuration file, certificates and keys are smaller than this.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads files and remembers their content.
#[derive(Debug, Default)]
pub(super) struct Files {
    web_config: String,
    content: Vec<u8>,
}

impl Files {
    pub(super) fn read(&mut self, file: &Path) -> Result<Vec<u8>, AccessError> {
        let content =
            api_client::read_file(file, MAX_FILE_BYTES).map_err(|source| AccessError::Read {
                file: file.display().to_string(),
                source,
            })?;
        self.content.extend_from_slice(&content.len().to_le_bytes());
        self.content.extend_from_slice(&content);
        Ok(content)
    }

    /// A digest of the content of all files.
    pub(super) fn digest(&self) -> u64 {
        use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
        BuildHasherDefault::<DefaultHasher>::default().hash_one(&self.content)
    }

    /// An error about the web configuration file.
    pub(super) fn invalid(&self, problem: impl Into<String>) -> AccessError {
        AccessError::Invalid(format!("{}: {}", self.web_config, problem.into()))
    }
}

/// The validated file.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The file, as the user named it.
    pub(super) file: String,
    pub(super) tls: Option<TlsSettings>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// bcrypt hashes by user.
    pub(super) users: BTreeMap<String, String>,
    pub(super) rate_limit: Option<RateLimit>,
    /// What the file says about the protection of the server.
    pub(super) protection: Protection,
    /// What is accepted but has no full effect.
    pub(super) warnings: Vec<String>,
}

/// A burst of requests, then one per interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RateLimit {
    pub(super) interval: Duration,
    pub(super) burst: u32,
}

/// The TLS part.
#[derive(Debug)]
pub(super) struct TlsSettings {
    pub(super) cert: Pem,
    pub(super) key: Pem,
    pub(super) client_ca: Option<Pem>,
    pub(super) client_auth: ClientAuth,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) tls12: bool,
    pub(super) tls13: bool,
    pub(super) cipher_suites: Vec<String>,
    pub(super) curves: Vec<String>,
}

/// PEM text, or the file that contains it.
#[derive(Debug)]
pub(super) enum Pem {
    Text(String),
    File(PathBuf),
}

impl Pem {
    pub(super) fn read(&self, files: &mut Files) -> Result<Vec<u8>, AccessError> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::File(file) => files.read(file),
        }
    }
}

/// What is required of client certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    None,
    /// Requested, never checked.
    Request,
    /// Required, not checked against a CA.
    RequireAny,
    /// Checked if present.
    VerifyIfGiven,
    /// Required and checked.
    RequireAndVerify,
}

/// Whether a running server with the file `whole` takes `begun`, the beginning of it, and is less
/// protected then. It never is: the fuzz target `web_file` tries it.
#[doc(hidden)]
pub fn loses_protection(whole: &str, begun: &str) -> bool {
    let read = |text| Settings::of(text, Path::new(""), &Files::default());
    let (Ok(before), Ok(after)) = (read(whole), read(begun)) else {
        return false;
    };
    if !before.protection.lost_in(&after.protection).is_empty() {
        return false;
    }
    let client_auth = |settings: &Settings| settings.tls.as_ref().map(|tls| tls.client_auth);
    let kept = |on: fn(&Settings) -> bool| !on(&before) || on(&after);
    let is_kept = kept(|settings| !settings.users.is_empty())
        && kept(|settings| settings.tls.is_some())
        && (client_auth(&before) == client_auth(&after)
            || client_auth(&before) == Some(ClientAuth::None));
    !is_kept
}

/// The lowest cost of a bcrypt hash, and the highest that is accepted. One more doubles the time of
/// every check: 16 takes seconds, 31 a day.
const MIN_COST: u32 = 4;
const MAX_COST: u32 = 16;

/// The headers that may be set, with the allowed values; an empty list allows any.
const HEADERS: &[(&str, &[&str])] = &[
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

impl Settings {
    /// Reads and checks the file.
    pub(super) fn read(file: &Path, files: &mut Files) -> Result<Self, AccessError> {
        files.web_config = file.display().to_string();
        let bytes = files.read(file)?;
        let text = String::from_utf8(bytes).map_err(|_| files.invalid("is not UTF-8"))?;
        let directory = file.parent().unwrap_or(Path::new(""));
        Self::of(&text, directory, files)
    }

    /// Checks the text of a file in `directory`. The files that it names are not read.
    pub(super) fn of(text: &str, directory: &Path, files: &Files) -> Result<Self, AccessError> {
        let mut mistakes: Vec<String> = Vec::new();
        let mut warnings = Vec::new();
        let raw = RawFile::of(Path::new(&files.web_config), text, &mut mistakes);
        let raw = raw.map_err(|error| AccessError::Invalid(error.to_string()))?;
        let protection = Protection::of(&raw);
        let mut settings = Self {
            file: files.web_config.clone(),
            protection,
            ..Self::default()
        };
        let mut note = |problem: String| mistakes.push(format!("{}: {problem}", files.web_config));
        if let Some(raw) = raw.tls_server_config {
            match tls(raw, directory, &mut warnings) {
                Ok(tls) => settings.tls = tls,
                Err(problem) => note(problem),
            }
        }
        settings.users = raw.basic_auth_users.unwrap_or_default();
        for (user, hash) in &settings.users {
            if let Err(problem) = check_hash(hash) {
                note(format!(
                    "basic_auth_users: the hash of {user:?} {problem}; create one with `htpasswd -nBC 10 {user}`"
                ));
            }
        }
        for (name, value) in raw.headers {
            match checked_header(&name, &value) {
                Ok(header) => settings.headers.extend(header),
                Err(problem) => note(problem),
            }
        }
        match rate_limit(raw.interval.as_deref(), raw.burst) {
            Ok(limit) => settings.rate_limit = limit,
            Err(problem) => note(problem),
        }
        settings.warnings = warnings;
        if mistakes.is_empty() {
            Ok(settings)
        } else {
            Err(AccessError::Invalid(mistakes.join("\n")))
        }
    }
}

fn check_hash(hash: &str) -> Result<(), String> {
    match bcrypt::HashParts::from_str(hash).map(|parts| parts.get_cost()) {
        Ok(MIN_COST..=MAX_COST) => Ok(()),
        Ok(cost) if (MAX_COST..=31).contains(&cost) => Err(format!(
            "has the cost {cost}: at most {MAX_COST} is accepted, because a check takes too long"
        )),
        _ => Err("is not a bcrypt hash".to_owned()),
    }
}

fn tls(
    raw: RawTls,
    directory: &Path,
    warnings: &mut Vec<String>,
) -> Result<Option<TlsSettings>, String> {
    let given = [
        &raw.cert,
        &raw.cert_file,
        &raw.key,
        &raw.key_file,
        &raw.client_ca,
        &raw.client_ca_file,
        &raw.client_auth_type,
    ];
    if given.iter().all(|text| text.is_empty()) {
        if raw == RawTls::default() {
            return Ok(None);
        }
        return Err("tls_server_config: has settings, but neither cert_file nor key_file; remove them to serve plain HTTP".to_owned());
    }
    // A file takes precedence over text, as in the toolkit.
    let pem = |text: String, file: String| match (text.is_empty(), file.is_empty()) {
        (_, false) => Some(Pem::File(directory.join(file))),
        (false, true) => Some(Pem::Text(text)),
        (true, true) => None,
    };
    let client_ca = pem(raw.client_ca, raw.client_ca_file);
    let client_auth = match raw.client_auth_type.as_str() {
        "" | "NoClientCert" => ClientAuth::None,
        "RequestClientCert" => ClientAuth::Request,
        "RequireAnyClientCert" | "RequireClientCert" => ClientAuth::RequireAny,
        "VerifyClientCertIfGiven" => ClientAuth::VerifyIfGiven,
        "RequireAndVerifyClientCert" => ClientAuth::RequireAndVerify,
        other => {
            return Err(format!(
                "tls_server_config.client_auth_type: unknown type {other:?}"
            ));
        }
    };
    if client_ca.is_some() && client_auth == ClientAuth::None {
        return Err("tls_server_config: a client CA requires a client_auth_type, such as RequireAndVerifyClientCert".to_owned());
    }
    let verifies = matches!(
        client_auth,
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify
    );
    if client_ca.is_none() && verifies {
        return Err("tls_server_config: client_auth_type verifies certificates, which requires client_ca or client_ca_file".to_owned());
    }
    let requires = matches!(
        client_auth,
        ClientAuth::RequireAny | ClientAuth::RequireAndVerify
    );
    if raw.client_allowed_sans.is_some() && !requires {
        return Err("tls_server_config.client_allowed_sans requires client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert".to_owned());
    }
    if raw.prefer_client_cipher_suites {
        warnings.push(
            "tls_server_config.prefer_server_cipher_suites: the server's order is always used"
                .to_owned(),
        );
    }
    let min = version("min_version", raw.min_version.as_deref())?.unwrap_or(12);
    let max = version("max_version", raw.max_version.as_deref())?.unwrap_or(13);
    if min < 12 {
        warnings.push(
            "tls_server_config.min_version: versions below TLS12 are not supported".to_owned(),
        );
    }
    if max < 12 || max < min {
        return Err("tls_server_config: no version between min_version and max_version is supported (TLS12, TLS13)".to_owned());
    }
    Ok(Some(TlsSettings {
        cert: pem(raw.cert, raw.cert_file)
            .ok_or("tls_server_config: missing one of cert or cert_file")?,
        key: pem(raw.key, raw.key_file)
            .ok_or("tls_server_config: missing one of key or key_file")?,
        client_ca,
        client_auth,
        client_allowed_sans: raw.client_allowed_sans,
        tls12: min <= 12,
        tls13: max >= 13,
        cipher_suites: raw.cipher_suites.unwrap_or_default(),
        curves: raw.curve_preferences.unwrap_or_default(),
    }))
}

fn version(key: &str, text: Option<&str>) -> Result<Option<u8>, String> {
    match text {
        None => Ok(None),
        Some("TLS10") => Ok(Some(10)),
        Some("TLS11") => Ok(Some(11)),
        Some("TLS12") => Ok(Some(12)),
        Some("TLS13") => Ok(Some(13)),
        Some(other) => Err(format!(
            "tls_server_config.{key}: unknown TLS version {other:?}; known are TLS12 and TLS13"
        )),
    }
}

/// A header; `None` if its value is empty.
fn checked_header(name: &str, value: &str) -> Result<Option<(HeaderName, HeaderValue)>, String> {
    let Some((_, allowed)) = HEADERS.iter().find(|(known, _)| *known == name) else {
        return Err(format!(
            "http_server_config.headers: {name:?} cannot be configured"
        ));
    };
    if !allowed.is_empty() && !allowed.contains(&value) {
        return Err(format!(
            "http_server_config.headers.{name}: expected one of {allowed:?}, not {value:?}"
        ));
    }
    let problem = |_| format!("http_server_config.headers.{name}: is not a valid header value");
    let value = HeaderValue::from_str(value).map_err(problem)?;
    let name = HeaderName::from_str(name).map_err(|error| error.to_string())?;
    Ok((!value.is_empty()).then_some((name, value)))
}

fn rate_limit(interval: Option<&str>, burst: u32) -> Result<Option<RateLimit>, String> {
    let Some(text) = interval.filter(|text| *text != "0") else {
        return Ok(None);
    };
    let interval = crate::config::parse_duration(text)
        .map_err(|error| format!("rate_limit.interval: {error}"))?;
    if interval.is_zero() {
        return Ok(None);
    }
    if burst == 0 {
        return Err("rate_limit.burst: 0 would reject every request".to_owned());
    }
    Ok(Some(RateLimit { interval, burst }))
}
