//! The web configuration file: strict YAML in the format of Prometheus' exporter toolkit, which
//! `promtool check web-config` checks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::error::AccessError;
use crate::protection::Protection;
use crate::raw::{RawFile, RawLimit, RawTls, interval};
use http::{HeaderName, HeaderValue};
use serde_saphyr::Location;
use yaml_sections::{ConfigError, Place, Problem, Problems, Section, Text};

/// The web configuration file, certificates and keys are smaller than this.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads files and remembers their content.
#[derive(Debug, Default)]
pub(crate) struct Files {
    web_config: PathBuf,
    /// The places of the keys of TLS in it.
    places: Places,
    content: Vec<u8>,
}

impl Files {
    pub(crate) fn read(&mut self, file: &Path) -> Result<Vec<u8>, AccessError> {
        let content = read_file_timeout::read_file(file, MAX_FILE_BYTES).map_err(|source| {
            AccessError::Read {
                file: file.display().to_string(),
                source,
            }
        })?;
        self.content.extend_from_slice(&content.len().to_le_bytes());
        self.content.extend_from_slice(&content);
        Ok(content)
    }

    /// A digest of the content of all files.
    pub(crate) fn digest(&self) -> u64 {
        use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
        BuildHasherDefault::<DefaultHasher>::default().hash_one(&self.content)
    }

    /// An error about a key of TLS, such as `cert_file`. An empty one stands for all of TLS.
    pub(crate) fn invalid(&self, key: &str, problem: impl Into<String>) -> AccessError {
        let problem = Problem {
            file: self.web_config.clone(),
            place: self.places.get(key).or(self.places.get("")).copied(),
            key: tls_key(key),
            message: problem.into(),
            hint: None,
        };
        AccessError::Invalid(problem.to_string())
    }
}

/// The places of the keys of TLS; under an empty key that of the map.
pub(crate) type Places = BTreeMap<&'static str, Place>;

/// The dotted key of a key of TLS.
fn tls_key(key: &str) -> String {
    let dot = if key.is_empty() { "" } else { "." };
    format!("tls_server_config{dot}{key}")
}

/// The validated file.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The file, as the user named it.
    pub(crate) file: PathBuf,
    places: Places,
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// bcrypt hashes by user.
    pub(crate) users: BTreeMap<String, String>,
    pub(crate) rate_limit: Option<RateLimit>,
    /// What the file says about the protection of the server.
    pub(crate) protection: Protection,
    /// What is accepted but has no full effect.
    pub(crate) warnings: Vec<String>,
}

/// A burst of requests, then one per interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RateLimit {
    pub(crate) interval: Duration,
    pub(crate) burst: u32,
}

/// The TLS part.
#[derive(Debug)]
pub(crate) struct TlsSettings {
    pub(crate) cert: Pem,
    pub(crate) key: Pem,
    pub(crate) client_ca: Option<Pem>,
    pub(crate) client_auth: ClientAuth,
    pub(crate) client_allowed_sans: Option<Vec<String>>,
    pub(crate) tls12: bool,
    pub(crate) tls13: bool,
    pub(crate) cipher_suites: Vec<String>,
    pub(crate) curves: Vec<String>,
}

/// The key of the file with PEM, and its value.
#[derive(Debug)]
pub(crate) struct Pem {
    pub(crate) key: &'static str,
    source: PemSource,
}

/// PEM text, or the file that contains it.
#[derive(Debug)]
enum PemSource {
    Text(String),
    File(PathBuf),
}

