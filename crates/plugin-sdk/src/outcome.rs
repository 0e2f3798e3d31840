//! What a plugin answers to a call: accepted, retry, reject or fatal; and which batches are
//! durable.

use std::error::Error;
use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use callmeter_error_chain::chain;

/// The answer of [`OutputPlugin::write`](crate::OutputPlugin::write).
pub type Outcome = Result<(), Fail>;

/// Why a batch was not accepted or not flushed, and what callmeter does about it.
///
/// `?` turns an [`std::io::Error`] into a retry and a [`BatchError`](crate::batch::BatchError) into
/// a rejection. The text must not quote the configuration, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail {
    pub(crate) action: FailAction,
    pub(crate) reason: String,
    pub(crate) after: Option<Duration>,
    pub(crate) durable: Option<u64>,
}

/// What callmeter does about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailAction {
    Retry,
    Reject,
    Fatal,
}

impl Fail {
    /// The batch was not accepted, or it is unknown whether it was. callmeter sends it again later.
    pub fn retry(reason: impl Display) -> Self {
        Self::new(FailAction::Retry, reason)
    }

    /// This batch will never succeed. callmeter stores it as a dead letter and goes on.
    ///
    /// From `flush`, it refers to the batch after [`Fail::durable`], which the plugin must drop.
    pub fn reject(reason: impl Display) -> Self {
        Self::new(FailAction::Reject, reason)
    }

    /// This instance cannot go on. callmeter creates a new one and sends again what was not
    /// durable.
    pub fn fatal(reason: impl Display) -> Self {
        Self::new(FailAction::Fatal, reason)
    }

    fn new(action: FailAction, reason: impl Display) -> Self {
        Self {
            action,
            reason: reason.to_string(),
            after: None,
            durable: None,
        }
    }

    /// For a retry: wait at least this long, for example as a server's `Retry-After` asks.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.after = Some(wait);
        self
    }

    /// From `flush`: batches up to this [`Batch::seq`](crate::batch::Batch::seq) are durable
    /// nevertheless.
    #[must_use]
    pub fn durable(mut self, seq: u64) -> Self {
        self.durable = Some(seq);
        self
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether callmeter will send the batch again to this instance.
    pub fn is_retry(&self) -> bool {
        self.action == FailAction::Retry
    }

    /// Whether callmeter will store the batch as a dead letter.
    pub fn is_reject(&self) -> bool {
        self.action == FailAction::Reject
    }

    /// Whether callmeter will replace the instance.
    pub fn is_fatal(&self) -> bool {
        self.action == FailAction::Fatal
    }
}

impl Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Fail {}

impl From<std::io::Error> for Fail {
    fn from(error: std::io::Error) -> Self {
        Self::retry(error)
    }
}

impl From<crate::batch::BatchError> for Fail {
    fn from(error: crate::batch::BatchError) -> Self {
        Self::reject(error)
    }
}

impl From<Fatal> for Fail {
    fn from(fatal: Fatal) -> Self {
        Self::fatal(fatal.0)
    }
}

/// Why an instance cannot be created. `?` converts any error, with its sources in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal(pub(crate) String);

impl Fatal {
    /// A reason for the operator: what is wrong, and in which key of the configuration.
    pub fn new(reason: impl Display) -> Self {
        Self(reason.to_string())
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.0
    }
}

impl<E: Error + 'static> From<E> for Fatal {
    fn from(error: E) -> Self {
        Self(chain(&error))
    }
}

/// Which batches are durable after a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// Every batch that was accepted.
    All,
    /// Batches up to this [`Batch::seq`](crate::batch::Batch::seq), 0 for none.
    UpTo(u64),
}

/// When a flush should be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// A deadline this far from now.
    pub fn within(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    /// The time left; zero after the deadline.
    pub fn remaining(&self) -> Duration {
        self.0.map_or(Duration::MAX, |end| {
            end.saturating_duration_since(Instant::now())
        })
    }

    /// Whether the deadline has passed.
    pub fn is_past(&self) -> bool {
        self.remaining().is_zero()
    }
}
