//! The metrics hook: one event for each operation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Error, Kind};

/// What became of one operation, retries included.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RequestEvent {
    /// The API: `hostedsuite` or `portsip`.
    pub api: &'static str,
    /// The operation's id in the API's description.
    pub operation: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// From the first send to the end of the last body, waits included.
    pub duration: Duration,
    /// The HTTP status of the last answer, if one came.
    pub status: Option<u16>,
    /// Body bytes received, after decompression.
    pub bytes: u64,
    /// Sends after the first.
    pub retries: u32,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// With what was asked for.
    Ok,
    /// With an error of this class.
    Failed(Kind),
}

impl Outcome {
    /// The outcome as a label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(kind) => kind.as_str(),
        }
    }

    /// The outcome of a result.
    pub fn of<T>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            Err(error) => Self::Failed(error.kind()),
        }
    }
}

/// A function that is told of each operation.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&RequestEvent) + Send + Sync>);

impl Observer {
    /// Wraps a function. It is called on the task that made the request, so it should be quick.
    pub fn new(observe: impl Fn(&RequestEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    pub(crate) fn tell(&self, event: &RequestEvent) {
        (self.0)(event);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