impl Pem {
    /// That of `keys`: a text and a file. The file takes precedence, as in the toolkit.
    fn of(raw: &RawTls, directory: &Path, keys: [&'static str; 2]) -> Option<Self> {
        let [text, file] = keys;
        let (key, source) = match (raw.given(text), raw.given(file)) {
            (_, Some(path)) => (file, PemSource::File(directory.join(path))),
            (Some(pem), None) => (text, PemSource::Text(pem.to_owned())),
            (None, None) => return None,
        };
        Some(Self { key, source })
    }

    pub(crate) fn read(&self, files: &mut Files) -> Result<Vec<u8>, AccessError> {
        match &self.source {
            PemSource::Text(text) => Ok(text.clone().into_bytes()),
            PemSource::File(file) => {
                let read = files.read(file);
                read.map_err(|error| files.invalid(self.key, error.to_string()))
            }
        }
    }
}

/// What is required of client certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
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
    let read = |text| Settings::of(text, Path::new(""), Path::new(""));
    let (Ok(before), Ok(after)) = (read(whole), read(begun)) else {
        return false;
    };
    before.protection.lost_in(&after.protection).is_empty() && !after.protects_like(&before)
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
    pub(crate) fn read(file: &Path, files: &mut Files) -> Result<Self, AccessError> {
        files.web_config = file.to_path_buf();
        let bytes = files.read(file)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| AccessError::Invalid(format!("{}: is not UTF-8", file.display())))?;
        let directory = file.parent().unwrap_or(Path::new(""));
        let settings = Self::of(&text, file, directory)?;
        files.places.clone_from(&settings.places);
        Ok(settings)
    }

    /// Checks the text of a file in `directory`. The files that it names are not read.
    pub(crate) fn of(text: &str, file: &Path, directory: &Path) -> Result<Self, AccessError> {
        let invalid = |error: ConfigError| AccessError::Invalid(error.to_string());
        let root = yaml_sections::parse(file, text).map_err(invalid)?;
        let problems = Problems::new(file, text);
        let raw = Section::new(&problems, String::new(), &root)
            .map(|mut root| RawFile::read(&mut root))
            .unwrap_or_default();
        let settings = Self {
            file: file.to_path_buf(),
            protection: Protection::of(&raw, text),
            ..Self::checked(raw, directory, &problems)
        };
        let (mistakes, _) = problems.finish();
        if mistakes.is_empty() {
            Ok(settings)
        } else {
            Err(invalid(ConfigError::new(mistakes)))
        }
    }

    fn checked(raw: RawFile, directory: &Path, problems: &Problems<'_>) -> Self {
        let mut settings = Self::default();
        if let Some(raw) = raw.tls_server_config {
            let keys = raw.keys().chain([""]);
            let places = keys.filter_map(|key| Some((key, Place::of(raw.place(key)?)?)));
            settings.places = places.collect();
            match tls(&raw, directory, &mut settings.warnings) {
                Ok(tls) => settings.tls = tls,
                Err((key, problem)) => {
                    problems.mistake(raw.place(key), &tls_key(key), problem, None);
                }
            }
        }
        for (user, hash) in raw.basic_auth_users.unwrap_or_default() {
            if let Err((problem, hint)) = check_user(&user, &hash.value) {
                problems.mistake(Some(hash.at), "basic_auth_users", problem, Some(hint));
            }
            settings.users.insert(user, hash.value);
        }
        for (name, value) in raw.headers.unwrap_or_default() {
            match checked_header(&name, &value) {
                Ok(header) => settings.headers.extend(header),
                Err(problem) => problems.mistake(Some(value.at), &value.key, problem, None),
            }
        }
        match raw.rate_limit.as_ref().map(rate_limit) {
            Some(Ok(limit)) => settings.rate_limit = limit,
            Some(Err((at, key, problem))) => problems.mistake(at, key, problem, None),
            None => {}
        }
        settings
    }

    /// Whether a server with these settings is protected at least as much as one with `other`.
    /// Apart from [`Protection`], as a check of it.
    fn protects_like(&self, other: &Self) -> bool {
        let is_part = |mine: &[String], others: &[String]| {
            others.is_empty() || (!mine.is_empty() && mine.iter().all(|name| others.contains(name)))
        };
        let headers_kept = other
            .headers
            .iter()
            .all(|header| self.headers.contains(header));
        let limit_kept = other.rate_limit.is_none_or(|old| {
            self.rate_limit
                .is_some_and(|new| new.interval >= old.interval && new.burst <= old.burst)
        });
        let tls_kept = match (&other.tls, &self.tls) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(old), Some(new)) => {
                let sans_kept = old.client_allowed_sans.as_ref().is_none_or(|old| {
                    let new = new.client_allowed_sans.as_ref();
                    new.is_some_and(|new| new.iter().all(|name| old.contains(name)))
                });
                (new.client_auth == old.client_auth || old.client_auth == ClientAuth::None)
                    && (old.tls12 || !new.tls12)
                    && is_part(&new.cipher_suites, &old.cipher_suites)
                    && is_part(&new.curves, &old.curves)
                    && sans_kept
            }
        };
        (other.users.is_empty() || !self.users.is_empty()) && headers_kept && limit_kept && tls_kept
    }
}

/// What is wrong with a user, and what to do.
fn check_user(user: &str, hash: &str) -> Result<(), (String, String)> {
    if user.contains(':') {
        return Err((
            format!("the user {user:?} can never sign in"),
            "a colon ends the name in a request; choose a name without one".to_owned(),
        ));
    }
    let problem = match bcrypt::HashParts::from_str(hash).map(|parts| parts.get_cost()) {
        Ok(MIN_COST..=MAX_COST) => return Ok(()),
        Ok(cost) if (MAX_COST..=31).contains(&cost) => format!(
            "has the cost {cost}: at most {MAX_COST} is accepted, because a check takes too long"
        ),
        _ => "is not a bcrypt hash".to_owned(),
    };
    Err((
        format!("the hash of {user:?} {problem}"),
        format!("create one with `htpasswd -nBC 10 {user}`"),
    ))
}

