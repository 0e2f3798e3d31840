//! What an answer stands for: the server's error codes first, its status second.

use api_client::{Answer, Error, FieldError, FoldNames, Verdict, from_json, retry_after};
use bytes::Bytes;
use http::HeaderMap;
use reqwest::StatusCode;

use crate::Format;
use crate::generated::types::{ApiError, ResponseStatus};

/// What a server's error code says, whatever the status beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    RefusedLogin,
    PermissionDenied,
    Validation,
    Throttled,
    /// Nothing: the status decides.
    ByStatus,
}

/// ServiceStack's code is the name of the exception, or what the service chose. A refused login of this API is most
/// likely a 500 with `SecurityException`.
fn class_of(code: &str) -> Class {
    let name = code
        .trim_end_matches("Exception")
        .trim_end_matches("Error")
        .to_ascii_lowercase();
    match name.as_str() {
        "security"
        | "authentication"
        | "auth"
        | "unauthorized"
        | "invalidcredentials"
        | "notauthenticated"
        | "invalidusernameorpassword" => Class::RefusedLogin,
        "unauthorizedaccess" | "forbidden" | "permissiondenied" | "accessdenied" => {
            Class::PermissionDenied
        }
        "validation" | "argument" | "argumentnull" | "argumentoutofrange" | "serialization"
        | "format" | "requestbinding" => Class::Validation,
        "toomanyrequests" | "throttled" => Class::Throttled,
        other if other.starts_with("unauthorized") => Class::RefusedLogin,
        _ => Class::ByStatus,
    }
}

/// Whether a failed read is worth another try. A refused login never is: servers lock logins out.
pub(crate) fn judge(answer: &Answer) -> Verdict {
    let verdict = Verdict::by_status(answer.status, &answer.headers);
    if verdict == Verdict::Final {
        return Verdict::Final;
    }
    let code = response_status(&answer.headers, &answer.body)
        .and_then(|status| status.error_code)
        .unwrap_or_default();
    match class_of(&code) {
        Class::ByStatus | Class::Throttled => verdict,
        Class::RefusedLogin | Class::PermissionDenied | Class::Validation => Verdict::Final,
    }
}

/// The format in which an answer came: what its content type says, or what was asked for.
pub(crate) fn format_of(headers: &HeaderMap, asked: Format) -> Format {
    let named = headers
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if named.contains("jsv") {
        Format::Jsv
    } else if named.contains("json") {
        Format::Json
    } else {
        asked
    }
}

/// The error that an answer is, by its status.
pub(crate) fn error_of(operation: &'static str, answer: &Answer) -> Option<Error> {
    if answer.status.is_success() {
        return None;
    }
    let status = response_status(&answer.headers, &answer.body).unwrap_or_default();
    Some(error_from(
        operation,
        answer.status,
        &answer.headers,
        status,
    ))
}

/// The error that a successful answer holds all the same, in a `ResponseStatus` member whose text this is.
pub(crate) fn hidden_error(
    operation: &'static str,
    answer: &Answer,
    format: Format,
    text: &str,
) -> Option<Error> {
    let status: ResponseStatus = read(format, &Bytes::copy_from_slice(text.as_bytes()))?;
    let code = status.error_code.as_deref().unwrap_or_default();
    (!code.is_empty()).then(|| error_from(operation, answer.status, &answer.headers, status))
}

fn error_from(
    operation: &'static str,
    status: StatusCode,
    headers: &HeaderMap,
    body: ResponseStatus,
) -> Error {
    let raw_code = body.error_code.unwrap_or_default();
    let code = Error::printable_code(&raw_code);
    let number = status.as_u16();
    match class_of(&raw_code) {
        Class::RefusedLogin => Error::RefusedLogin {
            operation,
            status: number,
            code,
        },
        Class::PermissionDenied => Error::PermissionDenied {
            operation,
            status: number,
            code,
        },
        Class::Validation => Error::Validation {
            operation,
            status: number,
            code,
            fields: body
                .errors
                .unwrap_or_default()
                .iter()
                .filter_map(|error| {
                    FieldError::new(
                        error.field_name.as_deref()?,
                        error.error_code.as_deref().unwrap_or_default(),
                    )
                })
                .collect(),
        },
        Class::Throttled => Error::Throttled {
            operation,
            status: number,
            retry_after: retry_after(headers),
        },
        // An error code in a successful answer: the server failed, and says so in the body only.
        Class::ByStatus if status.is_success() => Error::Server {
            operation,
            status: number,
            code,
            retry_after: None,
        },
        Class::ByStatus => Error::by_status(operation, status, headers, code),
    }
}

/// The `ResponseStatus` of an error body, if it has one in a form that can be read.
fn response_status(headers: &HeaderMap, body: &Bytes) -> Option<ResponseStatus> {
    let format = format_of(headers, Format::Json);
    read::<ApiError>(format, body)?.response_status
}

/// Reads a value in a format, names without case.
pub(crate) fn read<T: serde::de::DeserializeOwned>(format: Format, body: &Bytes) -> Option<T> {
    match format {
        Format::Json => from_json(body).ok(),
        Format::Jsv => {
            let body = api_client::strip_bom(body);
            let text = std::str::from_utf8(&body).ok()?;
            let mut reader = jsv::Deserializer::from_str(text);
            let value = T::deserialize(FoldNames(&mut reader)).ok()?;
            reader.end().ok()?;
            Some(value)
        }
    }
}
