//! The inner value of a generated client: what its `exec` hook needs to send one operation.

use std::sync::Arc;

use progenitor_client::OperationInfo;

use crate::exec::failed_response;
use crate::{Answer, Error, Executor, Operation, Secret, Tally, Verdict};

/// How an operation of a generated client is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A read: repeated as the policy says, its body read within bounds.
    Read,
    /// A write: sent once.
    Write,
    /// A read whose body is handed out as a stream.
    Stream,
}

/// What an API says about its operations as such.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// How the operation of an id is sent.
    pub mode: fn(&str) -> Mode,
    /// Whether an answer is worth another try.
    pub judge: fn(&Answer) -> Verdict,
}

/// One operation of a generated client: made for it, dropped after it.
#[derive(Debug, Clone)]
pub struct Call {
    executor: Executor,
    manners: Manners,
    tally: Arc<Tally>,
    bearer: Option<Secret>,
}

impl Call {
    /// A call through this executor, without a token.
    pub fn new(executor: Executor, manners: Manners) -> Self {
        Self {
            executor,
            manners,
            tally: Arc::default(),
            bearer: None,
        }
    }

    /// Sends `Authorization: Bearer …` with the request.
    #[must_use]
    pub fn bearer(mut self, token: Option<Secret>) -> Self {
        self.bearer = token;
        self
    }

    /// What the call has cost so far.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// The body of a generated client's `ClientHooks::exec`. A failure that is not reqwest's travels inside a response;
    /// [`failure_of`](crate::failure_of) takes it out again.
    pub async fn exec(
        &self,
        mut request: reqwest::Request,
        info: &OperationInfo,
    ) -> reqwest::Result<reqwest::Response> {
        // The generator sends the description's version; no server asked for it.
        request.headers_mut().remove("api-version");
        if request.method() == reqwest::Method::POST && request.body().is_none() {
            // Gateways answer 411 to a POST that does not say how long it is; an empty body says so.
            *request.body_mut() = Some(Vec::new().into());
        }
        let id = info.operation_id;
        if let Some(token) = &self.bearer {
            match bearer_header(token) {
                Some(value) => {
                    request
                        .headers_mut()
                        .insert(reqwest::header::AUTHORIZATION, value);
                }
                None => {
                    return Ok(failed_response(Error::InvalidRequest {
                        operation: id,
                        field: "token",
                        problem: "it holds characters that a header cannot carry".to_owned(),
                    }));
                }
            }
        }
        let result = match (self.manners.mode)(id) {
            Mode::Stream => {
                self.executor
                    .open(Operation::read(id), request, &self.tally)
                    .await
            }
            mode => {
                let operation = match mode {
                    Mode::Write => Operation::write(id),
                    Mode::Read | Mode::Stream => Operation::read(id),
                };
                self.executor
                    .send(operation, request, &self.tally, &self.manners.judge)
                    .await
                    .map(|answer| answer.into_response(operation))
            }
        };
        Ok(result.unwrap_or_else(failed_response))
    }
}

fn bearer_header(token: &Secret) -> Option<reqwest::header::HeaderValue> {
    let mut value =
        reqwest::header::HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
