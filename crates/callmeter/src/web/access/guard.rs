//! Applies the access rules to requests, and reloads them.
//!
//! The file and the files that it names are read every second, apart from requests: new
//! certificates and users take effect without a restart, and no request waits for a disk. A file
//! that has become invalid changes nothing and is logged.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{error, info};

use super::bucket::Bucket;
use super::file::{AccessError, Files, Settings};
use super::tls;
use super::users::{self, Users};

/// The interval at which the files are read.
const INTERVAL: Duration = Duration::from_secs(1);

/// The access rules in effect.
pub struct Access {
    current: ArcSwap<Rules>,
    users: Users,
    bucket: Mutex<Option<Bucket>>,
}

/// One reading of the file.
pub(super) struct Rules {
    settings: Settings,
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
    /// Reads the file now, and again whenever it or a file that it names has changed, until the
    /// returned value is dropped. Without a file, everyone has access over plain HTTP. Must be
    /// called in a runtime.
    ///
    /// # Errors
    /// If the file cannot be read or is not valid.
    pub fn open(file: Option<&Path>) -> Result<Arc<Self>, AccessError> {
        let rules = match file {
            Some(file) => Rules::read(file)?,
            None => Rules::open_to_all(),
        };
        for warning in &rules.settings.warnings {
            tracing::warn!(warning, "web configuration");
        }
        let access = Arc::new(Self {
            bucket: Mutex::new(rules.settings.rate_limit.map(Bucket::full)),
            current: ArcSwap::from_pointee(rules),
            users: Users::default(),
        });
        if let Some(file) = file {
            let access = Arc::downgrade(&access);
            let file = file.to_path_buf();
            tokio::spawn(async move {
                let mut reported = None;
                loop {
                    tokio::time::sleep(INTERVAL).await;
                    let Some(access) = access.upgrade() else {
                        return;
                    };
                    let file = file.clone();
                    let read =
                        tokio::task::spawn_blocking(move || (Rules::read(&file), file)).await;
                    if let Ok((read, file)) = read {
                        access.apply(read, &file, &mut reported);
                    }
                }
            });
        }
        Ok(access)
    }

    /// Applies new rules if they have changed. `reported` is the error that was logged last.
    fn apply(&self, read: Result<Rules, AccessError>, file: &Path, reported: &mut Option<String>) {
        match read {
            Ok(rules) => {
                *reported = None;
                let before = self.current.load();
                if rules.digest == before.digest {
                    return;
                }
                if rules.settings.rate_limit != before.settings.rate_limit {
                    let bucket = rules.settings.rate_limit.map(Bucket::full);
                    *self.bucket.lock().unwrap_or_else(PoisonError::into_inner) = bucket;
                }
                self.users.forget();
                self.current.store(Arc::new(rules));
                info!(file = %file.display(), "web configuration reloaded");
            }
            Err(reason) => {
                let reason = reason.to_string();
                if reported.as_ref() != Some(&reason) {
                    error!(
                        reason,
                        "web configuration not reloaded; the old one stays in effect"
                    );
                    *reported = Some(reason);
                }
            }
        }
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

impl Rules {
    fn open_to_all() -> Self {
        Self {
            settings: Settings::default(),
            tls: None,
            digest: 0,
        }
    }

    fn read(file: &Path) -> Result<Self, AccessError> {
        let mut files = Files::default();
        let settings = Settings::read(file, &mut files)?;
        let tls = match &settings.tls {
            Some(settings) => Some(tls::server_config(settings, &mut files)?),
            None => None,
        };
        Ok(Self {
            settings,
            tls,
            digest: files.digest(),
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
        let known = match credentials.and_then(users::basic) {
            Some(credentials) => access.users.check(&rules.settings.users, credentials).await,
            None => false,
        };
        if known {
            next.run(request).await
        } else {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic")];
            (StatusCode::UNAUTHORIZED, challenge, "Unauthorized\n").into_response()
        }
    };
    let headers = response.headers_mut();
    for (name, value) in &rules.settings.headers {
        headers.insert(HeaderName::clone(name), HeaderValue::clone(value));
    }
    response
}
