//! ServiceStack's errors: a status, a reason phrase and a ResponseStatus.

use http::StatusCode;
use serde::Serialize;

/// A refused request.
#[derive(Clone, Debug)]
pub(super) struct ServiceError {
    pub(super) status: StatusCode,
    pub(super) body: ErrorResponse,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ErrorResponse {
    pub(super) response_status: ResponseStatus,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResponseStatus {
    pub(super) error_code: &'static str,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stack_trace: Option<String>,
    pub(super) errors: Vec<FieldError>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FieldError {
    pub(super) error_code: &'static str,
    pub(super) field_name: &'static str,
    pub(super) message: String,
}

impl ServiceError {
    fn new(status: StatusCode, error_code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            body: ErrorResponse {
                response_status: ResponseStatus {
                    error_code,
                    message: message.into(),
                    stack_trace: None,
                    errors: Vec::new(),
                },
            },
        }
    }

    /// No status is mapped to the type of this exception, hence the 500.
    pub(super) fn security() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "SecurityException",
            "Invalid customer name, user name or password.",
        )
    }

    /// An exception of the service, with the status of a fault.
    pub(super) fn failed(status: u16) -> Self {
        Self::new(
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            "SqlException",
            "Timeout expired.",
        )
    }

    pub(super) fn serialization() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "SerializationException",
            "Type definitions should start with a '{', expecting serialized type, got a string starting with something else.",
        )
    }

    pub(super) fn binding(request: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "RequestBindingException",
            format!("Unable to bind to request '{request}'."),
        )
    }

    /// Members that are empty but must not be.
    pub(super) fn validation(missing: &[&'static str]) -> Self {
        let mut error = Self::new(
            StatusCode::BAD_REQUEST,
            "ValidationException",
            String::new(),
        );
        let status = &mut error.body.response_status;
        status.errors = (missing.iter())
            .map(|field_name| FieldError {
                error_code: "NotEmpty",
                field_name,
                message: format!("'{field_name}' must not be empty."),
            })
            .collect();
        status.message = (status.errors.iter())
            .map(|error| error.message.as_str())
            .collect::<Vec<_>>()
            .join("\n");
        error
    }

    /// The error as a server in debug mode writes it: with the whole request.
    pub(super) fn with_request(request: &str, repeated: &str) -> Self {
        let mut error = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "NullReferenceException",
            "Object reference not set to an instance of an object.",
        );
        error.body.response_status.stack_trace = Some(format!(
            "[{request}: 8/6/2026 8:45:00 AM]:\n[REQUEST: {repeated}]\n\
             System.NullReferenceException: Object reference not set to an instance of an object.\n   \
             at HostedSuite.Api.Services.ReceptionService.Post({request} request)"
        ));
        error
    }

    pub(super) fn code(&self) -> &'static str {
        self.body.response_status.error_code
    }
}
