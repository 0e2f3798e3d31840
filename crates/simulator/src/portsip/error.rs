//! The PBX's errors: a status and a list of codes.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    detail: Option<String>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            detail: None,
        }
    }

    /// Something in the request is not as documented.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "VALIDATE_FAILED", message)
    }

    /// A refused login answers 400, as documented.
    pub(super) fn login() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "UNAUTHORIZED",
            "Login failed, authentication error",
        )
    }

    /// No token, or one that is not valid any more.
    pub(super) fn token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "The access token is missing, invalid or has expired",
        )
    }

    pub(super) fn only_get() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "FORBIDDEN",
            "This user may only read",
        )
    }

    pub(super) fn no_such(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "UNKNOWN",
            format!("There is no such {what}"),
        )
    }

    pub(super) fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "UNKNOWN",
            "The method is not allowed here",
        )
    }

    /// An error that repeats the request, as a careless server writes it.
    pub(crate) fn with_request(repeated: String) -> Self {
        Self {
            detail: Some(repeated),
            ..Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "UNKNOWN",
                "Internal error while handling the request",
            )
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(detail), Some(members)) = (self.detail, error.as_object_mut()) {
            members.insert("detail".to_owned(), detail.into());
        }
        let body = json!({ "errors": [error] }).to_string();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
