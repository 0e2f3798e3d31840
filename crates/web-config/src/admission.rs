//! The answer to a request: whether it is admitted, and the headers of its response.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::rules::Rules;

/// What the rules say about a request.
#[derive(Debug, Clone)]
#[must_use = "a refused request must not be handled"]
pub struct Admission {
    /// The rules that it was decided by, if they add headers.
    rules: Option<Arc<Rules>>,
    refusal: Option<Refusal>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is beyond the rate limit.
    RateLimit,
    /// It has no valid user and password.
    Credentials,
    /// Its client sends more passwords than can be checked.
    Busy,
}

impl Admission {
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self {
            rules: None,
            refusal: Some(refusal),
        }
    }

    pub(crate) fn by(rules: Arc<Rules>, refusal: Option<Refusal>) -> Self {
        Self {
            rules: Some(rules),
            refusal,
        }
    }

    /// Why the request is refused; `None` if it is admitted.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// Adds the configured headers to those of the response, whether the request is admitted or
    /// not.
    pub fn add_headers(&self, headers: &mut HeaderMap) {
        let configured = self.rules.iter().flat_map(|rules| &rules.settings.headers);
        for (name, value) in configured {
            headers.insert(HeaderName::clone(name), HeaderValue::clone(value));
        }
    }
}

impl Refusal {
    /// The status of the response.
    pub fn status(self) -> StatusCode {
        match self {
            Self::RateLimit | Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Credentials => StatusCode::UNAUTHORIZED,
        }
    }

    /// The header that says how to be admitted.
    pub fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::RateLimit => None,
            Self::Credentials => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic")))
            }
            Self::Busy => Some((header::RETRY_AFTER, HeaderValue::from_static("5"))),
        }
    }

    /// The body of the response.
    pub fn text(self) -> &'static str {
        match self {
            Self::RateLimit => "Too Many Requests\n",
            Self::Credentials => "Unauthorized\n",
            Self::Busy => "Too many passwords are being checked, try again later.\n",
        }
    }
}
