//! How strongly a web configuration file protects the server, key by key.
//!
//! A running server must not lose its protection because a file is unfinished or damaged. What is
//! cut off a file is not in it, so a protection ends only if the file says so: each key has a value
//! that switches it off. A weaker value takes effect, unless the file may end within it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::raw::{RawFile, RawTls, interval};

/// The keys of a file that protect the server.
#[derive(Default)]
pub(crate) struct Protection {
    /// What the file says, by key. A key without a value is not there.
    said: BTreeMap<String, Said>,
    /// The file, to find out whether another one is the beginning of it.
    text: String,
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may contain the private key.
        f.debug_struct("Protection")
            .field("said", &self.said)
            .finish_non_exhaustive()
    }
}

/// What a file says about one key.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    /// The protection is switched off.
    Off,
    /// The protection is on, whatever the value is. No beginning of a value is valid.
    On,
    /// Only these names are accepted or offered.
    Only(BTreeSet<String>),
    /// This text is sent to browsers.
    Sends(String),
    /// A burst of requests, then one per interval.
    Limit { interval: Duration, burst: u32 },
}

impl Said {
    fn only(names: &[String]) -> Self {
        Self::Only(names.iter().cloned().collect())
    }

    /// `[]` stands for all names.
    fn only_or_all(names: &[String]) -> Self {
        match names {
            [] => Self::Off,
            names => Self::only(names),
        }
    }

    fn on(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }

    /// Whether `new` protects at least as much.
    fn is_kept_by(&self, new: &Self) -> bool {
        match (self, new) {
            (Self::Off, _) | (Self::On, Self::On) => true,
            (Self::Only(old), Self::Only(new)) => new.is_subset(old),
            (Self::Sends(old), Self::Sends(new)) => old == new,
            (
                Self::Limit { interval, burst },
                Self::Limit {
                    interval: new_interval,
                    burst: new_burst,
                },
            ) => new_interval >= interval && new_burst <= burst,
            _ => false,
        }
    }
}

const USERS: &str = "basic_auth_users";
const TLS: &str = "tls_server_config";
const CLIENT_AUTH: &str = "tls_server_config.client_auth_type";
const CLIENT_SANS: &str = "tls_server_config.client_allowed_sans";
const MIN_VERSION: &str = "tls_server_config.min_version";
const MAX_VERSION: &str = "tls_server_config.max_version";
const CIPHER_SUITES: &str = "tls_server_config.cipher_suites";
const CURVES: &str = "tls_server_config.curve_preferences";
const HEADERS: &str = "http_server_config.headers";
const RATE_LIMIT: &str = "rate_limit";

/// Whether a file with `new` ends the protection by `key` by what it says about another key. What
/// is lost with the other key is told once.
fn ends_with_another(key: &str, new: &BTreeMap<String, Said>) -> bool {
    let is_on = |key| new.get(key).is_some_and(|said| *said != Said::Off);
    if key.starts_with(HEADERS) {
        return new.get(HEADERS) == Some(&Said::Off);
    }
    (key == CLIENT_SANS && !is_on(CLIENT_AUTH))
        || (key != TLS && key.starts_with(TLS) && !is_on(TLS))
}

/// How to switch off the protection by `key`.
fn how_to_end(key: &str) -> String {
    let text = match key {
        USERS => "to remove all users, write basic_auth_users: {}",
        TLS => "to serve plain HTTP, write tls_server_config: {}",
        CLIENT_AUTH => "to require no certificate, write client_auth_type: NoClientCert",
        CLIENT_SANS => "to accept certificates with any name, restart the server",
        MIN_VERSION => "to accept TLS 1.2, write min_version: TLS12",
        MAX_VERSION => "to accept TLS 1.3, write max_version: TLS13",
        CIPHER_SUITES => "to offer all cipher suites, write cipher_suites: []",
        CURVES => "to offer all curves, write curve_preferences: []",
        RATE_LIMIT => "to have no limit, write rate_limit: {}",
        header => {
            let name = header.rsplit('.').next().unwrap_or(header);
            return format!("to send no such header, write {name}: ''");
        }
    };
    text.to_owned()
}

