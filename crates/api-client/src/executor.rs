//! Sends requests: time-outs, retries of reads, bounded bodies.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::StatusCode;
use hyper::ext::ReasonPhrase;
use reqwest::{Request, Response};
use tracing::Instrument as _;

use crate::answer::Answer;
use crate::body::{self, BodyError};
use crate::coding::Decoder;
use crate::concurrency::ConcurrencyLimit;
use crate::error::{Error, ErrorKind, Reason};
use crate::exchange::{Exchange, Observer, Outcome};
use crate::retry::RetryPolicy;
use crate::transport::{Transport, TransportError, TransportKind};

/// An operation of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its id in the API's description.
    pub id: &'static str,
    /// Whether it may be sent again after a failure.
    pub repeatable: bool,
}

impl Operation {
    /// An operation that only reads: sent again after a failure that may pass.
    pub const fn repeatable(id: &'static str) -> Self {
        Self {
            id,
            repeatable: true,
        }
    }

    /// An operation that is sent once, whatever happens.
    pub const fn once(id: &'static str) -> Self {
        Self {
            id,
            repeatable: false,
        }
    }
}

/// The longest wait for the body of an answer whose status is not a success.
const LONGEST_FAILURE_BODY: Duration = Duration::from_secs(5);

/// Makes the error of an answer whose status is not a success, by the rules of an API.
pub type Classify = fn(&Answer) -> Error;

/// Sends requests for one account of one API. Cheap to clone.
#[derive(Clone)]
pub struct Executor(Arc<ExecutorBuilder>);

/// Makes an [`Executor`].
pub struct ExecutorBuilder {
    api: &'static str,
    transport: Arc<dyn Transport>,
    classify: Classify,
    retry: RetryPolicy,
    total_timeout: Duration,
    body_limit: u64,
    observer: Option<Observer>,
    concurrency: Vec<ConcurrencyLimit>,
}

impl ExecutorBuilder {
    /// An executor with default bounds: 3 sends, 60 s for each of them, bodies of 64 MiB.
    pub fn new(api: &'static str, transport: Arc<dyn Transport>, classify: Classify) -> Self {
        Self {
            api,
            transport,
            classify,
            retry: RetryPolicy::default(),
            total_timeout: Duration::from_secs(60),
            body_limit: 64 * 1024 * 1024,
            observer: None,
            concurrency: Vec::new(),
        }
    }

    /// How reads are repeated.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The longest that one send may take, body included. Of a streamed body, only the head counts.
    #[must_use]
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// The longest body in bytes, after decompression.
    #[must_use]
    pub fn body_limit(mut self, limit: u64) -> Self {
        self.body_limit = limit;
        self
    }

    /// The function that is called once for each operation.
    #[must_use]
    pub fn observer(mut self, observer: Option<Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Limits on the requests that run at the same time. Each send waits until all of them allow
    /// it.
    #[must_use]
    pub fn concurrency(mut self, limits: Vec<ConcurrencyLimit>) -> Self {
        self.concurrency = limits;
        self
    }

    /// The executor.
    pub fn build(self) -> Executor {
        Executor(Arc::new(self))
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("api", &self.0.api)
            .field("retry", &self.0.retry)
            .finish_non_exhaustive()
    }
}

/// What one send gives. Boxed: the future is some 20 KB, and callers nest it several times.
type Attempt<T> =
    for<'a> fn(&'a Executor, &'a mut Exchange, Request) -> BoxFuture<'a, Result<T, Error>>;

impl Executor {
    /// Reports to the observer an operation that failed before anything was sent.
    pub fn report_unsent(&self, operation: Operation, error: &Error) {
        self.exchange(operation).end(Outcome::Failed(error.kind()));
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn fetch(
        &self,
        operation: Operation,
        request: Request,
    ) -> Result<(Answer, Exchange), Error> {
        self.run(operation, request, |executor, exchange, request| {
            Box::pin(
                executor.within_total_timeout(exchange.operation(), async move {
                    let response = executor.head(exchange, request).await?;
                    let answer = executor.body(exchange, response).await?;
                    if answer.status.is_success() {
                        Ok(answer)
                    } else {
                        Err((executor.0.classify)(&answer))
                    }
                }),
            )
        })
        .await
    }

    /// Sends a request and returns its response with the body unread, and what decodes it.
    pub(crate) async fn open(
        &self,
        operation: Operation,
        request: Request,
    ) -> Result<((Response, Decoder), Exchange), Error> {
        self.run(operation, request, |executor, exchange, request| {
            Box::pin(
                executor.within_total_timeout(exchange.operation(), async move {
                    let response = executor.head(exchange, request).await?;
                    if response.status().is_success() {
                        let decoder = Decoder::of(response.headers()).map_err(|coding| {
                            unknown_coding(exchange.operation(), response.status(), &coding)
                        })?;
                        return Ok((response, decoder));
                    }
                    let answer = executor.body(exchange, response).await?;
                    Err((executor.0.classify)(&answer))
                }),
            )
        })
        .await
    }

    fn exchange(&self, operation: Operation) -> Exchange {
        Exchange::new(self.0.api, operation.id, self.0.observer.clone())
    }

    /// Runs an operation in a span, and notes how it ended.
    async fn run<T>(
        &self,
        operation: Operation,
        request: Request,
        attempt: Attempt<T>,
    ) -> Result<(T, Exchange), Error> {
        let mut exchange = self.exchange(operation);
        let span = exchange.span().clone();
        let result = self
            .repeat(operation, &mut exchange, request, attempt)
            .instrument(span)
            .await;
        exchange.end(Outcome::of(&result));
        result.map(|answer| (answer, exchange))
    }

    async fn repeat<T>(
        &self,
        operation: Operation,
        exchange: &mut Exchange,
        mut request: Request,
        attempt: Attempt<T>,
    ) -> Result<T, Error> {
        let mut sent = 0;
        loop {
            let again = operation.repeatable.then(|| request.try_clone()).flatten();
            let mut permits = Vec::new();
            for limit in &self.0.concurrency {
                permits.push(limit.acquire().await);
            }
            let result = attempt(self, exchange, request).await;
            drop(permits);
            sent += 1;
            if result
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::Throttled)
            {
                exchange.note_throttling();
            }
            let wait = match &result {
                Ok(_) => None,
                Err(error) => self.0.retry.wait_after(sent, error),
            };
            let (Some(wait), Some(next)) = (wait, again) else {
                return result;
            };
            tracing::debug!(
                api = self.0.api,
                attempt = sent,
                ?wait,
                "sending again after a wait"
            );
            exchange.add_retry();
            tokio::time::sleep(wait).await;
            request = next;
        }
    }

