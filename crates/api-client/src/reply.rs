//! What an operation of a generated client returns: the answer's bytes, or its open stream.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode, Version};
use reqwest::Response;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::body::BodyError;
use crate::coding::Decoder;
use crate::error::{Error, Reason};
use crate::exchange::{Exchange, Outcome};
use crate::format::Format;
use crate::transport::TransportError;

/// A successful answer to an operation, as bytes. [`decode`](Self::decode) reads them as the type
/// that the API describes; a reader for another purpose can use them directly.
///
/// The operation is reported to the observer when the reply is decoded or dropped.
pub struct Reply<T> {
    answer: Answer,
    format: Format,
    exchange: Exchange,
    described: PhantomData<fn() -> T>,
}

impl<T> Reply<T> {
    pub(crate) fn new(answer: Answer, asked: Format, exchange: Exchange) -> Self {
        Self {
            format: Format::of_answer(&answer.headers, asked),
            answer,
            exchange,
            described: PhantomData,
        }
    }

    /// The body's format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Reads the answer with `read`, whose result is reported to the observer.
    pub fn read_with<U>(
        mut self,
        read: impl FnOnce(&mut Self) -> Result<U, Error>,
    ) -> Result<U, Error> {
        let result = read(&mut self);
        self.exchange.end(Outcome::of(&result));
        result
    }
}

impl<T: DeserializeOwned> Reply<T> {
    /// Reads the body as the type that the API describes. Member names match without case, and a
    /// byte order mark is skipped.
    pub fn decode(self) -> Result<T, Error> {
        self.read_with(|reply| reply.parse())
    }

    /// Like [`decode`](Self::decode), for use within [`read_with`](Self::read_with).
    pub fn parse(&self) -> Result<T, Error> {
        self.format
            .read(&self.answer.body)
            .map_err(|problem| self.answer.unreadable(problem))
    }
}

impl<T> Deref for Reply<T> {
    type Target = Answer;

    fn deref(&self) -> &Answer {
        &self.answer
    }
}

impl<T> DerefMut for Reply<T> {
    fn deref_mut(&mut self) -> &mut Answer {
        &mut self.answer
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answer.fmt(f)
    }
}

/// A successful answer whose body is read while it arrives.
///
/// The operation is reported to the observer when the stream is dropped.
pub struct ReplyStream {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Response,
    decoder: Decoder,
    /// Whether the transfer itself says where the body ends.
    is_delimited: bool,
    limit: u64,
    received: u64,
    ended: bool,
    exchange: Exchange,
}

impl ReplyStream {
    pub(crate) fn new(mut response: Response, decoder: Decoder, exchange: Exchange) -> Self {
        let headers = std::mem::take(response.headers_mut());
        let is_delimited = response.version() > Version::HTTP_11
            || headers.contains_key(CONTENT_LENGTH)
            || headers.contains_key(TRANSFER_ENCODING);
        Self {
            status: response.status(),
            is_delimited,
            headers,
            body: response,
            decoder,
            limit: u64::MAX,
            received: 0,
            ended: false,
            exchange,
        }
    }

    /// The longest body in bytes, after decompression; there is no limit by default.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether a body that is cut off is recognized. If not, it ends with the connection, and its
    /// end proves nothing.
    pub fn end_is_marked(&self) -> bool {
        self.is_delimited || self.decoder.marks_end()
    }

    /// The next part of the body; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let decoded = match self.body.chunk().await {
                Ok(chunk) => {
                    self.ended = chunk.is_none();
                    let room = self.limit.saturating_sub(self.received);
                    match chunk {
                        Some(bytes) => self.decoder.decode(bytes, room),
                        None => self.decoder.end(),
                    }
                    .map_err(BodyError::from)
                }
                Err(error) => Err(BodyError::Transport(TransportError::from(error))),
            };
            let reason = match decoded {
                Ok(bytes) if bytes.is_empty() => continue,
                Ok(bytes) => {
                    self.received += bytes.len() as u64;
                    self.exchange.add_bytes(bytes.len());
                    if self.received <= self.limit {
                        return Ok(Some(bytes));
                    }
                    Reason::BodyTooLarge { limit: self.limit }
                }
                Err(BodyError::TooLarge) => Reason::BodyTooLarge { limit: self.limit },
                Err(BodyError::Transport(error)) => Reason::Transport(error),
            };
            return Err(self.fail(Error::new(self.exchange.operation(), reason)));
        }
    }

    /// The error of a body that is not what was asked for; it is reported to the observer.
    pub fn unreadable(&mut self, problem: impl Into<String>) -> Error {
        let error = self.error(Reason::Unreadable {
            content_type: None,
            problem: problem.into(),
        });
        self.fail(error)
    }

    /// The error of a body that is a web page; it is reported to the observer.
    pub fn web_page(&mut self) -> Error {
        let error = self.error(Reason::Html);
        self.fail(error)
    }

    fn error(&self, reason: Reason) -> Error {
        Error::new(self.exchange.operation(), reason).with_status(self.status.as_u16())
    }

    fn fail(&mut self, error: Error) -> Error {
        self.exchange.end(Outcome::Failed(error.kind()));
        error
    }
}

impl fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream")
            .field("operation", &self.exchange.operation())
            .field("status", &self.status)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