impl Protection {
    /// What the file with this text says. Values that are not valid count as absent.
    pub(crate) fn of(raw: &RawFile, text: &str) -> Self {
        let mut said = BTreeMap::new();
        let mut say = |key: &str, value: Said| said.insert(key.to_owned(), value);
        if let Some(users) = &raw.basic_auth_users {
            say(USERS, Said::on(!users.is_empty()));
        }
        if let Some(tls) = &raw.tls_server_config {
            if tls.is_off || !tls.is_empty() {
                say(TLS, Said::on(!tls.is_off));
            }
            for (key, value) in of_tls(tls) {
                say(key, value);
            }
        }
        if let Some(headers) = &raw.headers {
            if headers.is_empty() {
                say(HEADERS, Said::Off);
            }
            for (name, value) in headers {
                let value = match value.value.as_str() {
                    "" => Said::Off,
                    text => Said::Sends(text.to_owned()),
                };
                say(&format!("{HEADERS}.{name}"), value);
            }
        }
        if let Some(limit) = &raw.rate_limit {
            let value = match limit.interval.as_ref().map(interval) {
                None if limit.is_empty => Some(Said::Off),
                Some(Ok(None)) => Some(Said::Off),
                Some(Ok(Some(interval))) => Some(Said::Limit {
                    interval,
                    burst: limit.burst,
                }),
                None | Some(Err(_)) => None,
            };
            value.map(|value| say(RATE_LIMIT, value));
        }
        Self {
            said,
            text: text.to_owned(),
        }
    }

    /// The keys that protect a server with this file and that would protect it less with `new`
    /// although `new` does not say so, with what to write.
    pub(crate) fn lost_in(&self, new: &Self) -> Vec<String> {
        let may_be_cut = new.may_be_a_part_of(self);
        let protecting = self.said.iter().filter(|(_, said)| **said != Said::Off);
        protecting
            .filter(|(key, _)| !ends_with_another(key, &new.said))
            .filter_map(|(key, said)| match new.said.get(key) {
                None => Some(format!("{key} is missing; {}", how_to_end(key))),
                Some(Said::Off) => None,
                Some(now) if may_be_cut && !said.is_kept_by(now) => Some(format!(
                    "{key} protects less, and the file may be cut off there; if it is complete, \
                     end it with a line of three dots (...)"
                )),
                Some(_) => None,
            })
            .collect()
    }

    /// Whether the file may be only the beginning of what it is meant to be: it ends within a line,
    /// or it is the beginning of the file that is in effect.
    fn may_be_a_part_of(&self, in_effect: &Self) -> bool {
        let text = self.text.trim_end();
        let is_ended = text.lines().next_back() == Some("...");
        !is_ended && (!self.text.ends_with('\n') || in_effect.text.starts_with(text))
    }
}

fn of_tls(tls: &RawTls) -> Vec<(&'static str, Said)> {
    let mut said = Vec::new();
    let mut say = |key, value: Option<Said>| said.extend(value.map(|value| (key, value)));
    let word = |key, off: &[&str]| {
        let text = tls.given(key)?;
        Some(Said::on(!off.contains(&text)))
    };
    say(CLIENT_AUTH, word("client_auth_type", &["NoClientCert"]));
    say(
        MIN_VERSION,
        word("min_version", &["TLS10", "TLS11", "TLS12"]),
    );
    say(MAX_VERSION, word("max_version", &["TLS13"]));
    let sans = tls.list("client_allowed_sans");
    say(CLIENT_SANS, sans.map(Said::only));
    let suites = tls.list("cipher_suites");
    say(CIPHER_SUITES, suites.map(Said::only_or_all));
    let curves = tls.list("curve_preferences");
    say(CURVES, curves.map(Said::only_or_all));
    said
}
