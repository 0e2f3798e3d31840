//! The operation that a request's path names.

use http::{HeaderMap, Method};

/// A request with its whole body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Authenticate,
    Balances,
    Calls,
    Clients,
}

/// Path below `/api`, name of the request type, and operation.
const OPERATIONS: [(&str, &str, Operation); 4] = [
    (
        "authenticate",
        "AuthenticateRequest",
        Operation::Authenticate,
    ),
    (
        "call-allowance/balance",
        "ListCallAllowanceBalanceRequest",
        Operation::Balances,
    ),
    ("calls", "ListCallRecordsRequest", Operation::Calls),
    ("clients", "ListClientsRequest", Operation::Clients),
];

pub(super) struct Route {
    pub(super) operation: Operation,
    pub(super) name: &'static str,
    /// The format that the path names.
    pub(super) format: Option<&'static str>,
}

/// Ignores case and a slash at the end. Each operation also has a predefined route, which contains
/// the name of its request type.
pub(super) fn route(path: &str) -> Option<Route> {
    let path = path.to_ascii_lowercase();
    let path = path.strip_prefix("/api/")?.trim_end_matches('/');
    for format in ["json", "jsv", "csv"] {
        let predefined = (path.strip_prefix(format)).and_then(|rest| rest.strip_prefix("/reply/"));
        if let Some(wanted) = predefined {
            let found = OPERATIONS
                .iter()
                .find(|(_, name, _)| name.eq_ignore_ascii_case(wanted));
            return found.map(|(_, name, operation)| Route {
                operation: *operation,
                name,
                format: Some(format),
            });
        }
    }
    let suffixes = ["json", "jsv", "csv", "xml"];
    let (path, format) = suffixes
        .iter()
        .find_map(|suffix| {
            let path = path.strip_suffix(suffix)?.strip_suffix('.')?;
            Some((path, Some(*suffix)))
        })
        .unwrap_or((path, None));
    let found = OPERATIONS.iter().find(|(route, _, _)| *route == path);
    found.map(|(_, name, operation)| Route {
        operation: *operation,
        name,
        format,
    })
}
