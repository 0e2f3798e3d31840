//! Tokens: signing in (two generations of it), refreshing, and not trying too often.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use api_client::{Error, Executor, Kind, Secret, SecretSource};
use tokio::time::Instant;

use crate::answer::error_of;
use crate::generated::types::ApiError;
use crate::generated::types::{
    FormTokenRequest, RefreshTokenRequest, SignInRequest, SignInRequestDomain,
    SignInRequestUsername, SignInResult,
};
use crate::generated::{Client as Api, Error as Generated, ResponseValue};
use crate::{Inner, MANNERS};

/// The client id that the vendor's documentation prescribes for the form login.
const FORM_CLIENT_ID: &str = "9d806019-75b2-4b3d-bb8b-f5a3a412cc0a";

/// After a refusal the same credentials are not tried again for this long, doubling up to the second figure.
const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_mins(15);

/// For this long after a fresh token did not help an operation, its refusals are taken for a missing right.
const NO_RIGHT_REST: Duration = Duration::from_mins(10);

/// The same where it is the token that the server does not accept: it may be in the middle of a restart.
const NO_TOKEN_REST: Duration = Duration::from_secs(30);

/// Who signs in, and how the API is reached.
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: SecretSource,
    pub(crate) domain: Option<String>,
    pub(crate) executor: Executor,
    /// Builds requests; they are sent by the executor.
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
}

/// The state of a sign-in.
#[derive(Default)]
pub(crate) struct Tokens {
    current: Option<Token>,
    generation: Generation,
    refused: Option<Refusal>,
    /// The operations that a fresh token did not cure, and until when.
    futile: HashMap<&'static str, Instant>,
}

struct Token {
    access: Secret,
    refresh: Option<Secret>,
    life: Option<Life>,
}

/// When a token should be refreshed, and when it is over.
#[derive(Clone, Copy)]
struct Life {
    refresh_at: Instant,
    ends_at: Instant,
}

/// How the server signs in: by the newer way until it says that it does not know it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Generation {
    #[default]
    Json,
    Form,
}

struct Refusal {
    password: Secret,
    error: Error,
    until: Instant,
    rest: Duration,
}

