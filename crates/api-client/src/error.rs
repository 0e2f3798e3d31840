//! What can go wrong with an operation: one classification for every API.

use std::fmt;
use std::time::Duration;

use crate::secret::SecretError;
use crate::tls::TlsError;
use crate::transport::{TransportError, TransportKind};

/// Why an operation failed.
///
/// The text names the operation and says what to do. It never holds a secret, the content of a
/// record or the body of an answer: a server's error may echo any of them, so only its error *code*
/// and the names of fields are kept.
///
/// ```
/// use callmeter_api_client::{Error, ErrorKind, Reason};
///
/// /// What a program that polls does next.
/// fn advice(error: &Error) -> String {
///     match error.reason() {
///         Reason::RefusedLogin | Reason::SecondFactorRequired => "other credentials".into(),
///         Reason::PermissionDenied => format!("skip {:?}", error.operation()),
///         Reason::Validation { fields } => format!("correct the request: {fields:?}"),
///         Reason::Truncated { cap, limit } => format!("raise the cap of {limit} {cap}"),
///         _ if error.is_retryable() => format!("try again after {:?}", error.retry_after()),
///         _ => error.to_string(),
///     }
/// }
///
/// let error = Error::new("list_calls", Reason::NotFound).with_status(404);
/// assert!(error.to_string().starts_with("list_calls: not found (404): check the URL"));
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(advice(&error), error.to_string());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
// Boxed: every operation returns one, and most of them succeed.
pub struct Error(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    operation: Option<&'static str>,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<Duration>,
    reason: Reason,
}

/// Why an operation failed, with what only this reason has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The server does not accept these credentials. Never retried: servers lock logins out.
    RefusedLogin,
    /// The account has a second factor, which a program cannot answer.
    SecondFactorRequired,
    /// The login is good, but may not do this.
    PermissionDenied,
    /// The server rejects the request.
    Validation {
        /// The members it names, if any.
        fields: Vec<FieldError>,
    },
    /// There is no such resource or path.
    NotFound,
    /// The server asks for fewer requests.
    Throttled,
    /// The server failed.
    Server,
    /// The server sends elsewhere. Redirects are not followed: the request carries credentials.
    Redirected {
        /// Scheme, host, port and path of the target, or `an unreadable address`.
        to: String,
    },
    /// No complete answer came.
    Transport(TransportError),
    /// The answer is a web page instead of data: from a proxy, a login page, a wrong path.
    Html,
    /// The answer is not what the API describes.
    Unreadable {
        /// The answer's content type.
        content_type: Option<String>,
        /// What is wrong and where; never the content.
        problem: String,
    },
    /// The answer is longer than allowed.
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A cap ended a read of many pages: what came before is good, but not all there is.
    Truncated {
        /// Which cap.
        cap: Cap,
        /// Its value.
        limit: u64,
    },
    /// The API does not know what the caller asked for; nothing was sent.
    InvalidRequest {
        /// The parameter.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The credentials cannot be read; nothing was sent.
    Secret(SecretError),
    /// The TLS options contradict each other or name a file that cannot be used.
    Tls(TlsError),
    /// The client cannot be built.
    Setup(String),
}

/// The class of an [`Error`], for metrics and decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// [`Reason::RefusedLogin`], [`Reason::SecondFactorRequired`]
    RefusedLogin,
    /// [`Reason::PermissionDenied`]
    PermissionDenied,
    /// [`Reason::Validation`]
    Validation,
    /// [`Reason::NotFound`]
    NotFound,
    /// [`Reason::Throttled`]
    Throttled,
    /// [`Reason::Server`]
    Server,
    /// [`Reason::Redirected`]
    Redirected,
    /// [`Reason::Transport`] with one of the time-outs
    Timeout,
    /// [`Reason::Transport`]
    Transport,
    /// [`Reason::Html`]
    Html,
    /// [`Reason::Unreadable`]
    Unreadable,
    /// [`Reason::BodyTooLarge`]
    BodyTooLarge,
    /// [`Reason::Truncated`]
    Truncated,
    /// [`Reason::InvalidRequest`], [`Reason::Secret`], [`Reason::Tls`], [`Reason::Setup`]:
    /// nothing was sent
    Local,
}

