//! Basic authentication against bcrypt hashes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;

/// Outcomes that are remembered. One comparison takes tens of milliseconds of a core.
const CACHE: usize = 100;

/// bcrypt looks at no more of a password than this; a longer one matches nothing.
const MAX_PASSWORD: usize = 72;

/// The hash that an unknown user is compared with, so that the time of an answer does not tell which users there are. Its outcome is
/// not looked at.
const NOBODY: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// Checks users, with a memory of what was checked before.
#[derive(Debug)]
pub(super) struct Users {
    checked: Mutex<HashMap<Credentials, bool>>,
    /// One comparison at a time, so that guesses cannot take all cores.
    comparing: Semaphore,
}

/// What a request says of who sends it.
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

/// The credentials of an `Authorization` header of the basic kind.
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
        if let Some(known) = self.remembered(&credentials) {
            return known;
        }
        let hash = users.get(&credentials.user).cloned();
        // The semaphore is never closed; if it were, nobody would pass.
        let Ok(_turn) = self.comparing.acquire().await else {
            return false;
        };
        if let Some(known) = self.remembered(&credentials) {
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
            // Guesses must not push out the users that are there.
            let guesses = checked.len();
            checked.retain(|_, known| *known);
            if checked.len() == guesses {
                checked.clear();
            }
        }
        checked.insert(credentials, known);
        known
    }

    fn remembered(&self, credentials: &Credentials) -> Option<bool> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.get(credentials).copied()
    }

    /// Forgets all outcomes: the users have changed.
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
    async fn only_the_right_password_of_a_known_user_passes() {
        let hash = bcrypt::hash("p:ä$s", 4).unwrap();
        let known = BTreeMap::from([("eve".to_owned(), hash)]);
        let users = Users::default();
        for (user, password, passes) in [
            ("eve", "p:ä$s", true),
            ("eve", "wrong", false),
            ("eve", "", false),
            ("bob", "p:ä$s", false),
            // The password of the hash that strangers are compared with.
            ("bob", "fakepassword", false),
        ] {
            // Twice: by comparing and from memory.
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
    async fn memory_is_bounded_and_keeps_those_that_passed() {
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
            users.remembered(&basic(&header("eve", "right")).unwrap()),
            Some(true)
        );
    }

    #[test]
    fn headers_that_say_nothing() {
        for text in ["", "Basic", "Basic !!!", "Bearer ZXZlOng=", "Basic ZXZl"] {
            assert!(
                basic(&HeaderValue::from_str(text).unwrap()).is_none(),
                "{text}"
            );
        }
    }
}