impl Tokens {
    /// The access token: the one at hand, refreshed, or a new one.
    pub(crate) async fn access(&mut self, login: &Login) -> Result<Secret, Error> {
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
            // No way through to the server: the token at hand may still do.
            (Err(error), Some(access)) if error.is_retryable() => Ok(access),
            (Err(error), _) if error.is_retryable() => Err(error),
            (Err(_), _) => self.sign_in(login).await,
        }
    }

    /// Whether to try an operation again with another token after this one was refused. The token is forgotten then,
    /// unless another task has put a fresh one in its place already. Where a fresh token did not help lately, none is
    /// fetched: not each poll of what the account may not read signs in anew.
    pub(crate) fn may_renew(&mut self, operation: &'static str, refused: &Secret) -> bool {
        if self
            .futile
            .get(operation)
            .is_some_and(|until| Instant::now() < *until)
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

    /// Notes that a fresh token was refused like the one before it.
    pub(crate) fn note_futile_renewal(&mut self, operation: &'static str, error: &Error) {
        let rest = match error {
            Error::PermissionDenied { .. } => NO_RIGHT_REST,
            _ => NO_TOKEN_REST,
        };
        self.futile.insert(operation, Instant::now() + rest);
    }

    async fn sign_in(&mut self, login: &Login) -> Result<Secret, Error> {
        let password = login.password.read()?;
        if let Some(refusal) = &self.refused
            && refusal.password == password
            && Instant::now() < refusal.until
        {
            return Err(refusal.error.clone());
        }
        let result = match self.generation {
            Generation::Json => match json_sign_in(login, &password).await {
                Err(Error::NotFound { .. } | Error::Validation { status: 405, .. }) => {
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
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                // Other failures (a proxy's page, a certificate) lock nobody out.
                if matches!(error.kind(), Kind::RefusedLogin | Kind::PermissionDenied) {
                    self.note_refusal(password, &error);
                }
                return Err(error);
            }
        };
        self.refused = None;
        self.take(answer, "sign_in")
    }

    async fn refresh(&mut self, login: &Login, refresh: Secret) -> Result<Secret, Error> {
        let (operation, answer) = match self.generation {
            Generation::Json => {
                let body = RefreshTokenRequest {
                    refresh_token: refresh.clone(),
                };
                let result = run(login, "refresh_token", |api| async move {
                    api.refresh_token(&body).await
                })
                .await;
                ("refresh_token", result?)
            }
            Generation::Form => {
                let body = FormTokenRequest {
                    client_id: FORM_CLIENT_ID.to_owned(),
                    grant_type: "refresh_token".to_owned(),
                    refresh_token: Some(refresh.clone()),
                    ..FormTokenRequest::default()
                };
                let result = run(login, "form_token", |api| async move {
                    api.form_token(&body).await
                })
                .await;
                ("form_token", result?)
            }
        };
        let access = self.take(answer, operation)?;
        // A server that does not rotate refresh tokens may leave the old one out.
        if let Some(token) = &mut self.current {
            token.refresh.get_or_insert(refresh);
        }
        Ok(access)
    }

    fn take(&mut self, answer: SignInResult, operation: &'static str) -> Result<Secret, Error> {
        let Some(access) = answer.access_token.filter(|token| !token.is_empty()) else {
            if answer.two_factor_enabled == Some(true) {
                return Err(Error::SecondFactorRequired { operation });
            }
            return Err(Error::Unreadable {
                operation,
                status: 200,
                content_type: None,
                reason: "no access token in it".to_owned(),
            });
        };
        let now = Instant::now();
        let life = answer
            .expires_in
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(|seconds| {
                // No token of a PBX lives for more than days; the bound keeps the sum within the clock.
                let life = Duration::from_secs(seconds.min(30 * 86_400));
                let early = (life / 10).min(Duration::from_mins(1));
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

    fn note_refusal(&mut self, password: Secret, error: &Error) {
        let rest = match &self.refused {
            Some(before) if before.password == password => (before.rest * 2).min(LONGEST_REST),
            _ => FIRST_REST,
        };
        self.refused = Some(Refusal {
            password,
            error: error.clone(),
            until: Instant::now() + rest,
            rest,
        });
    }
}

async fn json_sign_in(login: &Login, password: &Secret) -> Result<SignInResult, Error> {
    let invalid = |field, problem: &str| Error::InvalidRequest {
        operation: "sign_in",
        field,
        problem: problem.to_owned(),
    };
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
    let answer = run(login, "sign_in", |api| async move {
        api.sign_in(None, &body).await
    })
    .await?;
    if answer.access_token.is_none() && answer.two_factor_enabled == Some(true) {
        return Err(Error::SecondFactorRequired {
            operation: "sign_in",
        });
    }
    Ok(answer)
}

async fn form_sign_in(login: &Login, password: &Secret) -> Result<SignInResult, Error> {
    let body = FormTokenRequest {
        client_id: FORM_CLIENT_ID.to_owned(),
        grant_type: "password".to_owned(),
        username: Some(login.username.clone()),
        password: Some(password.clone()),
        domain: login.domain.clone(),
        scope: Some("all".to_owned()),
        refresh_token: None,
    };
    run(login, "form_token", |api| async move {
        api.form_token(&body).await
    })
    .await
}

/// Runs an operation without a token.
async fn run<F>(
    login: &Login,
    operation: &'static str,
    send: impl FnOnce(Api) -> F,
) -> Result<SignInResult, Error>
where
    F: Future<Output = Result<ResponseValue<SignInResult>, Generated<ApiError>>>,
{
    let call = Inner::new(login.executor.clone(), MANNERS);
    let tally = call.tally();
    let api = Api::new_with_client(&login.base, login.http.clone(), call);
    // Boxed, for a generated method is some 5 KB, and these futures nest.
    let sending = Box::pin(send(api));
    login
        .executor
        .observe(operation, &tally, async {
            match sending.await {
                Ok(answer) => Ok(answer.into_inner()),
                Err(error) => Err(error_of(operation, error)),
            }
        })
        .await
}
