//! What can go wrong with an operation: one classification for every API.

use std::time::Duration;

use crate::{SecretError, TlsError};

/// Why an operation failed.
///
/// Texts name the operation and what to do. None holds a secret, a record's content or an answer's body: what a server
/// writes into its errors may echo any of them, so only its error *code* and the names of fields get through.
///
/// ```
/// use api_client::Error;
///
/// /// What a program that polls does next.
/// fn advice(error: &Error) -> String {
///     match error {
///         Error::RefusedLogin { .. } | Error::SecondFactorRequired { .. } => "stop, and ask for other credentials".into(),
///         Error::PermissionDenied { operation, .. } => format!("leave {operation} out until someone grants the right"),
///         Error::Validation { fields, .. } => format!("mend the request: {fields:?}"),
///         Error::NotFound { .. } => "check the URL, or take it that the thing is gone".into(),
///         Error::Throttled { retry_after, .. } => format!("come back after {retry_after:?}"),
///         Error::Server { .. } | Error::Transport { .. } => "come back later: a read may be repeated".into(),
///         Error::Redirected { to, .. } => format!("is {to} the address?"),
///         Error::Html { .. } => "look what stands between here and the API".into(),
///         Error::Unreadable { reason, .. } => format!("tell the client's authors: {reason}"),
///         Error::BodyTooLarge { .. } => "ask for a smaller page".into(),
///         Error::Truncated { cap, limit, .. } => format!("raise the cap of {limit} {cap}, or ask for less"),
///         Error::InvalidRequest { field, problem, .. } => format!("{field} {problem}"),
///         Error::Secret(missing) => missing.to_string(),
///         Error::Tls(wrong) => wrong.to_string(),
///         Error::Setup(wrong) => wrong.clone(),
///         other => other.to_string(),
///     }
/// }
///
/// let error = Error::NotFound { operation: "list_calls", status: 404, code: None };
/// assert_eq!(error.to_string(), "list_calls: not found (404): check the URL (its path ends in /api) and the id");
/// assert!(!error.is_retryable());
/// assert!(advice(&error).starts_with("check the URL"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server does not accept these credentials. Never retried: servers lock logins out.
    #[error("{operation}: login refused ({status}{}): check user name, password, and customer or domain", code_text(.code.as_deref()))]
    RefusedLogin {
        /// The operation's id.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// The server's error code.
        code: Option<String>,
    },
    /// The account has a second factor, which a program cannot answer.
    #[error(
        "{operation}: this account asks for a second factor: use an account without two-factor authentication"
    )]
    SecondFactorRequired {
        /// The operation's id.
        operation: &'static str,
    },
    /// The login is good, but may not do this.
    #[error("{operation}: permission denied ({status}{}): give the account the right to this operation", code_text(.code.as_deref()))]
    PermissionDenied {
        /// The operation's id.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// The server's error code.
        code: Option<String>,
    },
    /// The server finds the request wrong.
    #[error("{operation}: the server refused the request ({status}{}){}", code_text(.code.as_deref()), fields_text(.fields))]
    Validation {
        /// The operation's id.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// The server's error code.
        code: Option<String>,
        /// The members it names, if any.
        fields: Vec<FieldError>,
    },
    /// There is no such resource or path.
    #[error("{operation}: not found ({status}{}): check the URL (its path ends in /api) and the id", code_text(.code.as_deref()))]
    NotFound {
        /// The operation's id.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// The server's error code.
        code: Option<String>,
    },
    /// The server asks for fewer requests.
    #[error("{operation}: throttled ({status}){}", retry_text(.retry_after.as_ref()))]
    Throttled {
        /// The operation's id.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// How long to wait, if it said so.
        retry_after: Option<Duration>,
    },
    /// The server failed.
    #[error("{operation}: server error ({status}{}){}", code_text(.code.as_deref()), retry_text(.retry_after.as_ref()))]
    Server {
        /// The operation's id.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// The server's error code.
        code: Option<String>,
        /// How long to wait, if it said so.
        retry_after: Option<Duration>,
    },
    /// The server sends elsewhere. Redirects are not followed: the request carries credentials.
    #[error(
        "{operation}: redirected ({status}) to {to}: set that address if it is the right one; redirects are not followed, as the request carries credentials"
    )]
    Redirected {
        /// The operation's id.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// Scheme, host, port and path of the target, or `an unreadable address`.
        to: String,
    },
    /// No complete answer came.
    #[error("{operation}: {kind}{}", detail_text(.detail))]
    Transport {
        /// The operation's id.
        operation: &'static str,
        /// What went wrong.
        kind: TransportKind,
        /// The chain of causes, without the URL.
        detail: String,
    },
    /// An HTML page came where data was due: a proxy, a login page, a wrong path.
    #[error(
        "{operation}: got an HTML page ({status}) instead of data: check that the URL's path ends in /api, and what stands in between (proxy, portal)"
    )]
    Html {
        /// The operation's id.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// An answer came, and it is not what the API describes.
    #[error("{operation}: unreadable answer ({status}, {}): {reason}", .content_type.as_deref().unwrap_or("no content type"))]
    Unreadable {
        /// The operation's id.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// The answer's content type.
        content_type: Option<String>,
        /// What is wrong and where; never the content.
        reason: String,
    },
    /// The answer is longer than allowed.
    #[error(
        "{operation}: the answer is longer than {limit} bytes: ask for less (a smaller page) or raise the body limit"
    )]
    BodyTooLarge {
        /// The operation's id.
        operation: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// A cap ended a read of many pages: what came before is good, but not all there is.
    #[error("{operation}: stopped at the cap of {limit} {cap}: more remains on the server")]
    Truncated {
        /// The operation's id.
        operation: &'static str,
        /// Which cap.
        cap: Cap,
        /// Its value.
        limit: u64,
    },
    /// The caller asked for something the API does not know; nothing was sent.
    #[error("{operation}: {field}: {problem}")]
    InvalidRequest {
        /// The operation's id.
        operation: &'static str,
        /// The parameter.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The credentials cannot be read; nothing was sent.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The TLS options do not hold together.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client cannot be built.
    #[error("{0}")]
    Setup(String),
}

/// The class of an [`Error`], for metrics and decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// [`Error::RefusedLogin`], [`Error::SecondFactorRequired`]
    RefusedLogin,
    /// [`Error::PermissionDenied`]
    PermissionDenied,
    /// [`Error::Validation`]
    Validation,
    /// [`Error::NotFound`]
    NotFound,
    /// [`Error::Throttled`]
    Throttled,
    /// [`Error::Server`]
    Server,
    /// [`Error::Redirected`]
    Redirected,
    /// [`Error::Transport`] with one of the time-outs
    Timeout,
    /// [`Error::Transport`]
    Transport,
    /// [`Error::Html`]
    Html,
    /// [`Error::Unreadable`]
    Unreadable,
    /// [`Error::BodyTooLarge`]
    BodyTooLarge,
    /// [`Error::Truncated`]
    Truncated,
    /// [`Error::InvalidRequest`], [`Error::Secret`], [`Error::Tls`], [`Error::Setup`]: nothing was sent
    Local,
}

