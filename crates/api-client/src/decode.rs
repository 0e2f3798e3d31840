//! What generated methods call in place of `ResponseValue::from_response`, and how a facade reads what they return.
//!
//! The generator's own decoding loses the status of an error whose body is not JSON, prints bodies, and has no bound.
//! Here every failure becomes an [`Error`] that travels inside `progenitor_client::Error::UnexpectedResponse`, as an
//! extension of the response; [`failure_of`] takes it out again.

use bytes::Bytes;
use http::HeaderMap;
use progenitor_client::{Error as Generated, ResponseValue};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use crate::body::{self, BodyError};
use crate::exec::{OperationId, failed_response};
use crate::{Error, TransportError, TransportKind, from_json, retry_after};

/// Bodies that did not come through an executor (a bare generated client) are held to this.
const DEFAULT_LIMIT: u64 = 64 * 1024 * 1024;

/// Reads the body of a successful answer. Names are matched without case, a byte order mark is skipped.
///
/// Both type parameters are inferred where generated code calls it: write `decode(response).await`.
pub async fn decode<T: DeserializeOwned, E>(
    response: reqwest::Response,
) -> Result<ResponseValue<T>, Generated<E>> {
    let head = Head::of(&response);
    let body = head.body(response).await.map_err(tangle)?;
    match from_json(&body) {
        Ok(value) => Ok(ResponseValue::new(value, head.status, head.headers)),
        Err(error) => {
            let mut response = failed_response(head.unreadable(&body, &error));
            response.extensions_mut().insert(UnreadBody(body));
            Err(Generated::UnexpectedResponse(response))
        }
    }
}

/// The body that [`decode`] could not read, for a facade to save what it can of it.
pub fn unread_body<E>(error: &Generated<E>) -> Option<Bytes> {
    match error {
        Generated::UnexpectedResponse(response) => response
            .extensions()
            .get::<UnreadBody>()
            .map(|body| body.0.clone()),
        _ => None,
    }
}

#[derive(Clone)]
struct UnreadBody(Bytes);

/// Reads the body of an error answer. One that is not as described fails as the status says.
pub async fn decode_error<E: DeserializeOwned>(
    response: reqwest::Response,
) -> Result<ResponseValue<E>, Generated<E>> {
    let head = Head::of(&response);
    let body = head.body(response).await.map_err(tangle)?;
    match from_json(&body) {
        Ok(value) => Ok(ResponseValue::new(value, head.status, head.headers)),
        Err(_) => Err(tangle(Error::by_status(
            head.operation,
            head.status,
            &head.headers,
            None,
        ))),
    }
}

/// Sorts out what a generated method failed with: `Ok` is an error answer in the API's own form, for the facade to
/// classify; `Err` is all there is to say.
pub fn failure_of<E>(
    operation: &'static str,
    error: Generated<E>,
) -> Result<ResponseValue<E>, Error> {
    Err(match error {
        Generated::ErrorResponse(answer) => return Ok(answer),
        Generated::UnexpectedResponse(response) => match response.extensions().get::<Error>() {
            Some(error) => error.clone(),
            None => Error::by_status(operation, response.status(), response.headers(), None),
        },
        Generated::CommunicationError(error)
        | Generated::InvalidUpgrade(error)
        | Generated::ResponseBodyError(error) => TransportError::from(error).during(operation),
        Generated::InvalidResponsePayload(_, error) => Error::Unreadable {
            operation,
            status: StatusCode::OK.as_u16(),
            content_type: None,
            reason: json_reason(&error),
        },
        Generated::InvalidRequest(_) | Generated::Custom(_) => Error::InvalidRequest {
            operation,
            field: "request",
            problem: "cannot be written as HTTP".to_owned(),
        },
    })
}

fn tangle<E>(error: Error) -> Generated<E> {
    Generated::UnexpectedResponse(failed_response(error))
}

struct Head {
    operation: &'static str,
    status: StatusCode,
    headers: HeaderMap,
}

