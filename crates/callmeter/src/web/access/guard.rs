//! Who may ask: TLS, users, headers and rate limit from the file of `--web.config.file`, in the format that the Prometheus exporters
//! share.
//!
//! The file and those it names are looked at every second, apart from requests: new certificates and users take effect without a
//! restart, and no request waits for a disk. A file that has become invalid changes nothing and is logged.

mod client_certs;
mod file;
mod tls;
mod users;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{error, info};

pub use file::AccessError;
use file::{RateLimit, Settings};
use users::Users;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// The rules of access, as they are at this moment.
pub struct Access {
    current: ArcSwap<Rules>,
    users: Users,
    bucket: Mutex<Option<Bucket>>,
}

/// One reading of the file.
pub(super) struct Rules {
    settings: Settings,
    /// How connections are encrypted; plain when there is none.
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    /// All bytes that were read, to notice a change.
    digest: u64,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    /// Reads the file, and again whenever it or a file that it names has changed, for as long as the returned value lives.
    /// Without a file everybody may ask, in plain HTTP. Must be called in a runtime.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid.
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
                    tokio::time::sleep(LOOK).await;
                    let Some(access) = access.upgrade() else {
                        return;
                    };
                    let file = file.clone();
                    let read =
                        tokio::task::spawn_blocking(move || (Rules::read(&file), file)).await;
                    if let Ok((read, file)) = read {
                        access.take(read, &file, &mut reported);
                    }
                }
            });
        }
        Ok(access)
    }

    /// Puts newly read rules into force, unless they are the old ones. `reported` is the error that was logged last.
    fn take(&self, read: Result<Rules, AccessError>, file: &Path, reported: &mut Option<String>) {
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
                        "web configuration not reloaded; the one before stays in force"
                    );
                    *reported = Some(reason);
                }
            }
        }
    }

    /// How a new connection is encrypted.
    pub(super) fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
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
        let mut files = file::Files::default();
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

/// Lets a request pass, or answers it in the handler's place.
pub(super) async fn guard(
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
            let ask = [(header::WWW_AUTHENTICATE, "Basic")];
            (StatusCode::UNAUTHORIZED, ask, "Unauthorized\n").into_response()
        }
    };
    let headers = response.headers_mut();
    for (name, value) in &rules.settings.headers {
        headers.insert(HeaderName::clone(name), HeaderValue::clone(value));
    }
    response
}

/// A token bucket: so many requests at once, and one more every interval.
#[derive(Debug)]
struct Bucket {
    limit: RateLimit,
    /// Requests that may pass now.
    tokens: f64,
    filled: Option<Instant>,
}

impl Bucket {
    fn full(limit: RateLimit) -> Self {
        Self {
            limit,
            tokens: f64::from(limit.burst),
            filled: None,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled.unwrap_or(now));
        let grown = passed.as_secs_f64() / self.limit.interval.as_secs_f64();
        self.tokens = (self.tokens + grown).min(f64::from(self.limit.burst));
        self.filled = Some(now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_pass_and_then_one_each_interval() {
        let interval = Duration::from_secs(2);
        let mut bucket = Bucket::full(RateLimit { interval, burst: 3 });
        let begin = Instant::now();
        let passed =
            |bucket: &mut Bucket, after: u64| bucket.take(begin + Duration::from_secs(after));
        for _ in 0..3 {
            assert!(passed(&mut bucket, 0));
        }
        assert!(!passed(&mut bucket, 0));
        assert!(!passed(&mut bucket, 1));
        assert!(passed(&mut bucket, 2));
        assert!(!passed(&mut bucket, 3));
        // A long rest fills it, but not above its size.
        for _ in 0..3 {
            assert!(passed(&mut bucket, 100));
        }
        assert!(!passed(&mut bucket, 100));
    }
}