impl Kind {
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

impl Error {
    /// The error's class.
    pub fn kind(&self) -> Kind {
        match self {
            Self::RefusedLogin { .. } | Self::SecondFactorRequired { .. } => Kind::RefusedLogin,
            Self::PermissionDenied { .. } => Kind::PermissionDenied,
            Self::Validation { .. } => Kind::Validation,
            Self::NotFound { .. } => Kind::NotFound,
            Self::Throttled { .. } => Kind::Throttled,
            Self::Server { .. } => Kind::Server,
            Self::Redirected { .. } => Kind::Redirected,
            Self::Transport { kind, .. } if kind.is_timeout() => Kind::Timeout,
            Self::Transport { .. } => Kind::Transport,
            Self::Html { .. } => Kind::Html,
            Self::Unreadable { .. } => Kind::Unreadable,
            Self::BodyTooLarge { .. } => Kind::BodyTooLarge,
            Self::Truncated { .. } => Kind::Truncated,
            Self::InvalidRequest { .. } | Self::Secret(_) | Self::Tls(_) | Self::Setup(_) => {
                Kind::Local
            }
        }
    }

    /// Whether the same request may succeed a little later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Server { .. } => true,
            Self::Transport { kind, .. } => !matches!(kind, TransportKind::Tls),
            _ => false,
        }
    }

    /// How long the server asked to wait, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The HTTP status of the answer, if one came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::RefusedLogin { status, .. }
            | Self::PermissionDenied { status, .. }
            | Self::Validation { status, .. }
            | Self::NotFound { status, .. }
            | Self::Throttled { status, .. }
            | Self::Server { status, .. }
            | Self::Redirected { status, .. }
            | Self::Html { status, .. }
            | Self::Unreadable { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// A member of the request that the server finds wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The member's name.
    pub field: String,
    /// The server's code for what is wrong with it.
    pub code: String,
}

/// What kept a complete answer from coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TransportKind {
    /// No connection (name, address, port, refusal).
    #[error("cannot connect")]
    Connect,
    /// The connection was not up in time.
    #[error("connect time-out")]
    ConnectTimeout,
    /// The TLS handshake failed, most often for the certificate.
    #[error("TLS failed: check the CA file and the server's name")]
    Tls,
    /// Nothing came for too long.
    #[error("read time-out")]
    ReadTimeout,
    /// The whole exchange took too long.
    #[error("total time-out")]
    TotalTimeout,
    /// The answer's body ended early.
    #[error("the answer was cut off")]
    BodyCut,
    /// Anything else between here and there.
    #[error("request failed")]
    Other,
}

impl TransportKind {
    /// Whether it was one of the time-outs.
    pub fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::ConnectTimeout | Self::ReadTimeout | Self::TotalTimeout
        )
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

/// A server's error code, made safe to print: codes are names; what is none (it might be an echo of anything) is left out.
pub(crate) fn safe_code(code: &str) -> Option<String> {
    let code = code.trim();
    let is_name = !code.is_empty()
        && code.len() <= 64
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    is_name.then(|| code.to_owned())
}

impl FieldError {
    /// A field error from the server's texts; `None` when the field's name is not a name.
    pub fn new(field: &str, code: &str) -> Option<Self> {
        Some(Self {
            field: safe_code(field)?,
            code: safe_code(code).unwrap_or_default(),
        })
    }
}

impl Error {
    /// A server's error code, if it looks like one: at most 64 letters, digits, `_`, `-`, `.`.
    pub fn printable_code(code: &str) -> Option<String> {
        safe_code(code)
    }
}

fn code_text(code: Option<&str>) -> String {
    code.map(|code| format!(" {code}")).unwrap_or_default()
}

fn fields_text(fields: &[FieldError]) -> String {
    let mut text = String::new();
    for (index, FieldError { field, code }) in fields.iter().enumerate() {
        text.push_str(if index == 0 { ": " } else { ", " });
        text.push_str(field);
        if !code.is_empty() {
            text.push_str(" (");
            text.push_str(code);
            text.push(')');
        }
    }
    text
}

fn retry_text(after: Option<&Duration>) -> String {
    after
        .map(|after| format!(": retry after {} s", after.as_secs()))
        .unwrap_or_default()
}

fn detail_text(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(": {detail}")
    }
}
