//! Makes errors from answers: the API's code first, the status second.

use api_client::{Answer, Error, Format, Reason};

use crate::generated::types::ApiError;

/// The error of an answer whose status is not a success.
pub(crate) fn classify(answer: &Answer) -> Error {
    let described: ApiError = Format::Json.read(&answer.body).unwrap_or_default();
    let code = described
        .errors
        .iter()
        .flatten()
        .find_map(|error| error.code.as_deref())
        .or(answer.phrase.as_deref())
        .unwrap_or_default();
    let reason = match code.to_ascii_uppercase().as_str() {
        // Documented with 400; a newer server may well say 401.
        "UNAUTHORIZED" => Reason::RefusedLogin,
        "FORBIDDEN" | "PERMISSION_DENIED" | "ACCESS_DENIED" => Reason::PermissionDenied,
        "VALIDATE_FAILED" => Reason::Validation { fields: Vec::new() },
        _ => return answer.error_by_status(code),
    };
    answer.error(reason).with_code(code)
}
