//! Access and refresh tokens.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::random::{Purpose, draw};

/// The maximum number of tokens; the oldest are forgotten first.
const MOST_TOKENS: usize = 10_000;

#[derive(Debug)]
pub(super) struct Tokens {
    seed: u64,
    lifetime: Duration,
    issued: u64,
    access: HashMap<String, (u64, Instant)>,
    refresh: HashMap<String, u64>,
}

/// The answer to a login.
#[derive(Debug, Serialize)]
pub(super) struct Grant {
    token_type: &'static str,
    access_token: String,
    refresh_token: String,
    expires_in: u64,
}

impl Tokens {
    pub(super) fn new(seed: u64, lifetime_seconds: u64) -> Self {
        Self {
            seed,
            lifetime: Duration::from_secs(lifetime_seconds),
            issued: 0,
            access: HashMap::new(),
            refresh: HashMap::new(),
        }
    }

    pub(super) fn grant(&mut self) -> Grant {
        let access_token = self.next();
        let refresh_token = self.next();
        let expires = Instant::now() + self.lifetime;
        (self.access).insert(access_token.clone(), (self.issued, expires));
        (self.refresh).insert(refresh_token.clone(), self.issued);
        let oldest = self.issued.saturating_sub(2 * MOST_TOKENS as u64);
        self.access.retain(|_, (issued, _)| *issued > oldest);
        self.refresh.retain(|_, issued| *issued > oldest);
        Grant {
            token_type: "Bearer",
            access_token,
            refresh_token,
            expires_in: self.lifetime.as_secs(),
        }
    }

    /// New tokens for a refresh token, which becomes invalid.
    pub(super) fn refresh(&mut self, token: &str) -> Option<Grant> {
        self.refresh.remove(token)?;
        Some(self.grant())
    }

    /// A token for the first half of a two-factor login.
    pub(super) fn session(&mut self) -> String {
        self.next()
    }

    /// Whether a header contains a valid token.
    pub(super) fn is_valid(&self, authorization: &str) -> bool {
        (bearer(authorization).and_then(|token| self.access.get(token)))
            .is_some_and(|(_, expires)| *expires > Instant::now())
    }

    pub(super) fn forget(&mut self, authorization: &str) {
        if let Some(token) = bearer(authorization) {
            self.access.remove(token);
        }
    }

    fn next(&mut self) -> String {
        self.issued += 1;
        let bits = [0, 1, 2].map(|part| draw(self.seed, Purpose::Token, self.issued << 2 | part));
        URL_SAFE_NO_PAD.encode(bits.map(u64::to_be_bytes).concat())
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_until_it_expires_or_is_forgotten() {
        let mut tokens = Tokens::new(1, 60);
        let grant = tokens.grant();
        let header = format!("Bearer {}", grant.access_token);
        assert!(tokens.is_valid(&header));
        assert!(!tokens.is_valid(&grant.access_token), "no scheme");
        tokens.forget(&header);
        assert!(!tokens.is_valid(&header));

        let mut expired = Tokens::new(1, 0);
        let grant = expired.grant();
        assert!(!expired.is_valid(&format!("Bearer {}", grant.access_token)));
    }

    #[test]
    fn a_refresh_token_works_once() {
        let mut tokens = Tokens::new(1, 60);
        let first = tokens.grant();
        let second = tokens.refresh(&first.refresh_token).expect("known");
        assert_ne!(first.access_token, second.access_token);
        assert!(tokens.refresh(&first.refresh_token).is_none());
    }
}
