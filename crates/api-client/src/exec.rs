//! Running an operation: time-outs, retries of reads, bounded bodies, a tracing span and one event for each.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use reqwest::{Request, Response, StatusCode};
use tracing::Instrument as _;

use crate::body::{self, BodyError};
use crate::{
    Error, Observer, Outcome, RequestEvent, RetryPolicy, Transport, TransportKind, Verdict,
};

/// An operation of an API, as far as sending it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its id in the API's description.
    pub id: &'static str,
    /// Whether it may be sent twice: true for reads only.
    pub repeatable: bool,
}

impl Operation {
    /// An operation that only reads.
    pub const fn read(id: &'static str) -> Self {
        Self {
            id,
            repeatable: true,
        }
    }

    /// An operation that changes something: sent once, whatever happens.
    pub const fn write(id: &'static str) -> Self {
        Self {
            id,
            repeatable: false,
        }
    }
}

/// An answer whose body is there in full.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

impl Answer {
    /// The answer as a response again, for generated code to decode.
    pub fn into_response(self, operation: Operation) -> Response {
        let mut response = http::Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.extensions_mut().insert(OperationId(operation.id));
        Response::from(response)
    }
}

/// Prints no content: it may be anyone's.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Tells `decode` which operation an answer belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OperationId(pub(crate) &'static str);

/// A failure in the form that a generated method's `exec` can return. Its status is none that HTTP knows, so that
/// generated code takes it for unexpected and hands it on untouched.
pub fn failed_response(error: Error) -> Response {
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(999).unwrap_or(StatusCode::IM_A_TEAPOT);
    response.extensions_mut().insert(error);
    Response::from(response)
}

/// What one operation has cost so far; filled while it runs.
#[derive(Debug)]
pub struct Tally {
    started: Instant,
    bytes: AtomicU64,
    retries: AtomicU32,
    status: AtomicU16,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            bytes: AtomicU64::new(0),
            retries: AtomicU32::new(0),
            status: AtomicU16::new(0),
        }
    }
}

impl Tally {
    /// Counts body bytes that did not pass through the executor (a streamed body).
    pub fn add_bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    /// The HTTP status of the last answer, if one came.
    pub fn status(&self) -> Option<u16> {
        match self.status.load(Ordering::Relaxed) {
            0 => None,
            status => Some(status),
        }
    }
}

/// Sends requests for one account of one API. Cheap to clone.
#[derive(Clone)]
pub struct Executor(Arc<ExecutorBuilder>);

/// Makes an [`Executor`].
pub struct ExecutorBuilder {
    api: &'static str,
    transport: Arc<dyn Transport>,
    retry: RetryPolicy,
    total_timeout: Duration,
    body_limit: u64,
    observer: Option<Observer>,
}

impl ExecutorBuilder {
    /// An executor with default bounds: 3 sends, 60 s in all for one send, bodies of 64 MiB.
    pub fn new(api: &'static str, transport: Arc<dyn Transport>) -> Self {
        Self {
            api,
            transport,
            retry: RetryPolicy::default(),
            total_timeout: Duration::from_mins(1),
            body_limit: 64 * 1024 * 1024,
            observer: None,
        }
    }

    /// How reads are repeated.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The longest that one send may take, body included.
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

