//! Basic authentication against bcrypt hashes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;

/// The number of results that are cached. One comparison takes tens of milliseconds of CPU time.
const CACHE: usize = 100;

/// bcrypt ignores all further bytes of a password, so longer ones are rejected.
const MAX_PASSWORD: usize = 72;

/// The hash that an unknown user is compared with, so that response times do not reveal which users
/// exist. The result is ignored.
const NOBODY: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// Checks users, with a cache of results.
#[derive(Debug)]
pub(super) struct Users {
    checked: Mutex<HashMap<Credentials, bool>>,
    /// One comparison at a time, so that guesses cannot use all cores.
    comparing: Semaphore,
}

/// User and password of a request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Credentials {
    user: String,
    password: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Default for Users {
    fn default() -> Self {
        Self {
            checked: Mutex::default(),
            comparing: Semaphore::new(1),
        }
    }
}

/// The credentials of an `Authorization: Basic` header.
pub(super) fn basic(header: &HeaderValue) -> Option<Credentials> {
    let (kind, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !kind.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = decoded.split_at(colon);
    Some(Credentials {
        user: String::from_utf8(user.to_vec()).ok()?,
        password: password.get(1..)?.to_vec(),
    })
}

impl Users {
    /// Whether the credentials are those of one of `users`.
    pub(super) async fn check(
        &self,
        users: &BTreeMap<String, String>,
        credentials: Credentials,
    ) -> bool {
        if let Some(known) = self.cached(&credentials) {
            return known;
        }
        let hash = users.get(&credentials.user).cloned();
        // The semaphore is never closed.
        let Ok(_turn) = self.comparing.acquire().await else {
            return false;
        };
        if let Some(known) = self.cached(&credentials) {
            return known;
        }
        let password = credentials.password.clone();
        let known = tokio::task::spawn_blocking(move || {
            let fits = password.len() <= MAX_PASSWORD;
            let compared = hash.as_deref().unwrap_or(NOBODY);
            let same = bcrypt::verify(password, compared).unwrap_or(false);
            fits && same && hash.is_some()
        });
        let known = known.await.unwrap_or(false);
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.len() >= CACHE {
            // Guesses must not displace valid users.
            let guesses = checked.len();
            checked.retain(|_, known| *known);
            if checked.len() == guesses {
                checked.clear();
            }
        }
        checked.insert(credentials, known);
        known
    }

    fn cached(&self, credentials: &Credentials) -> Option<bool> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.get(credentials).copied()
    }

    /// Clears the cache, because the users have changed.
    pub(super) fn forget(&self) {
        self.checked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(user: &str, password: &str) -> HeaderValue {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        HeaderValue::from_str(&format!("Basic {encoded}")).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_is_accepted() {
        let hash = bcrypt::hash("p:ä$s", 4).unwrap();
        let known = BTreeMap::from([("eve".to_owned(), hash)]);
        let users = Users::default();
        for (user, password, passes) in [
            ("eve", "p:ä$s", true),
            ("eve", "wrong", false),
            ("eve", "", false),
            ("bob", "p:ä$s", false),
            // The password of the hash that unknown users are compared with.
            ("bob", "fakepassword", false),
        ] {
            // Twice: by comparing and from the cache.
            for _ in 0..2 {
                let credentials = basic(&header(user, password)).unwrap();
                assert_eq!(users.check(&known, credentials).await, passes, "{user}");
            }
        }
        assert_eq!(users.checked.lock().unwrap().len(), 5);
        users.forget();
        let credentials = basic(&header("eve", "p:ä$s")).unwrap();
        assert!(!users.check(&BTreeMap::new(), credentials).await);
    }

    #[tokio::test]
    async fn the_cache_is_bounded_and_keeps_valid_users() {
        let known = BTreeMap::from([("eve".to_owned(), bcrypt::hash("right", 4).unwrap())]);
        let users = Users::default();
        assert!(
            users
                .check(&known, basic(&header("eve", "right")).unwrap())
                .await
        );
        for guess in 0..CACHE * 2 {
            let credentials = basic(&header("eve", &guess.to_string())).unwrap();
            assert!(!users.check(&known, credentials).await);
        }
        assert!(users.checked.lock().unwrap().len() <= CACHE);
        assert_eq!(
            users.cached(&basic(&header("eve", "right")).unwrap()),
            Some(true)
        );
    }

    #[test]
    fn headers_without_credentials() {
        for text in ["", "Basic", "Basic !!!", "Bearer ZXZlOng=", "Basic ZXZl"] {
            assert!(
                basic(&HeaderValue::from_str(text).unwrap()).is_none(),
                "{text}"
            );
        }
    }
}
