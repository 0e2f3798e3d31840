//! What a poll is: the context it runs in, and what it returns.

use std::sync::Arc;

use super::error::PollError;
use super::login_backoff::LoginBackoff;
use crate::config::SecretSource;
use crate::context::AppContext;
use crate::status::Task;
use crate::stop::Stop;

/// What all polls of an account share.
#[derive(Debug, Clone)]
pub(super) struct AccountContext {
    pub(super) account: Arc<str>,
    pub(super) password: SecretSource,
    pub(super) login: Arc<LoginBackoff>,
    pub(super) app: AppContext,
    pub(super) stop: Stop,
}

impl AccountContext {
    /// The result of `request`, unless the account is being stopped.
    ///
    /// # Errors
    /// As `request`, or [`PollError::Stopped`].
    pub(super) async fn unless_stopped<T, E>(
        &self,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, PollError>
    where
        PollError: From<E>,
    {
        let mut stop = self.stop.clone();
        // Boxed: the futures of API requests are large.
        let result = stop.unless_stopped(Box::pin(request)).await;
        Ok(result.ok_or(PollError::Stopped)??)
    }
}

/// What a poll returns that did not fail.
#[derive(Debug, Default)]
pub(super) struct Polled {
    /// What it found, in plain words and without personal data.
    pub(super) found: String,
    /// The cap at which it stopped, in plain words; `None` if it read everything.
    pub(super) truncated: Option<String>,
    /// Whether nothing was due, so that it says nothing of the server.
    pub(super) is_idle: bool,
}

/// One task of an account, polled again and again.
pub(super) trait Poll: Send {
    /// The task.
    fn task(&self) -> Task;
    /// Polls once.
    fn run(&mut self) -> impl Future<Output = Result<Polled, PollError>> + Send;
    /// Removes the gauges of the last successful poll from the metrics, because they are too old.
    fn remove_gauges(&mut self);
    /// Whether a user without the permission to read it can do without it.
    fn is_optional(&self) -> bool {
        false
    }
}
