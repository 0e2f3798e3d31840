//! What one operation costs and how it ends, for the observer and the tracing span.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Span;

use crate::error::{Error, ErrorKind};

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
    /// From the first send until the last body was read, waits included.
    pub duration: Duration,
    /// The HTTP status of the last answer, if one came.
    pub status: Option<u16>,
    /// Body bytes received, after decompression.
    pub bytes: u64,
    /// Sends after the first.
    pub retries: u32,
    /// Whether the server answered a send with "too many requests".
    pub throttled: bool,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// With what was asked for.
    Ok,
    /// With an error of this class.
    Failed(ErrorKind),
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

/// A function that is called once for each operation.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&RequestEvent) + Send + Sync>);

impl Observer {
    /// Wraps a function. It is called on the task that made the request, so it should be quick.
    pub fn new(observe: impl Fn(&RequestEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// One run of an operation, from the first send until its answer has been read. Dropping it
/// reports to the observer how it ended; a cancelled run is not reported.
pub(crate) struct Exchange {
    event: RequestEvent,
    started: Instant,
    ended: bool,
    observer: Option<Observer>,
    span: Span,
}

impl Exchange {
    pub(crate) fn new(
        api: &'static str,
        operation: &'static str,
        observer: Option<Observer>,
    ) -> Self {
        Self {
            event: RequestEvent {
                api,
                operation,
                outcome: Outcome::Ok,
                duration: Duration::ZERO,
                status: None,
                bytes: 0,
                retries: 0,
                throttled: false,
            },
            started: Instant::now(),
            ended: false,
            observer,
            span: tracing::debug_span!(
                "request",
                api,
                operation,
                outcome = tracing::field::Empty,
                status = tracing::field::Empty,
                retries = tracing::field::Empty,
            ),
        }
    }

    pub(crate) fn operation(&self) -> &'static str {
        self.event.operation
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    pub(crate) fn set_status(&mut self, status: u16) {
        self.event.status = Some(status);
    }

    pub(crate) fn add_bytes(&mut self, count: usize) {
        self.event.bytes += count as u64;
    }

    pub(crate) fn note_throttling(&mut self) {
        self.event.throttled = true;
    }

    pub(crate) fn add_retry(&mut self) {
        self.event.retries += 1;
    }

    /// Notes how the operation ended; the last note counts.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        self.event.outcome = outcome;
        self.ended = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            return;
        }
        self.event.duration = self.started.elapsed();
        let event = &self.event;
        self.span.record("outcome", event.outcome.as_str());
        self.span.record("status", event.status);
        self.span.record("retries", event.retries);
        if let Some(Observer(observe)) = &self.observer {
            observe(event);
        }
    }
}
