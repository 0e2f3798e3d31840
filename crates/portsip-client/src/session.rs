//! A session with a PBX: made from credentials, it reads; tokens are fetched as needed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api_client::{
    Error, Executor, ExecutorBuilder, HttpOptions, Observer, Proxy, RequestContext, RequestEvent,
    ResourceId, RetryPolicy, Scrubber, SecretSource, StatedAmount, Tls, TokenSource as _,
    Transport,
};

use crate::answer::classify;
use crate::generated::types::{CallRate, Tenant, TenantBilling};
use crate::generated::{ReadClient, SignInClient, WriteClient};
use crate::tokens::{Login, SessionTokens};

/// A session with a PortSIP PBX. It only reads: it has no operation that changes anything. Cheap to
/// clone; clones share token and connections.
#[derive(Clone)]
pub struct Session {
    api: ReadClient,
    tokens: Arc<SessionTokens>,
    base: Arc<str>,
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
    /// The user, and the source of the password. The source is read at each sign-in, so a password
    /// that is replaced in its file takes effect with the next one.
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

    /// The longest that one send may take, body included (60 s). Of an export, only the head
    /// counts.
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

    /// How the server's certificate is checked. A new PBX has a self-signed one.
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

    /// The proxy of all requests, instead of those of the environment.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.http.proxy = Some(proxy);
        self
    }

    /// Another way to the network, which is then responsible for connection time-outs and TLS.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// A function that is called once for each operation, signing in included: the source of
    /// metrics.
    #[must_use]
    pub fn observe(mut self, observe: impl Fn(&RequestEvent) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer::new(observe));
        self
    }

    /// The session. Nothing is sent yet. Fails on a URL that cannot be used, TLS options that
    /// cannot be used, and missing credentials.
    pub fn build(self) -> Result<Session, Error> {
        self.connect().map(|(session, _)| session)
    }

    /// Builds the session and, with the same tokens, a client for the operations that write.
    pub(crate) fn connect(self) -> Result<(Session, WriteClient), Error> {
        let base = api_client::base_url(&self.base)?;
        let base = base.as_str().trim_end_matches('/');
        let Some(password) = self.password else {
            return Err(Error::setup(
                "no credentials: call `credentials` on the builder",
            ));
        };
        let http = self.http.build()?;
        let transport = self.transport.unwrap_or_else(|| self.http.transport(&http));
        let executor: Executor = ExecutorBuilder::new("portsip", transport, classify)
            .retry(self.retry)
            .total_timeout(self.total_timeout)
            .body_limit(self.body_limit)
            .observer(self.observer)
            .build();
        let without_token = RequestContext::new(executor);
        let tokens = Arc::new(SessionTokens::new(Login {
            username: self.username,
            password,
            domain: self.domain,
            api: SignInClient::new(base, http.clone(), without_token.clone()),
        }));
        let context = without_token.tokens(tokens.clone());
        let session = Session {
            api: ReadClient::new(base, http.clone(), context.clone()),
            tokens,
            base: base.into(),
            export_limit: self.export_limit,
        };
        Ok((session, WriteClient::new(base, http, context)))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("base", &self.base)
            .field("username", &self.tokens.login().username)
            .field("domain", &self.tokens.login().domain)
            .field("password", &self.tokens.login().password)
            .finish_non_exhaustive()
    }
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
            total_timeout: Duration::from_secs(60),
            body_limit: 64 * 1024 * 1024,
            export_limit: 512 * 1024 * 1024,
            transport: None,
            observer: None,
        }
    }

    /// Signs in if there is no valid token. The other methods do so as needed.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// match session.sign_in().await {
    ///     Ok(()) => println!("the credentials are good"),
    ///     Err(error) if *error.reason() == portsip_client::Reason::SecondFactorRequired => {
    ///         println!("take another account");
    ///     }
    ///     Err(other) => return Err(other),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn sign_in(&self) -> Result<(), Error> {
        self.tokens.token().await.map(drop)
    }

    /// Whether an error is one of signing in, and not one of the operation that needed it.
    pub fn is_of_sign_in(error: &Error) -> bool {
        crate::tokens::is_of_sign_in(error)
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
        self.api.get_tenant_billing().await?.decode()
    }

    /// The balance. It moves in online charging only.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// use portsip_client::StatedAmount;
    ///
    /// match session.balance().await? {
    ///     StatedAmount::Known(balance) => println!("{balance} left"),
    ///     StatedAmount::Missing => println!("the server states none"),
    ///     StatedAmount::Unreadable(text) => println!("not a number: {text}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn balance(&self) -> Result<StatedAmount, Error> {
        #[derive(serde::Deserialize)]
        struct Stated {
            #[serde(default)]
            balance: StatedAmount,
        }
        let reply = self.api.get_tenant_balance().await?;
        reply.read_with(|reply| {
            let format = reply.format();
            let read = format.read::<Stated>(&reply.body);
            let stated = read.map_err(|problem| reply.unreadable(problem))?;
            Ok(stated.balance)
        })
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
        self.api.get_tenant().await?.decode()
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
        self.api.get_call_rate(id).await?.decode()
    }

    /// All operations of the API that read, as the description has them. They use this session's
    /// token, renewal, retries and time-outs.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// let balance = session.api().get_tenant_balance().await?.decode()?;
    /// println!("{:?}", balance.balance);
    /// # Ok(())
    /// # }
    /// ```
    pub fn api(&self) -> &ReadClient {
        &self.api
    }

    /// Removes this session's password from any text.
    pub fn scrubber(&self) -> Scrubber {
        match self.tokens.login().password.read() {
            Ok(password) => Scrubber::new([&password]),
            Err(_) => Scrubber::default(),
        }
    }

    pub(crate) fn export_limit(&self) -> u64 {
        self.export_limit
    }
}