/// What is wrong, with the key of TLS.
type TlsMistake = (&'static str, String);

fn tls(
    raw: &RawTls,
    directory: &Path,
    warnings: &mut Vec<String>,
) -> Result<Option<TlsSettings>, TlsMistake> {
    if raw.is_empty() {
        return Ok(None);
    }
    let pem = |keys| Pem::of(raw, directory, keys);
    let (cert, key) = (pem(["cert", "cert_file"]), pem(["key", "key_file"]));
    let client_ca = pem(["client_ca", "client_ca_file"]);
    let is_bare = cert.is_none() && key.is_none() && client_ca.is_none();
    if is_bare && raw.given("client_auth_type").is_none() {
        return Err((
            "",
            "has settings, but neither cert_file nor key_file; remove them to serve plain HTTP"
                .to_owned(),
        ));
    }
    let client_auth = match raw.given("client_auth_type").unwrap_or_default() {
        "" | "NoClientCert" => ClientAuth::None,
        "RequestClientCert" => ClientAuth::Request,
        "RequireAnyClientCert" | "RequireClientCert" => ClientAuth::RequireAny,
        "VerifyClientCertIfGiven" => ClientAuth::VerifyIfGiven,
        "RequireAndVerifyClientCert" => ClientAuth::RequireAndVerify,
        other => {
            return Err(("client_auth_type", format!("unknown type {other:?}")));
        }
    };
    if client_ca.is_some() && client_auth == ClientAuth::None {
        return Err((
            "",
            "a client CA requires a client_auth_type, such as RequireAndVerifyClientCert"
                .to_owned(),
        ));
    }
    let verifies = matches!(
        client_auth,
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify
    );
    if client_ca.is_none() && verifies {
        return Err((
            "client_auth_type",
            "verifies certificates, which requires client_ca or client_ca_file".to_owned(),
        ));
    }
    let requires = matches!(
        client_auth,
        ClientAuth::RequireAny | ClientAuth::RequireAndVerify
    );
    let client_allowed_sans = raw.list("client_allowed_sans").map(<[String]>::to_vec);
    if client_allowed_sans.is_some() && !requires {
        return Err((
            "client_allowed_sans",
            "requires client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert"
                .to_owned(),
        ));
    }
    if raw.prefer_client_cipher_suites {
        warnings.push(
            "tls_server_config.prefer_server_cipher_suites: the server's order is always used"
                .to_owned(),
        );
    }
    let min = version("min_version", raw)?.unwrap_or(12);
    let max = version("max_version", raw)?.unwrap_or(13);
    if min < 12 {
        warnings.push(
            "tls_server_config.min_version: versions below TLS12 are not supported".to_owned(),
        );
    }
    if max < 12 || max < min {
        return Err((
            "",
            "no version between min_version and max_version is supported (TLS12, TLS13)".to_owned(),
        ));
    }
    let list = |key| raw.list(key).unwrap_or_default().to_vec();
    Ok(Some(TlsSettings {
        cert: cert.ok_or(("", "missing one of cert or cert_file".to_owned()))?,
        key: key.ok_or(("", "missing one of key or key_file".to_owned()))?,
        client_ca,
        client_auth,
        client_allowed_sans,
        tls12: min <= 12,
        tls13: max >= 13,
        cipher_suites: list("cipher_suites"),
        curves: list("curve_preferences"),
    }))
}

fn version(key: &'static str, raw: &RawTls) -> Result<Option<u8>, TlsMistake> {
    match raw.given(key) {
        None => Ok(None),
        Some("TLS10") => Ok(Some(10)),
        Some("TLS11") => Ok(Some(11)),
        Some("TLS12") => Ok(Some(12)),
        Some("TLS13") => Ok(Some(13)),
        Some(other) => Err((
            key,
            format!("unknown TLS version {other:?}; known are TLS12 and TLS13"),
        )),
    }
}

/// A header; `None` if its value is empty.
fn checked_header(name: &str, value: &Text) -> Result<Option<(HeaderName, HeaderValue)>, String> {
    let value = value.value.as_str();
    let Some((_, allowed)) = HEADERS.iter().find(|(known, _)| *known == name) else {
        return Err("cannot be configured".to_owned());
    };
    if value.is_empty() {
        return Ok(None);
    }
    if !allowed.is_empty() && !allowed.contains(&value) {
        return Err(format!("expected one of {allowed:?}, not {value:?}"));
    }
    let problem = |_| "is not a valid header value".to_owned();
    let value = HeaderValue::from_str(value).map_err(problem)?;
    let name = HeaderName::from_str(name).map_err(|error| error.to_string())?;
    Ok(Some((name, value)))
}

fn rate_limit(
    raw: &RawLimit,
) -> Result<Option<RateLimit>, (Option<Location>, &'static str, String)> {
    let Some(text) = &raw.interval else {
        return Ok(None);
    };
    let interval = interval(text).map_err(|error| (Some(text.at), "rate_limit.interval", error))?;
    if interval.is_some() && raw.burst == 0 {
        let problem = "0 would reject every request".to_owned();
        return Err((raw.burst_at, "rate_limit.burst", problem));
    }
    let burst = raw.burst;
    Ok(interval.map(|interval| RateLimit { interval, burst }))
}