impl Head {
    fn of(response: &reqwest::Response) -> Self {
        Self {
            operation: response
                .extensions()
                .get::<OperationId>()
                .map_or("request", |id| id.0),
            status: response.status(),
            headers: response.headers().clone(),
        }
    }

    async fn body(&self, response: reqwest::Response) -> Result<Bytes, Error> {
        body::read(response, DEFAULT_LIMIT)
            .await
            .map_err(|error| match error {
                BodyError::TooLarge => Error::BodyTooLarge {
                    operation: self.operation,
                    limit: DEFAULT_LIMIT,
                },
                BodyError::Transport(error) => error.during(self.operation),
            })
    }

    fn unreadable(&self, body: &[u8], error: &serde_json::Error) -> Error {
        Error::unreadable(
            self.operation,
            self.status,
            &self.headers,
            body,
            json_reason(error),
        )
    }
}

impl TransportError {
    /// This failure as that of an operation.
    pub fn during(self, operation: &'static str) -> Error {
        Error::Transport {
            operation,
            kind: self.kind,
            detail: self.detail,
        }
    }
}

impl TransportKind {
    /// This failure as that of an operation, without further detail.
    pub fn during(self, operation: &'static str) -> Error {
        Error::Transport {
            operation,
            kind: self,
            detail: String::new(),
        }
    }
}

/// What is wrong with a JSON text and where, without any of it (serde's own messages quote values).
fn json_reason(error: &serde_json::Error) -> String {
    use serde_json::error::Category;

    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Eof => format!("the JSON text ends early, at line {line} column {column}"),
        Category::Syntax => format!("not JSON at line {line} column {column}"),
        Category::Data if line == 0 => "not UTF-8".to_owned(),
        Category::Data => format!("a value of the wrong kind at line {line} column {column}"),
        Category::Io => "cannot be read".to_owned(),
    }
}

impl Error {
    /// The error that an HTTP status stands for, where the body says nothing better.
    pub fn by_status(
        operation: &'static str,
        status: StatusCode,
        headers: &HeaderMap,
        code: Option<String>,
    ) -> Self {
        let number = status.as_u16();
        match number {
            300..=399 => Self::Redirected {
                operation,
                status: number,
                to: redirect_target(headers),
            },
            401 => Self::RefusedLogin {
                operation,
                status: number,
                code,
            },
            403 => Self::PermissionDenied {
                operation,
                status: number,
                code,
            },
            404 => Self::NotFound {
                operation,
                status: number,
                code,
            },
            429 => Self::Throttled {
                operation,
                status: number,
                retry_after: retry_after(headers),
            },
            408 | 500..=599 => Self::Server {
                operation,
                status: number,
                code,
                retry_after: retry_after(headers),
            },
            400..=499 => Self::Validation {
                operation,
                status: number,
                code,
                fields: Vec::new(),
            },
            _ => Self::Unreadable {
                operation,
                status: number,
                content_type: content_type(headers),
                reason: "a status that the API does not have".to_owned(),
            },
        }
    }

    /// A successful answer that cannot be read: [`Error::Html`] when it is a web page.
    pub fn unreadable(
        operation: &'static str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        reason: String,
    ) -> Self {
        let status = status.as_u16();
        if is_html(headers, body) {
            return Self::Html { operation, status };
        }
        let reason = if body.is_empty() {
            "the body is empty".to_owned()
        } else {
            reason
        };
        Self::Unreadable {
            operation,
            status,
            content_type: content_type(headers),
            reason,
        }
    }
}

/// The content type, cut to what is safe and useful to print.
fn content_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.chars().take(80).collect())
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
    // A web page under a JSON type is still one; JSON under an HTML type was read before anyone asks here.
    named || starts_with(b"<!doctype html") || starts_with(b"<html")
}

/// Where a redirect points, without query and fragment: these may hold what was sent.
fn redirect_target(headers: &HeaderMap) -> String {
    let unreadable = || "an unreadable address".to_owned();
    let Some(location) = headers
        .get(reqwest::header::LOCATION)
        .and_then(|value| value.to_str().ok())
    else {
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