impl ErrorKind {
    /// Every class, in the order of the declaration.
    pub const ALL: [Self; 14] = [
        Self::RefusedLogin,
        Self::PermissionDenied,
        Self::Validation,
        Self::NotFound,
        Self::Throttled,
        Self::Server,
        Self::Redirected,
        Self::Timeout,
        Self::Transport,
        Self::Html,
        Self::Unreadable,
        Self::BodyTooLarge,
        Self::Truncated,
        Self::Local,
    ];

    /// The class as a label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefusedLogin => "refused_login",
            Self::PermissionDenied => "permission_denied",
            Self::Validation => "validation",
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Redirected => "redirected",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::Html => "html",
            Self::Unreadable => "unreadable",
            Self::BodyTooLarge => "body_too_large",
            Self::Truncated => "truncated",
            Self::Local => "local",
        }
    }
}

impl Reason {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::RefusedLogin | Self::SecondFactorRequired => ErrorKind::RefusedLogin,
            Self::PermissionDenied => ErrorKind::PermissionDenied,
            Self::Validation { .. } => ErrorKind::Validation,
            Self::NotFound => ErrorKind::NotFound,
            Self::Throttled => ErrorKind::Throttled,
            Self::Server => ErrorKind::Server,
            Self::Redirected { .. } => ErrorKind::Redirected,
            Self::Transport(error) if error.kind.is_timeout() => ErrorKind::Timeout,
            Self::Transport(_) => ErrorKind::Transport,
            Self::Html => ErrorKind::Html,
            Self::Unreadable { .. } => ErrorKind::Unreadable,
            Self::BodyTooLarge { .. } => ErrorKind::BodyTooLarge,
            Self::Truncated { .. } => ErrorKind::Truncated,
            Self::InvalidRequest { .. } | Self::Secret(_) | Self::Tls(_) | Self::Setup(_) => {
                ErrorKind::Local
            }
        }
    }
}

impl Error {
    /// A failure of an operation.
    pub fn new(operation: &'static str, reason: Reason) -> Self {
        Self(Box::new(Parts {
            operation: Some(operation),
            ..Parts::from(reason)
        }))
    }

    /// A request that the API does not know; nothing was sent.
    pub fn invalid_request(
        operation: &'static str,
        field: &'static str,
        problem: impl Into<String>,
    ) -> Self {
        let problem = problem.into();
        Self::new(operation, Reason::InvalidRequest { field, problem })
    }

    /// A client that cannot be built.
    pub fn setup(problem: impl Into<String>) -> Self {
        Reason::Setup(problem.into()).into()
    }

    /// Adds the HTTP status of the answer.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the server's error code, if it looks like one: at most 64 letters, digits, `_`, `-`,
    /// `.`. Anything else may be an echo of anything, and is left out.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        self.0.code = printable_code(code);
        self
    }

    /// Adds how long the server asked to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// The operation's id in the API's description; `None` when the client could not be built.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The HTTP status of the answer, if one came.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's error code.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// How long the server asked to wait, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Why the operation failed.
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }

    /// The error's class.
    pub fn kind(&self) -> ErrorKind {
        self.0.reason.kind()
    }

    /// Whether the same request may succeed a little later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        match self.reason() {
            Reason::Throttled | Reason::Server => true,
            Reason::Transport(error) => {
                !matches!(error.kind, TransportKind::Tls | TransportKind::Proxy)
            }
            _ => false,
        }
    }

    /// Whether the token may be what the server does not accept.
    pub(crate) fn may_be_token(&self) -> bool {
        matches!(
            self.reason(),
            Reason::RefusedLogin | Reason::PermissionDenied
        )
    }
}

impl From<Reason> for Parts {
    fn from(reason: Reason) -> Self {
        Self {
            operation: None,
            status: None,
            code: None,
            retry_after: None,
            reason,
        }
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self(Box::new(reason.into()))
    }
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        Reason::Secret(error).into()
    }
}

impl From<TlsError> for Error {
    fn from(error: TlsError) -> Self {
        Reason::Tls(error).into()
    }
}