    async fn within_total_timeout<T>(
        &self,
        operation: &'static str,
        send: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.0.total_timeout, send).await {
            Ok(result) => result,
            Err(_) => Err(transport(operation, TransportKind::TotalTimeout.into())),
        }
    }

    async fn head(&self, exchange: &mut Exchange, request: Request) -> Result<Response, Error> {
        let response = self
            .0
            .transport
            .execute(request)
            .await
            .map_err(|error| transport(exchange.operation(), error))?;
        let status = response.status();
        exchange.set_status(status.as_u16());
        // Not made yet, cleared, a part: none of them is the answer.
        if matches!(status.as_u16(), 202 | 205 | 206) {
            let reason = Reason::Unreadable {
                content_type: None,
                problem: format!("an answer has status 200 or 204, not {status}"),
            };
            return Err(Error::new(exchange.operation(), reason).with_status(status.as_u16()));
        }
        Ok(response)
    }

    async fn body(&self, exchange: &mut Exchange, mut response: Response) -> Result<Answer, Error> {
        let operation = exchange.operation();
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let limit = self.0.body_limit;
        let decoder = match Decoder::of(&headers) {
            Ok(decoder) => decoder,
            // The status of a failure says enough.
            Err(_) if !status.is_success() => Decoder::default(),
            Err(coding) => return Err(unknown_coding(operation, status, &coding)),
        };
        let phrase = (response.extensions().get::<ReasonPhrase>())
            .map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
        let read = body::read(response, decoder, limit);
        let body = if status.is_success() {
            read.await.map_err(|error| match error {
                BodyError::TooLarge => Error::new(operation, Reason::BodyTooLarge { limit }),
                BodyError::Transport(error) => transport(operation, error),
            })?
        } else {
            // The status of a failure says enough: a refusal whose body is cut off or does not end
            // is a refusal, and is not sent again.
            let read = tokio::time::timeout(LONGEST_FAILURE_BODY, read).await;
            read.ok().and_then(Result::ok).unwrap_or_default()
        };
        exchange.add_bytes(body.len());
        Ok(Answer {
            operation,
            status,
            phrase,
            headers,
            body,
        })
    }
}

/// An answer in a content coding that was not asked for.
pub(crate) fn unknown_coding(operation: &'static str, status: StatusCode, coding: &str) -> Error {
    let reason = Reason::Unreadable {
        content_type: None,
        problem: format!(
            "its content coding is {coding:?}, but the request asks for gzip only: check the proxy \
             or gateway before the server"
        ),
    };
    Error::new(operation, reason).with_status(status.as_u16())
}

fn transport(operation: &'static str, error: TransportError) -> Error {
    Error::new(operation, Reason::Transport(error))
}
