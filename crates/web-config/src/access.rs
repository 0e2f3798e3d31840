//! The rules in effect, and what they say about a request.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use http::{HeaderMap, header};

use crate::admission::{Admission, Refusal};
use crate::bucket::Bucket;
use crate::rules::Rules;
use crate::users::{self, Checked, Users};

/// The access rules in effect.
pub struct Access {
    current: ArcSwap<Rules>,
    users: Users,
    bucket: Mutex<Option<Bucket>>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            bucket: Mutex::new(rules.settings.rate_limit.map(Bucket::full)),
            current: ArcSwap::from_pointee(rules),
            users: Users::default(),
        }
    }

    /// The rules in effect.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.current.load_full()
    }

    /// Puts new rules into effect.
    pub(crate) fn apply(&self, rules: Box<Rules>) {
        if rules.settings.rate_limit != self.rules().settings.rate_limit {
            let bucket = rules.settings.rate_limit.map(Bucket::full);
            *self.bucket.lock().unwrap_or_else(PoisonError::into_inner) = bucket;
        }
        self.current.store(Arc::from(rules));
    }

    /// The TLS configuration of new connections.
    pub fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.current.load().tls.clone()
    }

    /// Decides about a request with these headers `from` a client: whether it is within the rate
    /// limit, and whether it has the password of a user. `from` tells clients apart, so that those
    /// that guess passwords do not delay the others.
    pub async fn admit(&self, headers: &HeaderMap, from: Option<IpAddr>) -> Admission {
        if !self.within_rate() {
            return Admission::refused(Refusal::RateLimit);
        }
        let rules = self.rules();
        let refusal = if rules.settings.users.is_empty() {
            None
        } else {
            let credentials = headers.get(header::AUTHORIZATION);
            let checked = match credentials.and_then(users::basic) {
                Some(credentials) => {
                    let users = &rules.settings.users;
                    self.users
                        .check(users, &rules.turns, credentials, from)
                        .await
                }
                None => Checked::Unknown,
            };
            match checked {
                Checked::Known => None,
                Checked::Unknown => Some(Refusal::Credentials),
                Checked::TooMany => Some(Refusal::Busy),
            }
        };
        Admission::by(rules, refusal)
    }

    fn within_rate(&self) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket
            .as_mut()
            .is_none_or(|bucket| bucket.take(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http::HeaderValue;

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