/// The text includes the cause, so `source` is `None`.
impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts {
            operation, reason, ..
        } = &*self.0;
        if let Some(operation) = operation {
            write!(f, "{operation}: ")?;
        }
        let answer = self.answer_text();
        match reason {
            Reason::RefusedLogin => write!(
                f,
                "login refused{answer}: check user name, password, and customer or domain"
            ),
            Reason::SecondFactorRequired => f.write_str(
                "this account asks for a second factor: use an account without two-factor \
                 authentication",
            ),
            Reason::PermissionDenied => write!(
                f,
                "permission denied{answer}: give the account the right to this operation"
            ),
            Reason::Validation { fields } => {
                write!(f, "the server refused the request{answer}")?;
                let mut separator = ": ";
                for field in fields {
                    write!(f, "{separator}{field}")?;
                    separator = ", ";
                }
                Ok(())
            }
            Reason::NotFound => write!(
                f,
                "not found{answer}: check the URL (its path ends in /api) and the id"
            ),
            Reason::Throttled => write!(f, "throttled{answer}{}", self.retry_text()),
            Reason::Server => write!(f, "server error{answer}{}", self.retry_text()),
            Reason::Redirected { to } => write!(
                f,
                "redirected{answer} to {to}: set that address if it is the right one; redirects \
                 are not followed because the request carries credentials"
            ),
            Reason::Transport(error) => error.fmt(f),
            Reason::Html => write!(
                f,
                "got an HTML page{answer} instead of data: check that the URL's path ends in /api \
                 and that no proxy or portal answers instead"
            ),
            Reason::Unreadable {
                content_type,
                problem,
            } => {
                f.write_str("unreadable answer")?;
                if let Some(status) = self.status() {
                    let content_type = content_type.as_deref().unwrap_or("no content type");
                    write!(f, " ({status}, {content_type})")?;
                }
                write!(f, ": {problem}")
            }
            Reason::BodyTooLarge { limit } => write!(
                f,
                "the answer is longer than {limit} bytes: ask for less (a smaller page) or raise \
                 the body limit"
            ),
            Reason::Truncated { cap, limit } => write!(
                f,
                "stopped at the cap of {limit} {cap}: more remains on the server"
            ),
            Reason::InvalidRequest { field, problem } => write!(f, "{field}: {problem}"),
            Reason::Secret(error) => error.fmt(f),
            Reason::Tls(error) => error.fmt(f),
            Reason::Setup(problem) => f.write_str(problem),
        }
    }
}

impl Error {
    /// The answer's status and code, such as ` (400 VALIDATE_FAILED)`.
    fn answer_text(&self) -> String {
        match (self.status(), self.code()) {
            (Some(status), Some(code)) => format!(" ({status} {code})"),
            (Some(status), None) => format!(" ({status})"),
            (None, _) => String::new(),
        }
    }

    fn retry_text(&self) -> String {
        self.retry_after()
            .map(|after| match after.as_secs() {
                // A day.
                seconds @ ..=86_400 => format!(": retry after {seconds} s"),
                _ => ": retry after more than a day".to_owned(),
            })
            .unwrap_or_default()
    }
}

/// A member of the request that the server rejects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The member's name.
    pub field: String,
    /// The server's code for what is wrong with it.
    pub code: String,
}

impl FieldError {
    /// A field error from the server's texts; `None` when the field's name is not a name.
    pub fn new(field: &str, code: &str) -> Option<Self> {
        Some(Self {
            field: printable_code(field)?,
            code: printable_code(code).unwrap_or_default(),
        })
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field)?;
        if self.code.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.code)
    }
}

/// The caps on a read of many pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Cap {
    /// Pages asked for.
    #[error("pages")]
    Pages,
    /// Rows received.
    #[error("rows")]
    Rows,
    /// Bytes received.
    #[error("bytes")]
    Bytes,
    /// Time spent, in seconds.
    #[error("seconds")]
    Time,
}

impl Cap {
    /// The cap as a label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::Time => "time",
        }
    }
}

/// A server's text, if it is a name and so safe to print.
fn printable_code(code: &str) -> Option<String> {
    let code = code.trim();
    let is_name = !code.is_empty()
        && code.len() <= 64
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    is_name.then(|| code.to_owned())
}
