//! An answer whose body has been received, and the errors that are made from it.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use reqwest::header::{CONTENT_TYPE, LOCATION};

use crate::error::{Error, Reason};
use crate::retry::retry_after;

/// An answer whose body has been received in full.
#[derive(Clone)]
pub struct Answer {
    /// The operation's id in the API's description.
    pub operation: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// The status line's text, if it differs from the usual one of the status.
    pub phrase: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

/// Prints no content: it may be personal.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("operation", &self.operation)
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// An error with this answer's operation and status.
    pub fn error(&self, reason: Reason) -> Error {
        Error::new(self.operation, reason).with_status(self.status.as_u16())
    }

    /// The error for the HTTP status, if the body does not say more. `code` is the
    /// server's error code, or empty.
    pub fn error_by_status(&self, code: &str) -> Error {
        let reason = match self.status.as_u16() {
            300..=399 => Reason::Redirected {
                to: redirect_target(&self.headers),
            },
            401 => Reason::RefusedLogin,
            403 => Reason::PermissionDenied,
            404 => Reason::NotFound,
            429 => return self.throttled(),
            408 | 500..=599 => Reason::Server,
            400..=499 => Reason::Validation { fields: Vec::new() },
            _ => Reason::Unreadable {
                content_type: self.content_type(),
                problem: "a status that the API does not have".to_owned(),
            },
        };
        let wait = match reason {
            Reason::Server => retry_after(&self.headers),
            _ => None,
        };
        self.error(reason).with_code(code).with_retry_after(wait)
    }

    /// The error of a server that asks for fewer requests.
    pub fn throttled(&self) -> Error {
        self.error(Reason::Throttled)
            .with_retry_after(retry_after(&self.headers))
    }

    /// The error of a successful answer that cannot be read: [`Reason::Html`] when it is a web
    /// page.
    pub fn unreadable(&self, problem: impl Into<String>) -> Error {
        if is_html(&self.headers, &self.body) {
            return self.error(Reason::Html);
        }
        let problem = if self.body.is_empty() {
            "the body is empty".to_owned()
        } else {
            problem.into()
        };
        self.error(Reason::Unreadable {
            content_type: self.content_type(),
            problem,
        })
    }

    /// The content type, cut to what is safe and useful to print.
    fn content_type(&self) -> Option<String> {
        let text = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        Some(text.chars().take(80).collect())
    }
}

fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let named = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .trim_ascii_start()
                .to_ascii_lowercase()
                .starts_with("text/html")
        });
    let start = body
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(body)
        .trim_ascii_start();
    let starts_with = |tag: &[u8]| {
        start
            .get(..tag.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(tag))
    };
    // A web page may come with a JSON content type. JSON with an HTML content type is never asked
    // about here: it could be read.
    named || starts_with(b"<!doctype html") || starts_with(b"<html")
}

/// Where a redirect points, without query and fragment: these may hold what was sent.
fn redirect_target(headers: &HeaderMap) -> String {
    let unreadable = || "an unreadable address".to_owned();
    let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
        return unreadable();
    };
    let path_only = location.split(['?', '#']).next().unwrap_or_default();
    match url::Url::parse(path_only) {
        Ok(mut url) => {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        }
        Err(_) if path_only.starts_with('/') => path_only.chars().take(200).collect(),
        Err(_) => unreadable(),
    }
}
