//! A session with a PBX: credentials in, answers out; tokens are its own business.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use api_client::{
    Error, Executor, ExecutorBuilder, HttpOptions, Observer, Outcome, RequestEvent, ResourceId,
    RetryPolicy, Scrubber, Secret, SecretSource, Tally, Tls, Transport,
};
use tokio::sync::Mutex;

use crate::answer::{error_of, may_be_token};
use crate::auth::{Login, Tokens};
use crate::generated::types::ApiError;
use crate::generated::{ByteStream, Client as Api, Error as Generated, ResponseValue};
use crate::{
    Amount, CallRate, ExportedRates, Inner, MANNERS, RatePages, RatesQuery, Tenant, TenantBilling,
    WritableSession,
};

/// A session with a PortSIP PBX that only reads. Cheap to clone; clones share token and connections.
#[derive(Clone)]
pub struct Session(Arc<Shared>);

struct Shared {
    login: Login,
    tokens: Mutex<Tokens>,
    export_limit: u64,
}

/// Makes a [`Session`].
#[derive(Clone)]
pub struct SessionBuilder {
    base: String,
    username: String,
    password: Option<SecretSource>,
    domain: Option<String>,
    http: HttpOptions,
    retry: RetryPolicy,
    total_timeout: Duration,
    body_limit: u64,
    export_limit: u64,
    transport: Option<Arc<dyn Transport>>,
    observer: Option<Observer>,
}

impl SessionBuilder {
    /// Who signs in, and where the password comes from. The source is asked at each sign-in, so a password that is
    /// replaced in its file takes effect with the next one.
    #[must_use]
    pub fn credentials(
        mut self,
        username: impl Into<String>,
        password: impl Into<SecretSource>,
    ) -> Self {
        self.username = username.into();
        self.password = Some(password.into());
        self
    }

    /// The tenant's SIP domain. Only system administrators and dealers have none.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// The longest that a connection may take to come up (10 s).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// The longest silence while an answer is due (30 s).
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.http.read_timeout = timeout;
        self
    }

    /// The longest that one send may take, body included (60 s). Of an export, only the head counts.
    #[must_use]
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// The longest body in bytes, after decompression (64 MiB); an export may be longer.
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.body_limit = bytes;
        self
    }

    /// The longest export in bytes, after decompression (512 MiB).
    #[must_use]
    pub fn export_limit(mut self, bytes: u64) -> Self {
        self.export_limit = bytes;
        self
    }

    /// How failed reads are repeated. Writes and refused logins never are.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// How the server's certificate is checked. A fresh PBX shows one that it signed itself.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.http.tls = tls;
        self
    }

    /// The `User-Agent` header.
    #[must_use]
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.http.user_agent = text.into();
        self
    }

    /// Whether proxies of the environment are used (they are).
    #[must_use]
    pub fn env_proxy(mut self, used: bool) -> Self {
        self.http.use_env_proxy = used;
        self
    }

    /// Another way to the network. Time-outs of connections and TLS are then its business.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// A function that is told of each operation, signing in included: what the metrics are made of.
    #[must_use]
    pub fn observe(mut self, observe: impl Fn(&RequestEvent) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer::new(observe));
        self
    }

    /// The session. Nothing is sent yet. Fails on a URL that is none, TLS options that do not hold together, and
    /// missing credentials.
    pub fn build(self) -> Result<Session, Error> {
        let base = api_client::base_url(&self.base)?;
        let Some(password) = self.password else {
            return Err(Error::Setup(
                "no credentials: call `credentials` on the builder".to_owned(),
            ));
        };
        let http = self.http.build()?;
        let transport = self.transport.unwrap_or_else(|| Arc::new(http.clone()));
        let executor = ExecutorBuilder::new("portsip", transport)
            .retry(self.retry)
            .total_timeout(self.total_timeout)
            .body_limit(self.body_limit)
            .observer(self.observer)
            .build();
        Ok(Session(Arc::new(Shared {
            login: Login {
                username: self.username,
                password,
                domain: self.domain,
                executor,
                http,
                base: base.as_str().trim_end_matches('/').to_owned(),
            },
            tokens: Mutex::default(),
            export_limit: self.export_limit,
        })))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("base", &self.0.login.base)
            .field("username", &self.0.login.username)
            .field("domain", &self.0.login.domain)
            .field("password", &self.0.login.password)
            .finish_non_exhaustive()
    }
}

