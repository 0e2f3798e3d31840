//! Tokens: signing in by either generation of the API, refreshing, and not trying too often.

use std::collections::HashMap;
use std::time::Duration;

use api_client::{
    Error, ErrorKind, Number, Operation, Reason, Reply, Secret, SecretSource, TokenSource,
};
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::generated::types::{
    FormTokenRequest, RefreshTokenRequest, SignInRequest, SignInRequestDomain,
    SignInRequestUsername, SignInResult,
};
use crate::generated::{SignInClient, operations};

/// The client id that the vendor's documentation prescribes for the form login.
const FORM_CLIENT_ID: &str = "9d806019-75b2-4b3d-bb8b-f5a3a412cc0a";

/// After a refusal, the same credentials are not tried again for this long; it doubles with each
/// refusal up to [`LONGEST_REST`].
const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);

/// The same after an answer that may be a refusal in other words, such as a 400 or a web page.
/// Servers lock logins that are refused repeatedly, and not all say that it is a refusal.
const FIRST_UNCLEAR_REST: Duration = Duration::from_secs(60);

/// After a server that failed or could not be reached: so long that the requests of one poll share
/// one attempt.
const FAILURE_REST: Duration = Duration::from_secs(5);

/// After a fresh token did not help an operation, its refusals count as a missing right for this
/// long.
const NO_RIGHT_REST: Duration = Duration::from_secs(10 * 60);

/// The same when the server does not accept the token: it may be restarting.
const NO_TOKEN_REST: Duration = Duration::from_secs(30);

/// The credentials, and the operations that turn them into tokens.
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: SecretSource,
    pub(crate) domain: Option<String>,
    pub(crate) api: SignInClient,
}

/// The tokens of a session, which its clones share.
pub(crate) struct SessionTokens {
    login: Login,
    // Locked while signing in: tasks that come meanwhile wait and share the token.
    state: Mutex<Tokens>,
}

impl SessionTokens {
    pub(crate) fn new(login: Login) -> Self {
        Self {
            login,
            state: Mutex::default(),
        }
    }

    pub(crate) fn login(&self) -> &Login {
        &self.login
    }
}

impl TokenSource for SessionTokens {
    fn token(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(async { self.state.lock().await.access(&self.login).await })
    }

    fn renew<'a>(
        &'a self,
        operation: Operation,
        refused: &'a Secret,
    ) -> BoxFuture<'a, Result<Option<Secret>, Error>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            if !state.may_renew(operation, refused) {
                return Ok(None);
            }
            state.access(&self.login).await.map(Some)
        })
    }

    fn renewal_refused<'a>(&'a self, operation: Operation, error: &'a Error) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.state
                .lock()
                .await
                .note_futile_renewal(operation, error);
        })
    }
}

/// An answer with tokens, read with more patience than its description asks for: a lifetime that
/// cannot be read is unknown.
#[derive(serde::Deserialize)]
struct Granted {
    access_token: Option<Secret>,
    refresh_token: Option<Secret>,
    #[serde(default)]
    expires_in: Number,
    #[serde(default, deserialize_with = "api_client::lenient::opt_bool")]
    two_factor_enabled: Option<bool>,
}

impl Granted {
    fn read(reply: Reply<SignInResult>) -> Result<Self, Error> {
        reply.read_with(|reply| {
            let read = reply.format().read::<Self>(&reply.body);
            read.map_err(|problem| reply.unreadable(problem))
        })
    }

    /// In seconds. No token is issued that has expired: a server that says so does not say how long
    /// it lives. It is used until it is refused.
    fn lifetime(&self) -> Option<u64> {
        let seconds = self.expires_in.whole().ok().flatten()?;
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)
    }
}

/// The state of a sign-in.
#[derive(Default)]
struct Tokens {
    current: Option<Token>,
    generation: Generation,
    failed: Option<Failure>,
    /// The operations that fail with a fresh token, too, and until when none is fetched for them.
    futile: HashMap<&'static str, Instant>,
    /// Until when no token is fetched for any operation: the server did not accept a fresh one.
    all_futile: Option<Instant>,
}

struct Token {
    access: Secret,
    refresh: Option<Secret>,
    life: Option<Life>,
}

