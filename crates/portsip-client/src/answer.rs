//! What an error answer stands for: the API's code first, the status second.

use api_client::{Error, failure_of};
use progenitor_client::{Error as Generated, ResponseValue};

use crate::generated::types::ApiError;

/// The error that a generated method's failure stands for.
pub(crate) fn error_of(operation: &'static str, error: Generated<ApiError>) -> Error {
    match failure_of(operation, error) {
        Ok(answer) => classify(operation, &answer),
        Err(error) => error,
    }
}

fn classify(operation: &'static str, answer: &ResponseValue<ApiError>) -> Error {
    let status = answer.status();
    let raw_code = answer
        .errors
        .iter()
        .flatten()
        .find_map(|error| error.code.as_deref())
        .unwrap_or_default();
    let code = Error::printable_code(raw_code);
    match raw_code.to_ascii_uppercase().as_str() {
        // Documented with 400; a newer server may well say 401.
        "UNAUTHORIZED" => Error::RefusedLogin {
            operation,
            status: status.as_u16(),
            code,
        },
        "FORBIDDEN" | "PERMISSION_DENIED" | "ACCESS_DENIED" => Error::PermissionDenied {
            operation,
            status: status.as_u16(),
            code,
        },
        "VALIDATE_FAILED" => Error::Validation {
            operation,
            status: status.as_u16(),
            code,
            fields: Vec::new(),
        },
        _ => Error::by_status(operation, status, answer.headers(), code),
    }
}

/// Whether an error may mean that the token is no longer good.
pub(crate) fn may_be_token(error: &Error) -> bool {
    matches!(
        error,
        Error::RefusedLogin { .. } | Error::PermissionDenied { .. }
    )
}