/// When the observer is told of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Report {
    /// When its answer is there.
    AtEnd,
    /// When it failed; otherwise whoever reads its body does.
    FailureOnly,
}

/// A call that failed, with what a facade method may still make of it.
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// The body that could not be read, where that is what failed.
    pub(crate) body: Option<bytes::Bytes>,
}

impl Session {
    /// A builder for the API at this URL, such as `https://pbx.example.com:8887/api`.
    pub fn builder(base_url: impl Into<String>) -> SessionBuilder {
        SessionBuilder {
            base: base_url.into(),
            username: String::new(),
            password: None,
            domain: None,
            http: HttpOptions::default(),
            retry: RetryPolicy::default(),
            total_timeout: Duration::from_mins(1),
            body_limit: 64 * 1024 * 1024,
            export_limit: 512 * 1024 * 1024,
            transport: None,
            observer: None,
        }
    }

    /// Signs in if there is no good token yet. The other methods do so by themselves.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// match session.sign_in().await {
    ///     Ok(()) => println!("the credentials are good"),
    ///     Err(portsip_client::Error::SecondFactorRequired { .. }) => println!("take another account"),
    ///     Err(other) => return Err(other),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn sign_in(&self) -> Result<(), Error> {
        self.token().await.map(drop)
    }

    /// The billing settings.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// let billing = session.billing().await?;
    /// println!("enabled: {:?}, {:?}, {:?}", billing.enabled, billing.account, billing.type_);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn billing(&self) -> Result<TenantBilling, Error> {
        self.call("get_tenant_billing", |api| async move {
            api.get_tenant_billing().await
        })
        .await
    }

    /// The balance; `None` when the server states none. It moves in online charging only.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// if let Some(balance) = session.balance().await? {
    ///     println!("{balance} left");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn balance(&self) -> Result<Option<Amount>, Error> {
        self.call("get_tenant_balance", |api| async move {
            api.get_tenant_balance().await
        })
        .await
        .map(|answer| answer.balance)
    }

    /// The tenant: its currency, among others.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// println!("amounts are in {:?}", session.tenant().await?.currency);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn tenant(&self) -> Result<Tenant, Error> {
        self.call("get_tenant", |api| async move { api.get_tenant().await })
            .await
    }

    /// The call rates, page by page. The API's lists leave out the connect fee; [`Session::rate`] and
    /// [`Session::export`] have it.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// use portsip_client::RatesQuery;
    ///
    /// let mut pages = session.rates(&RatesQuery::default().filter("startswith(prefix,'49')"));
    /// while let Some(page) = pages.next().await {
    ///     for rate in page?.rates.into_iter().flatten() {
    ///         println!("{:?}: {:?} a minute", rate.prefix, rate.price_n);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn rates(&self, query: &RatesQuery) -> RatePages {
        RatePages::new(self.clone(), query.clone())
    }

    /// One call rate with all its members.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// let rate = session.rate(&"NzAwNTUxOTA5NzczMTQ4MTYw".parse().unwrap()).await?;
    /// println!("{:?}", rate.connect_fee);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn rate(&self, id: &ResourceId) -> Result<CallRate, Error> {
        self.call("get_call_rate", |api| {
            let id = id.clone();
            async move { api.get_call_rate(&id).await }
        })
        .await
    }

    /// All call rates in one request, read while they arrive. What the file's columns are called is documented
    /// nowhere; see [`ExportedRates::NoColumns`] for files that cannot be understood, and [`Session::deck`] for a
    /// method that then goes another way.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// use portsip_client::ExportedRates;
    ///
    /// match session.export().await? {
    ///     ExportedRates::Rates(mut export) => {
    ///         while let Some(rate) = export.next().await {
    ///             match rate? {
    ///                 Ok(rate) => println!("{:?} {:?}", rate.prefix, rate.price_1),
    ///                 Err(bad_row) => eprintln!("{bad_row}"),
    ///             }
    ///         }
    ///     }
    ///     ExportedRates::NoColumns(missing) => eprintln!("{missing}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn export(&self) -> Result<ExportedRates, Error> {
        crate::csv_export::open(self).await
    }

    /// The half of the API that changes things. A program that only watches should never call this.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// let session: portsip_client::WritableSession = session.writable();
    /// # Ok(())
    /// # }
    /// ```
    pub fn writable(&self) -> WritableSession {
        WritableSession::new(self.clone())
    }

    /// Removes this session's password from any text.
    pub fn scrubber(&self) -> Scrubber {
        match self.0.login.password.read() {
            Ok(password) => Scrubber::new([&password]),
            Err(_) => Scrubber::default(),
        }
    }

    pub(crate) fn executor(&self) -> &Executor {
        &self.0.login.executor
    }

    pub(crate) fn export_limit(&self) -> u64 {
        self.0.export_limit
    }

    async fn token(&self) -> Result<Secret, Error> {
        // Held while signing in: tasks that come meanwhile wait and share the token.
        self.0.tokens.lock().await.access(&self.0.login).await
    }

    /// Runs an operation with a token; once more with a fresh one when the token is refused.
    pub(crate) async fn call<T, F>(
        &self,
        operation: &'static str,
        send: impl Fn(Api) -> F + Sync,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<ResponseValue<T>, Generated<ApiError>>> + Send,
    {
        self.call_keeping_body(operation, send)
            .await
            .map_err(|failed| failed.error)
    }

    pub(crate) async fn call_keeping_body<T, F>(
        &self,
        operation: &'static str,
        send: impl Fn(Api) -> F + Sync,
    ) -> Result<T, Failed>
    where
        F: Future<Output = Result<ResponseValue<T>, Generated<ApiError>>> + Send,
    {
        self.call_with_tally(operation, send, Report::AtEnd)
            .await
            .map(|(answer, _)| answer)
    }

    /// Opens an operation whose body is read later: whoever reads it tells the observer how it ended.
    pub(crate) async fn open<F>(
        &self,
        operation: &'static str,
        send: impl Fn(Api) -> F + Sync,
    ) -> Result<(ByteStream, Arc<Tally>), Error>
    where
        F: Future<Output = Result<ResponseValue<ByteStream>, Generated<ApiError>>> + Send,
    {
        self.call_with_tally(operation, send, Report::FailureOnly)
            .await
            .map_err(|failed| failed.error)
    }

    async fn call_with_tally<T, F>(
        &self,
        operation: &'static str,
        send: impl Fn(Api) -> F + Sync,
        report: Report,
    ) -> Result<(T, Arc<Tally>), Failed>
    where
        F: Future<Output = Result<ResponseValue<T>, Generated<ApiError>>> + Send,
    {
        let no_body = |error| Failed { error, body: None };
        let token = self.token().await.map_err(no_body)?;
        let failed = match self.once(operation, &token, &send, report).await {
            Err(failed) if may_be_token(&failed.error) => failed,
            result => return result,
        };
        let fresh = {
            let mut tokens = self.0.tokens.lock().await;
            if !tokens.may_renew(operation, &token) {
                return Err(failed);
            }
            tokens.access(&self.0.login).await.map_err(no_body)?
        };
        let result = self.once(operation, &fresh, &send, report).await;
        if let Err(failed) = &result
            && may_be_token(&failed.error)
        {
            self.0
                .tokens
                .lock()
                .await
                .note_futile_renewal(operation, &failed.error);
        }
        result
    }

    async fn once<T, F>(
        &self,
        operation: &'static str,
        token: &Secret,
        send: &(impl Fn(Api) -> F + Sync),
        report: Report,
    ) -> Result<(T, Arc<Tally>), Failed>
    where
        F: Future<Output = Result<ResponseValue<T>, Generated<ApiError>>> + Send,
    {
        let login = &self.0.login;
        let call = Inner::new(login.executor.clone(), MANNERS).bearer(Some(token.clone()));
        let tally = call.tally();
        let api = Api::new_with_client(&login.base, login.http.clone(), call);
        let mut body = None;
        let result = login
            .executor
            .trace(operation, &tally, async {
                // Boxed, for a generated method is some 5 KB, and these futures nest.
                match Box::pin(send(api)).await {
                    Ok(answer) => Ok(answer.into_inner()),
                    Err(error) => {
                        body = api_client::unread_body(&error);
                        Err(error_of(operation, error))
                    }
                }
            })
            .await;
        if result.is_err() || report == Report::AtEnd {
            login
                .executor
                .report(operation, &tally, Outcome::of(&result));
        }
        match result {
            Ok(answer) => Ok((answer, tally)),
            Err(error) => Err(Failed { error, body }),
        }
    }
}