/// When a token should be refreshed, and when it expires.
#[derive(Clone, Copy)]
struct Life {
    refresh_at: Instant,
    ends_at: Instant,
}

/// How the server signs in: the newer way, until the server says that it does not know it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Generation {
    #[default]
    Json,
    Form,
}

/// A sign-in that failed. Until its end, all requests share it.
struct Failure {
    password: Secret,
    error: Error,
    until: Instant,
    /// The rest after the last refusal; zero if there was none.
    rest: Duration,
}

impl Tokens {
    /// The access token: the current one, refreshed if need be, or a new one.
    async fn access(&mut self, login: &Login) -> Result<Secret, Error> {
        let now = Instant::now();
        let Some(token) = &self.current else {
            return self.sign_in(login).await;
        };
        let life = match token.life {
            Some(life) if now >= life.refresh_at => life,
            _ => return Ok(token.access.clone()),
        };
        let still_good = (now < life.ends_at).then(|| token.access.clone());
        let refreshed = match token.refresh.clone() {
            Some(refresh) => self.refresh(login, refresh).await,
            None => self.sign_in(login).await,
        };
        match (refreshed, still_good) {
            (Ok(access), _) => Ok(access),
            // The server cannot be reached: the current token may still do.
            (Err(error), Some(access)) if error.is_retryable() => Ok(access),
            (Err(error), _) if error.is_retryable() => Err(error),
            (Err(_), _) => self.sign_in(login).await,
        }
    }

    /// Whether to try an operation again with another token after this one was refused. If so, the
    /// token is forgotten, unless another task has replaced it already. If a fresh token did not
    /// help recently, none is fetched: otherwise each poll of data that the account may not read
    /// would sign in again.
    fn may_renew(&mut self, operation: Operation, refused: &Secret) -> bool {
        let of_operation = self.futile.get(operation.id).copied();
        let now = Instant::now();
        if of_operation
            .max(self.all_futile)
            .is_some_and(|until| now < until)
        {
            return false;
        }
        if self
            .current
            .as_ref()
            .is_some_and(|token| token.access == *refused)
        {
            self.current = None;
        }
        true
    }

    /// Notes that a fresh token was refused, too.
    fn note_futile_renewal(&mut self, operation: Operation, error: &Error) {
        let now = Instant::now();
        if error.kind() == ErrorKind::PermissionDenied {
            self.futile.insert(operation.id, now + NO_RIGHT_REST);
        } else {
            self.all_futile = Some(now + NO_TOKEN_REST);
        }
    }

    async fn sign_in(&mut self, login: &Login) -> Result<Secret, Error> {
        let password = login.password.read()?;
        if let Some(failure) = &self.failed
            && failure.password == password
            && Instant::now() < failure.until
        {
            return Err(failure.error.clone());
        }
        let result = match self.generation {
            Generation::Json => match json_sign_in(login, &password).await {
                Err(error) if has_no_such_operation(&error) => {
                    let result = form_sign_in(login, &password).await;
                    if result.is_ok() {
                        self.generation = Generation::Form;
                    }
                    result
                }
                result => result,
            },
            Generation::Form => form_sign_in(login, &password).await,
        };
        let result = result.and_then(|answer| self.store(answer, operations::SIGN_IN));
        match &result {
            Ok(_) => self.failed = None,
            Err(error) => self.note_failure(password, error),
        }
        result
    }

    async fn refresh(&mut self, login: &Login, refresh: Secret) -> Result<Secret, Error> {
        let (operation, reply) = match self.generation {
            Generation::Json => {
                let body = RefreshTokenRequest {
                    refresh_token: refresh.clone(),
                };
                let reply = login.api.refresh_token(&body).await?;
                (operations::REFRESH_TOKEN, reply)
            }
            Generation::Form => {
                let body = FormTokenRequest {
                    client_id: FORM_CLIENT_ID.to_owned(),
                    grant_type: "refresh_token".to_owned(),
                    refresh_token: Some(refresh.clone()),
                    ..FormTokenRequest::default()
                };
                let reply = login.api.form_token(&body).await?;
                (operations::FORM_TOKEN, reply)
            }
        };
        let access = self.store(Granted::read(reply)?, operation)?;
        // A server that does not rotate refresh tokens may leave the old one out.
        if let Some(token) = &mut self.current {
            token.refresh.get_or_insert(refresh);
        }
        Ok(access)
    }

