//! Basic authentication against bcrypt hashes.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use http::HeaderValue;

use crate::turns::Turns;

/// The number of results that are cached. One comparison takes tens of milliseconds of CPU time.
const CACHE: usize = 100;

/// Checks users, with a cache of results.
#[derive(Debug, Default)]
pub(crate) struct Users {
    /// Whether the password fits the hash, by both. An unknown user has no hash.
    checked: Mutex<HashMap<(Credentials, Option<String>), bool>>,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// The credentials are those of a user.
    Known,
    /// They are not.
    Unknown,
    /// The client sends more credentials than can be checked.
    TooMany,
}

/// User and password of a request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Credentials {
    user: String,
    password: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// The credentials of an `Authorization: Basic` header.
pub(crate) fn basic(header: &HeaderValue) -> Option<Credentials> {
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
    /// Whether the credentials, which came `from` this client, are those of one of `users`. `turns`
    /// belong to the file with these users.
    pub(crate) async fn check(
        &self,
        users: &BTreeMap<String, String>,
        turns: &Arc<Turns>,
        credentials: Credentials,
        from: Option<IpAddr>,
    ) -> Checked {
        let hash = users.get(&credentials.user).cloned();
        // The hash is part of the key, so a result ends with the password that it is about.
        let key = (credentials, hash);
        if let Some(known) = self.cached(&key) {
            return known;
        }
        let address = from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let Some(turn) = turns.wait(address, &key.0.user).await else {
            return Checked::TooMany;
        };
        if let Some(known) = self.cached(&key) {
            return known;
        }
        let most = users
            .values()
            .map(|hash| cost(hash))
            .max()
            .unwrap_or(MIN_COST);
        let (password, hash) = (key.0.password.clone(), key.1.clone());
        let compared = tokio::task::spawn_blocking(move || {
            let same = is_password(&password, hash.as_deref(), most);
            // The turn ends with the work, even if the client has gone away.
            drop(turn);
            same
        });
        let known = compared.await.unwrap_or(false);
        self.remember(key, known);
        Checked::of(known)
    }

    fn remember(&self, key: (Credentials, Option<String>), known: bool) {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.len() >= CACHE {
            // Guesses must not displace valid users.
            let guesses = checked.len();
            checked.retain(|_, known| *known);
            if checked.len() == guesses {
                checked.clear();
            }
        }
        checked.insert(key, known);
    }

    fn cached(&self, key: &(Credentials, Option<String>)) -> Option<Checked> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.get(key).copied().map(Checked::of)
    }
}

impl Checked {
    fn of(known: bool) -> Self {
        if known { Self::Known } else { Self::Unknown }
    }
}

/// The lowest cost of a bcrypt hash.
const MIN_COST: u32 = 4;

/// The cost of a hash: the binary logarithm of its work.
fn cost(hash: &str) -> u32 {
    hash.parse::<HashParts>()
        .map_or(MIN_COST, |parts| parts.get_cost())
}

/// Whether the password fits the hash. It takes the work of a hash of the cost `most`, whatever the
/// cost of this hash, and also without one: response times do not reveal which users exist.
///
/// bcrypt reads 72 bytes of a password. Longer ones are compared up to there, as Prometheus does.
fn is_password(password: &[u8], hash: Option<&str>, most: u32) -> bool {
    let own = hash.map(cost);
    let same = hash.is_some_and(|hash| bcrypt::verify(password, hash).unwrap_or(false));
    for cost in further_costs(own, most) {
        let unused = bcrypt::hash_with_salt(password, cost, [0; 16]);
        let _ = std::hint::black_box(unused);
    }
    same
}

/// The costs of the hashes that are computed after the user's own, so that the sum of all work is
/// that of the cost `most`: 2^10 + 2^10 + 2^11 is 2^12.
fn further_costs(own: Option<u32>, most: u32) -> std::ops::Range<u32> {
    match own {
        Some(own) => own..most,
        None => most..most + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(user: &str, password: &str) -> HeaderValue {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        HeaderValue::from_str(&format!("Basic {encoded}")).unwrap()
    }

    async fn passes(
        users: &Users,
        known: &BTreeMap<String, String>,
        user: &str,
        password: &str,
    ) -> bool {
        let credentials = basic(&header(user, password)).unwrap();
        let turns = Turns::on_half_of_the_cores();
        users.check(known, &turns, credentials, None).await == Checked::Known
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_is_accepted() {
        let hash = bcrypt::hash("p:ä$s", 4).unwrap();
        let known = BTreeMap::from([("eve".to_owned(), hash)]);
        let users = Users::default();
        for (user, password, expected) in [
            ("eve", "p:ä$s", true),
            ("eve", "wrong", false),
            ("eve", "", false),
            ("bob", "p:ä$s", false),
        ] {
            // Twice: by comparing and from the cache.
            for _ in 0..2 {
                assert_eq!(
                    passes(&users, &known, user, password).await,
                    expected,
                    "{user}"
                );
            }
        }
        assert_eq!(users.checked.lock().unwrap().len(), 4);
        // A result ends with the user, or with the password.
        assert!(!passes(&users, &BTreeMap::new(), "eve", "p:ä$s").await);
        let other = bcrypt::hash("other", 4).unwrap();
        let changed = BTreeMap::from([("eve".to_owned(), other)]);
        assert!(!passes(&users, &changed, "eve", "p:ä$s").await);
        assert!(passes(&users, &changed, "eve", "other").await);
    }

    /// As in Prometheus: bcrypt reads 72 bytes.
    #[tokio::test]
    async fn a_password_longer_than_bcrypt_reads_is_accepted() {
        let long = "x".repeat(80);
        let known = BTreeMap::from([("eve".to_owned(), bcrypt::hash(&long, 4).unwrap())]);
        let users = Users::default();
        assert!(passes(&users, &known, "eve", &long).await);
        assert!(!passes(&users, &known, "eve", &"x".repeat(71)).await);
    }

    /// The work of a check does not depend on the user, so response times tell nothing.
    #[test]
    fn a_check_takes_the_same_work_for_every_user() {
        for most in [4, 10, 12] {
            let work = |own: Option<u32>| -> u64 {
                let own_work = own.map_or(0, |cost| 1 << cost);
                let further = further_costs(own, most).map(|cost| 1_u64 << cost);
                own_work + further.sum::<u64>()
            };
            assert_eq!(work(None), 1 << most);
            for own in 4..=most {
                assert_eq!(work(Some(own)), 1 << most, "{own} of {most}");
            }
        }
    }

    #[tokio::test]
    async fn the_cache_is_bounded_and_keeps_valid_users() {
        let known = BTreeMap::from([("eve".to_owned(), bcrypt::hash("right", 4).unwrap())]);
        let users = Users::default();
        assert!(passes(&users, &known, "eve", "right").await);
        for guess in 0..CACHE * 2 {
            assert!(!passes(&users, &known, "eve", &guess.to_string()).await);
        }
        assert!(users.checked.lock().unwrap().len() <= CACHE);
        let right = basic(&header("eve", "right")).unwrap();
        let key = (right, known.get("eve").cloned());
        assert_eq!(users.cached(&key), Some(Checked::Known));
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
