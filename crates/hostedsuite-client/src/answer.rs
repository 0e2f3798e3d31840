//! Makes errors from answers: the server's error codes first, its status second.

use api_client::{Answer, Error, FieldError, Format, Reason};
use bytes::Bytes;

use crate::generated::types::{ApiError, ResponseStatus};

/// What a server's error code means, whatever the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    RefusedLogin,
    PermissionDenied,
    Validation,
    Throttled,
    /// Nothing: the status decides.
    ByStatus,
}

/// ServiceStack's code is the name of the exception, or one that the service chose. A refused login
/// of this API is most likely a 500 with `SecurityException`.
fn class_of(code: &str) -> Class {
    // Some servers put the namespace before it.
    let name = (code.rsplit('.').next().unwrap_or_default())
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

/// The error of an answer whose status is not a success.
pub(crate) fn classify(answer: &Answer) -> Error {
    let format = Format::of_answer(&answer.headers, Format::Json);
    let described: ApiError = format.read(&answer.body).unwrap_or_default();
    error_of(answer, described.response_status.unwrap_or_default())
}

/// The error in an answer whose status is a success: `text` is its `ResponseStatus` member.
pub(crate) fn hidden_error(answer: &Answer, format: Format, text: &str) -> Option<Error> {
    let status: ResponseStatus = format.read(&Bytes::copy_from_slice(text.as_bytes())).ok()?;
    let code = status.error_code.as_deref().unwrap_or_default();
    (!code.is_empty()).then(|| error_of(answer, status))
}

fn error_of(answer: &Answer, described: ResponseStatus) -> Error {
    // A body in another format has no code that can be read, but ServiceStack writes it into the
    // status line, too.
    let code = described.error_code.filter(|code| !code.is_empty());
    let code = code.or_else(|| answer.phrase.clone()).unwrap_or_default();
    let reason = match class_of(&code) {
        Class::RefusedLogin => Reason::RefusedLogin,
        Class::PermissionDenied => Reason::PermissionDenied,
        Class::Validation => Reason::Validation {
            fields: described
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
        Class::Throttled => return answer.throttled(),
        // An error code in a successful answer: the server failed, and only the body says so.
        Class::ByStatus if answer.status.is_success() => Reason::Server,
        Class::ByStatus => return answer.error_by_status(&code),
    };
    answer.error(reason).with_code(&code)
}