    /// Stores the tokens of an answer, and returns the access token.
    fn store(&mut self, answer: Granted, operation: Operation) -> Result<Secret, Error> {
        let lifetime = answer.lifetime();
        let Some(access) = answer.access_token.filter(|token| !token.is_empty()) else {
            if answer.two_factor_enabled == Some(true) {
                return Err(second_factor(operation));
            }
            let reason = Reason::Unreadable {
                content_type: None,
                problem: "it holds no access token".to_owned(),
            };
            return Err(Error::new(operation.id, reason).with_status(200));
        };
        let now = Instant::now();
        let life = lifetime.map(|seconds| {
            // Tokens of a PBX live for days at most; the bound keeps the sum within the clock's
            // range.
            let life = Duration::from_secs(seconds.min(30 * 86_400));
            let early = (life / 10).min(Duration::from_secs(60));
            Life {
                refresh_at: now + life.saturating_sub(early),
                ends_at: now + life,
            }
        });
        self.current = Some(Token {
            access: access.clone(),
            refresh: answer.refresh_token.filter(|token| !token.is_empty()),
            life,
        });
        Ok(access)
    }

    fn note_failure(&mut self, password: Secret, error: &Error) {
        let before = match &self.failed {
            Some(before) if before.password == password => before.rest,
            _ => Duration::ZERO,
        };
        let longer = |first: Duration| (before * 2).clamp(first, LONGEST_REST);
        let (rest, wait) = match error.kind() {
            // Nothing was sent.
            ErrorKind::Local => return,
            ErrorKind::RefusedLogin => (longer(FIRST_REST), longer(FIRST_REST)),
            _ if error.is_retryable() => (before, FAILURE_REST),
            // A certificate: no password was sent.
            ErrorKind::Transport => (before, FAILURE_REST),
            _ => (longer(FIRST_UNCLEAR_REST), longer(FIRST_UNCLEAR_REST)),
        };
        self.failed = Some(Failure {
            password,
            error: error.clone(),
            until: Instant::now() + wait,
            rest,
        });
    }
}

/// Whether a server of an older version says that it does not know the operation.
fn has_no_such_operation(error: &Error) -> bool {
    match error.reason() {
        Reason::NotFound => true,
        Reason::Validation { .. } => error.status() == Some(405),
        _ => false,
    }
}

/// Whether an error is one of the operations that give tokens.
pub(crate) fn is_of_sign_in(error: &Error) -> bool {
    let ids = [
        operations::SIGN_IN.id,
        operations::FORM_TOKEN.id,
        operations::REFRESH_TOKEN.id,
    ];
    error.operation().is_some_and(|id| ids.contains(&id))
}

fn second_factor(operation: Operation) -> Error {
    Error::new(operation.id, Reason::SecondFactorRequired)
}

async fn json_sign_in(login: &Login, password: &Secret) -> Result<Granted, Error> {
    let operation = operations::SIGN_IN;
    let invalid = |field, problem: &str| Error::invalid_request(operation.id, field, problem);
    let body = SignInRequest {
        username: SignInRequestUsername::try_from(login.username.as_str())
            .map_err(|_| invalid("username", "must have 1 to 64 characters"))?,
        password: password.clone(),
        domain: match login.domain.as_deref() {
            None => None,
            Some(domain) => Some(
                SignInRequestDomain::try_from(domain)
                    .map_err(|_| invalid("domain", "must have 1 to 280 characters"))?,
            ),
        },
    };
    let answer = Granted::read(login.api.sign_in(None, &body).await?)?;
    if answer.access_token.is_none() && answer.two_factor_enabled == Some(true) {
        return Err(second_factor(operation));
    }
    Ok(answer)
}

async fn form_sign_in(login: &Login, password: &Secret) -> Result<Granted, Error> {
    let body = FormTokenRequest {
        client_id: FORM_CLIENT_ID.to_owned(),
        grant_type: "password".to_owned(),
        username: Some(login.username.clone()),
        password: Some(password.clone()),
        domain: login.domain.clone(),
        scope: Some("all".to_owned()),
        refresh_token: None,
    };
    Granted::read(login.api.form_token(&body).await?)
}
