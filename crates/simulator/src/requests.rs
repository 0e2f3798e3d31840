//! The log of requests: how often each was made, and how it was answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The server that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    HostedSuite,
    PortSip,
}

/// Distinct requests that are counted separately; further paths are counted together.
const MOST_PATHS: usize = 1_000;

/// The requests so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// By server, method, path and status, in that order.
    pub counts: Vec<RequestCount>,
}

/// How often a request was answered in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCount {
    /// `hostedsuite` or `portsip`.
    pub server: String,
    /// The method.
    pub method: String,
    /// The path, in lower case; `…` for those beyond the first thousand.
    pub path: String,
    /// The status, or 0 when the connection was closed instead.
    pub status: u16,
    /// How often.
    pub count: u64,
}

impl Requests {
    /// How many requests went to paths that contain `path`.
    pub fn to(&self, path: &str) -> u64 {
        (self.counts.iter())
            .filter(|count| count.path.contains(path))
            .map(|count| count.count)
            .sum()
    }
}

type Key = (Side, String, String, u16);

#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    counts: Mutex<BTreeMap<Key, u64>>,
}

impl RequestLog {
    pub(crate) fn count(&self, side: Side, method: &str, path: &str, status: u16) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (side, method.to_owned(), path.to_owned(), status);
        if counts.len() >= MOST_PATHS && !counts.contains_key(&key) {
            "…".clone_into(&mut key.2);
        }
        *counts.entry(key).or_default() += 1;
    }

    pub(crate) fn read(&self) -> Requests {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts
            .iter()
            .map(|((side, method, path, status), count)| RequestCount {
                server: match side {
                    Side::HostedSuite => "hostedsuite".to_owned(),
                    Side::PortSip => "portsip".to_owned(),
                },
                method: method.clone(),
                path: path.clone(),
                status: *status,
                count: *count,
            });
        Requests {
            counts: counts.collect(),
        }
    }
}
