//! How a generated client sends its operations: format of bodies, token, executor.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use progenitor_client::RequestBuilderExt as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, RequestBuilder};
use serde::Serialize;

use crate::error::Error;
use crate::exchange::Exchange;
use crate::executor::{Executor, Operation};
use crate::format::Format;
use crate::reply::{Reply, ReplyStream};
use crate::secret::Secret;

/// How a generated client sends its operations. Cheap to clone.
#[derive(Clone)]
pub struct RequestContext {
    executor: Executor,
    format: Format,
    tokens: Option<Arc<dyn TokenSource>>,
}

/// Provides the bearer tokens of requests.
pub trait TokenSource: Send + Sync {
    /// The token to send.
    fn token(&self) -> BoxFuture<'_, Result<Secret, Error>>;

    /// Another token after the server refused `refused` for an operation; `None` when another one
    /// would not help.
    fn renew<'a>(
        &'a self,
        operation: Operation,
        refused: &'a Secret,
    ) -> BoxFuture<'a, Result<Option<Secret>, Error>>;

    /// Called when the server refused the token of [`renew`](Self::renew), too.
    fn renewal_refused<'a>(&'a self, operation: Operation, error: &'a Error) -> BoxFuture<'a, ()>;
}

/// A token that does not change.
impl TokenSource for Secret {
    fn token(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(std::future::ready(Ok(self.clone())))
    }

    fn renew<'a>(
        &'a self,
        _: Operation,
        _: &'a Secret,
    ) -> BoxFuture<'a, Result<Option<Secret>, Error>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn renewal_refused<'a>(&'a self, _: Operation, _: &'a Error) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// The body of a request.
#[derive(Debug)]
pub enum Body<'a, T: ?Sized> {
    /// No body.
    None,
    /// A value in the context's format.
    Value(&'a T),
    /// A value as the fields of an HTML form.
    Form(&'a T),
}

impl<T: ?Sized> Clone for Body<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Body<'_, T> {}

/// No body, where nothing else gives the type of [`Body`].
pub const NO_BODY: Body<'static, ()> = Body::None;

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext")
            .field("executor", &self.executor)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// How the executor runs a request with a token: [`Executor::fetch`] or [`Executor::open`].
type Run<R> =
    for<'a> fn(&'a Executor, Operation, Request) -> BoxFuture<'a, Result<(R, Exchange), Error>>;

impl RequestContext {
    /// A context for bodies in JSON, without a token.
    pub fn new(executor: Executor) -> Self {
        Self {
            executor,
            format: Format::Json,
            tokens: None,
        }
    }

    /// The format of request bodies, and the one that answers are asked for in.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Sends `Authorization: Bearer …` with each request, and tries once more with another token
    /// when one is refused.
    #[must_use]
    pub fn tokens(mut self, tokens: Arc<dyn TokenSource>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Sends an operation and receives its answer.
    pub async fn send<T, B: Serialize + ?Sized>(
        &self,
        operation: Operation,
        request: RequestBuilder,
        body: Body<'_, B>,
    ) -> Result<Reply<T>, Error> {
        let mut request = self.request(operation, request, body)?;
        if self.format == Format::Jsv {
            // The vendor's page names another type, which gets a web page; this one gets JSV, but
            // only together with the query.
            request
                .headers_mut()
                .insert(ACCEPT, HeaderValue::from_static("application/jsv"));
            request
                .url_mut()
                .query_pairs_mut()
                .append_pair("format", "jsv");
        }
        let (answer, exchange) = self
            .with_token(operation, request, |executor, operation, request| {
                Box::pin(executor.fetch(operation, request))
            })
            .await?;
        Ok(Reply::new(answer, self.format, exchange))
    }

    /// Sends an operation whose answer is read while it arrives.
    pub async fn open<B: Serialize + ?Sized>(
        &self,
        operation: Operation,
        request: RequestBuilder,
        body: Body<'_, B>,
    ) -> Result<ReplyStream, Error> {
        let request = self.request(operation, request, body)?;
        let ((response, decoder), exchange) = self
            .with_token(operation, request, |executor, operation, request| {
                Box::pin(executor.open(operation, request))
            })
            .await?;
        Ok(ReplyStream::new(response, decoder, exchange))
    }

    fn request<B: Serialize + ?Sized>(
        &self,
        operation: Operation,
        request: RequestBuilder,
        body: Body<'_, B>,
    ) -> Result<Request, Error> {
        let unwritable = || Error::invalid_request(operation.id, "body", "cannot be written");
        let request = match body {
            Body::None => request,
            Body::Value(value) => request
                .header(CONTENT_TYPE, self.format.content_type())
                .body(self.format.write(value).ok_or_else(unwritable)?),
            Body::Form(value) => request
                .form_urlencoded(value)
                .map_err(|_: progenitor_client::Error| unwritable())?,
        };
        let mut request = request.build().map_err(|_| {
            Error::invalid_request(operation.id, "request", "cannot be written as HTTP")
        })?;
        if request.method() == Method::POST && request.body().is_none() {
            // Gateways answer 411 to a POST that does not give the length of its body.
            request
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    /// Runs a request, with a token if there are tokens; once more with another one when the first
    /// is refused.
    async fn with_token<R>(
        &self,
        operation: Operation,
        request: Request,
        run: Run<R>,
    ) -> Result<(R, Exchange), Error> {
        let Some(tokens) = &self.tokens else {
            return run(&self.executor, operation, request).await;
        };
        let token = tokens.token().await?;
        let again = request.try_clone();
        let signed = sign(operation, request, &token)?;
        let refusal = match run(&self.executor, operation, signed).await {
            Err(error) if error.may_be_token() => error,
            result => return result,
        };
        let Some(again) = again else {
            return Err(refusal);
        };
        let Some(fresh) = tokens.renew(operation, &token).await? else {
            return Err(refusal);
        };
        let signed = sign(operation, again, &fresh)?;
        let result = run(&self.executor, operation, signed).await;
        if let Err(error) = &result
            && error.may_be_token()
        {
            tokens.renewal_refused(operation, error).await;
        }
        result
    }
}

fn sign(operation: Operation, mut request: Request, token: &Secret) -> Result<Request, Error> {
    let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
    let Ok(mut value) = value else {
        let problem = "it holds characters that a header cannot carry";
        return Err(Error::invalid_request(operation.id, "token", problem));
    };
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(request)
}
