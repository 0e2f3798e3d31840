//! Applies the access rules to requests.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::bucket::Bucket;
use super::file::{AccessError, Files, Settings};
use super::tls;
use super::turns::Turns;
use super::users::{self, Checked, Users};
use crate::web::peer::Peer;

/// The access rules in effect.
pub struct Access {
    current: ArcSwap<Rules>,
    users: Users,
    bucket: Mutex<Option<Bucket>>,
}

/// One reading of the file.
pub(super) struct Rules {
    settings: Settings,
    /// A check that goes on does not keep those of a later file waiting.
    turns: Arc<Turns>,
    /// The TLS configuration; `None` for plain HTTP.
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    /// Of all files that were read, to detect changes.
    digest: u64,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            bucket: Mutex::new(rules.settings.rate_limit.map(Bucket::full)),
            current: ArcSwap::from_pointee(rules),
            users: Users::default(),
        }
    }

    /// The rules in effect.
    pub(super) fn rules(&self) -> Arc<Rules> {
        self.current.load_full()
    }

    /// Puts new rules into effect.
    pub(super) fn apply(&self, rules: Box<Rules>) {
        if rules.settings.rate_limit != self.rules().settings.rate_limit {
            let bucket = rules.settings.rate_limit.map(Bucket::full);
            *self.bucket.lock().unwrap_or_else(PoisonError::into_inner) = bucket;
        }
        self.current.store(Arc::from(rules));
    }

    /// The TLS configuration of new connections.
    pub(in crate::web) fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.current.load().tls.clone()
    }

    fn within_rate(&self) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket
            .as_mut()
            .is_none_or(|bucket| bucket.take(Instant::now()))
    }
}

/// Checks a web configuration file, and the files that it names. Returns warnings.
///
/// # Errors
/// If the file cannot be read or is not valid.
pub fn check(file: &Path) -> Result<Vec<String>, AccessError> {
    Rules::read(file).map(|rules| rules.settings.warnings)
}

impl Rules {
    pub(super) fn open_to_all() -> Self {
        Self {
            settings: Settings::default(),
            turns: Turns::on_half_of_the_cores(),
            tls: None,
            digest: 0,
        }
    }

    pub(super) fn read(file: &Path) -> Result<Self, AccessError> {
        let mut files = Files::default();
        let mut settings = Settings::read(file, &mut files)?;
        let mut warnings = std::mem::take(&mut settings.warnings);
        let tls = match &settings.tls {
            Some(settings) => Some(tls::server_config(settings, &mut files, &mut warnings)?),
            None => None,
        };
        settings.warnings = warnings;
        Ok(Self {
            settings,
            turns: Turns::on_half_of_the_cores(),
            tls,
            digest: files.digest(),
        })
    }

    /// A digest of the content of all files.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// What is accepted but has no full effect.
    pub(super) fn warnings(&self) -> &[String] {
        &self.settings.warnings
    }

    /// `new` in the place of these rules in a running server.
    ///
    /// # Errors
    /// If the file leaves out what protects the server, as one does that is not finished.
    pub(super) fn replaced_by(&self, new: Self) -> Result<Box<Self>, AccessError> {
        let lost = self.settings.protection.lost_in(&new.settings.protection);
        if lost.is_empty() {
            return Ok(Box::new(new));
        }
        Err(AccessError::Unprotected {
            file: new.settings.file.display().to_string(),
            keys: lost.join("; "),
        })
    }
}

/// Passes a request to its handler, or rejects it.
pub(in crate::web) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let rules = access.current.load_full();
    if !access.within_rate() {
        return (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n").into_response();
    }
    let mut response = if rules.settings.users.is_empty() {
        next.run(request).await
    } else {
        let credentials = request.headers().get(header::AUTHORIZATION);
        let checked = match credentials.and_then(users::basic) {
            Some(credentials) => {
                let from = request.extensions().get::<Peer>().copied();
                let users = &rules.settings.users;
                let turns = &rules.turns;
                access.users.check(users, turns, credentials, from).await
            }
            None => Checked::Unknown,
        };
        match checked {
            Checked::Known => next.run(request).await,
            Checked::Unknown => {
                let challenge = [(header::WWW_AUTHENTICATE, "Basic")];
                (StatusCode::UNAUTHORIZED, challenge, "Unauthorized\n").into_response()
            }
            Checked::TooMany => {
                let later = [(header::RETRY_AFTER, "5")];
                let text = "Too many passwords are being checked, try again later.\n";
                (StatusCode::TOO_MANY_REQUESTS, later, text).into_response()
            }
        }
    };
    let headers = response.headers_mut();
    for (name, value) in &rules.settings.headers {
        headers.insert(HeaderName::clone(name), HeaderValue::clone(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[tokio::test]
    async fn a_check_that_goes_on_does_not_delay_those_of_a_later_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("web.yml");
        let rules = |password: &str| {
            let hash = bcrypt::hash(password, 4).unwrap();
            std::fs::write(&file, format!("basic_auth_users: {{ eve: '{hash}' }}\n")).unwrap();
            Rules::read(&file).unwrap()
        };
        let access = Access::new(rules("first"));
        let before = access.rules();
        // Nobody else has a turn now.
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut turns = Vec::new();
        for _ in 0..before.turns.parallel() {
            turns.push(before.turns.wait(address, "eve").await.unwrap());
        }
        access.apply(Box::new(rules("second")));
        let after = access.rules();
        let header = HeaderValue::from_static("Basic ZXZlOnNlY29uZA==");
        let credentials = users::basic(&header).unwrap();
        let users = &after.settings.users;
        let checked = access.users.check(users, &after.turns, credentials, None);
        assert_eq!(checked.await, Checked::Known);
        drop(turns);
    }
}