    /// Who is told of each operation.
    #[must_use]
    pub fn observer(mut self, observer: Option<Observer>) -> Self {
        self.observer = observer;
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

/// How an attempt's answer is judged, once its body is there.
pub type Judge<'a> = &'a (dyn Fn(&Answer) -> Verdict + Sync);

impl Executor {
    /// Runs an operation in a span of its own and tells the observer how it ended.
    pub async fn observe<T>(
        &self,
        operation: &'static str,
        tally: &Tally,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let result = self.trace(operation, tally, work).await;
        self.report(operation, tally, Outcome::of(&result));
        result
    }

    /// Runs an operation in a span of its own, and leaves it to the caller to [`report`](Self::report) it: a body
    /// that is handed out as a stream ends later.
    pub async fn trace<T>(
        &self,
        operation: &'static str,
        tally: &Tally,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let span = tracing::debug_span!(
            "request",
            api = self.0.api,
            operation,
            outcome = tracing::field::Empty,
            status = tracing::field::Empty,
            retries = tracing::field::Empty,
        );
        let result = work.instrument(span.clone()).await;
        span.record("outcome", Outcome::of(&result).as_str());
        span.record("status", tally.status());
        span.record("retries", tally.retries.load(Ordering::Relaxed));
        result
    }

    /// Tells the observer how an operation ended.
    pub fn report(&self, operation: &'static str, tally: &Tally, outcome: Outcome) {
        if let Some(observer) = &self.0.observer {
            observer.tell(&RequestEvent {
                api: self.0.api,
                operation,
                outcome,
                duration: tally.started.elapsed(),
                status: tally.status(),
                bytes: tally.bytes.load(Ordering::Relaxed),
                retries: tally.retries.load(Ordering::Relaxed),
            });
        }
    }

    /// Sends a request and reads its answer, repeating a read as the policy and `judge` say.
    pub async fn send(
        &self,
        operation: Operation,
        request: Request,
        tally: &Tally,
        judge: Judge<'_>,
    ) -> Result<Answer, Error> {
        let mut request = request;
        let mut sent = 0;
        loop {
            let again = request.try_clone();
            let result = self.once(operation, request, tally).await;
            sent += 1;
            let wait = self.wait_after(operation, sent, &result, judge);
            let (Some(wait), Some(next)) = (wait, again) else {
                return result;
            };
            self.pause(sent, wait, tally).await;
            request = next;
        }
    }

    /// Sends a request and hands its body out unread; the total time-out covers the head only.
    pub async fn open(
        &self,
        operation: Operation,
        request: Request,
        tally: &Tally,
    ) -> Result<Response, Error> {
        let mut request = request;
        let mut sent = 0;
        loop {
            let again = request.try_clone();
            let result = self.head(operation, request, tally).await;
            sent += 1;
            let judge =
                |response: &Response| Verdict::by_status(response.status(), response.headers());
            let wait = self.wait_after(operation, sent, &result, &judge);
            let (Some(wait), Some(next)) = (wait, again) else {
                return result;
            };
            self.pause(sent, wait, tally).await;
            request = next;
        }
    }

    /// How long to wait before sending again; `None` when the result is what the caller gets.
    fn wait_after<T>(
        &self,
        operation: Operation,
        sent: u32,
        result: &Result<T, Error>,
        judge: &dyn Fn(&T) -> Verdict,
    ) -> Option<Duration> {
        let asked = match result {
            Ok(answer) => match judge(answer) {
                Verdict::Final => return None,
                Verdict::Retry { after } => after,
            },
            Err(error) if error.is_retryable() => None,
            Err(_) => return None,
        };
        if operation.repeatable {
            self.0.retry.wait(sent, asked)
        } else {
            None
        }
    }

    async fn pause(&self, sent: u32, wait: Duration, tally: &Tally) {
        tracing::debug!(
            api = self.0.api,
            attempt = sent,
            ?wait,
            "sending again after a wait"
        );
        tally.retries.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(wait).await;
    }

    async fn head(
        &self,
        operation: Operation,
        request: Request,
        tally: &Tally,
    ) -> Result<Response, Error> {
        let sending = self.0.transport.execute(request);
        let response = match tokio::time::timeout(self.0.total_timeout, sending).await {
            Ok(sent) => sent.map_err(|error| error.during(operation.id))?,
            Err(_) => return Err(TransportKind::TotalTimeout.during(operation.id)),
        };
        tally
            .status
            .store(response.status().as_u16(), Ordering::Relaxed);
        Ok(response)
    }

    async fn once(
        &self,
        operation: Operation,
        request: Request,
        tally: &Tally,
    ) -> Result<Answer, Error> {
        // Boxed, for it is some 20 KB: callers nest these futures several times over.
        let exchange = Box::pin(async {
            let mut response = self.head(operation, request, tally).await?;
            let status = response.status();
            let headers = std::mem::take(response.headers_mut());
            let body =
                body::read(response, self.0.body_limit)
                    .await
                    .map_err(|error| match error {
                        BodyError::TooLarge => Error::BodyTooLarge {
                            operation: operation.id,
                            limit: self.0.body_limit,
                        },
                        BodyError::Transport(error) => error.during(operation.id),
                    })?;
            tally.add_bytes(body.len() as u64);
            Ok(Answer {
                status,
                headers,
                body,
            })
        });
        match tokio::time::timeout(self.0.total_timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(TransportKind::TotalTimeout.during(operation.id)),
        }
    }
}
