//! The client: credentials, and one method for each operation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api_client::{
    ConcurrencyLimit, Error, Executor, ExecutorBuilder, Format, HttpOptions, Observer, Operation,
    Proxy, Reason, Reply, RequestContext, RequestEvent, RetryPolicy, Scrubber, SecretSource, Tls,
    Transport,
};
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap};

use crate::answer::{classify, hidden_error};
use crate::balances::{self, Balances};
use crate::calls::{self, CallsPage};
use crate::clients::{self, Clients};
use crate::generated::types::{AuthenticateRequest, UserInfo};
use crate::generated::{ReadClient, operations};
use crate::known_rows::KnownRows;
use crate::query::{BalanceQuery, CallsQuery, ClientsQuery, Login};
use crate::raw_table::{Column, RESPONSE_STATUS, RawTable, Unreadable};

/// A client of one HostedSuite customer. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Client {
    api: ReadClient,
    executor: Executor,
    base: Arc<str>,
    login: Arc<Credentials>,
    format: Format,
    known_calls: Option<Arc<dyn KnownRows>>,
}

struct Credentials {
    customer: String,
    username: String,
    password: SecretSource,
}

/// Builds a [`Client`].
#[derive(Clone)]
pub struct ClientBuilder {
    base: String,
    customer: String,
    username: String,
    password: Option<SecretSource>,
    format: Format,
    http: HttpOptions,
    retry: RetryPolicy,
    total_timeout: Duration,
    body_limit: u64,
    transport: Option<Arc<dyn Transport>>,
    observer: Option<Observer>,
    concurrency: Vec<ConcurrencyLimit>,
    known_calls: Option<Arc<dyn KnownRows>>,
}

impl ClientBuilder {
    /// The HostedSuite customer, a user of its web login, and the source of the password. The
    /// source is read for each request, so a password that is replaced in its file takes effect at
    /// once.
    #[must_use]
    pub fn credentials(
        mut self,
        customer: impl Into<String>,
        username: impl Into<String>,
        password: impl Into<SecretSource>,
    ) -> Self {
        self.customer = customer.into();
        self.username = username.into();
        self.password = Some(password.into());
        self
    }

    /// The format of requests and answers.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The longest time to establish a connection (10 s).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// The longest wait for the next part of an answer (30 s).
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.http.read_timeout = timeout;
        self
    }

    /// The longest time for one attempt, body included (60 s).
    #[must_use]
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// The largest body in bytes, after decompression (64 MiB).
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How failed reads are retried. All operations are reads; refused logins are never retried.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// How the server's certificate is checked.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.http.tls = tls;
        self
    }

    /// Call records that were read before, so that pages of JSON do not read them again while their
    /// text stays the same.
    #[must_use]
    pub fn known_calls(mut self, known: Arc<dyn KnownRows>) -> Self {
        self.known_calls = Some(known);
        self
    }

    /// The `User-Agent` header.
    #[must_use]
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.http.user_agent = text.into();
        self
    }

    /// Whether the proxies of the environment are used; by default, they are.
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

    /// Replaces the connections to the network. The transport is then responsible for connection
    /// time-outs and TLS.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// A function that is called once for each operation, for example to collect metrics.
    #[must_use]
    pub fn observe(mut self, observe: impl Fn(&RequestEvent) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer::new(observe));
        self
    }

    /// Limits on the requests that run at the same time, which clients may share.
    #[must_use]
    pub fn concurrency(mut self, limits: Vec<ConcurrencyLimit>) -> Self {
        self.concurrency = limits;
        self
    }

    /// Builds the client. Fails if the URL or the TLS options cannot be used, or credentials are
    /// missing. The password itself is not read yet.
    pub fn build(self) -> Result<Client, Error> {
        let base = api_client::base_url(&self.base)?;
        let base = base.as_str().trim_end_matches('/');
        let Some(password) = self.password else {
            return Err(Error::setup(
                "no credentials: call `credentials` on the builder",
            ));
        };
        let http = self.http.build()?;
        let transport = self.transport.unwrap_or_else(|| self.http.transport(&http));
        let executor = ExecutorBuilder::new("hostedsuite", transport, classify)
            .retry(self.retry)
            .total_timeout(self.total_timeout)
            .body_limit(self.body_limit)
            .observer(self.observer)
            .concurrency(self.concurrency)
            .build();
        let context = RequestContext::new(executor.clone()).format(self.format);
        Ok(Client {
            api: ReadClient::new(base, http, context),
            executor,
            base: base.into(),
            login: Arc::new(Credentials {
                customer: self.customer,
                username: self.username,
                password,
            }),
            format: self.format,
            known_calls: self.known_calls,
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base)
            .field("customer", &self.login.customer)
            .field("username", &self.login.username)
            .field("password", &self.login.password)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A builder for the API at this URL, whose path ends in `/api`.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            base: base_url.into(),
            customer: String::new(),
            username: String::new(),
            password: None,
            format: Format::default(),
            http: HttpOptions::default(),
            retry: RetryPolicy::default(),
            total_timeout: Duration::from_secs(60),
            body_limit: 64 * 1024 * 1024,
            transport: None,
            observer: None,
            concurrency: Vec::new(),
            known_calls: None,
        }
    }

    /// Checks the login with the cheapest request of the API. A refused login is
    /// [`Reason::RefusedLogin`].
    ///
    /// ```no_run
    /// # async fn example(
    /// #     client: &hostedsuite_client::Client,
    /// # ) -> Result<(), hostedsuite_client::Error> {
    /// use hostedsuite_client::ErrorKind;
    ///
    /// match client.authenticate().await {
    ///     Ok(user) => println!("signed in as {:?}", user.name),
    ///     Err(error) if error.kind() == ErrorKind::RefusedLogin => println!("wrong password"),
    ///     Err(other) => return Err(other),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn authenticate(&self) -> Result<UserInfo, Error> {
        let request = self.prepare(operations::AUTHENTICATE, |login| {
            Ok(AuthenticateRequest {
                customer_name: login.customer,
                user_name: login.username,
                password: login.password,
            })
        })?;
        let reply = self.api.authenticate(&request).await?;
        reply.read_with(|reply| {
            let user = reply.parse()?;
            match user.authenticated {
                Some(false) => Err(reply.error(Reason::RefusedLogin)),
                _ => Ok(user),
            }
        })
    }

    /// What clients have used and have left in a range of days.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     client: &hostedsuite_client::Client,
    /// # ) -> Result<(), hostedsuite_client::Error> {
    /// use hostedsuite_client::{BalanceQuery, CallRounding};
    ///
    /// let (first, last) = ("2026-08-01".parse().unwrap(), "2026-08-31".parse().unwrap());
    /// let august = BalanceQuery::between(first, last)
    ///     .bill_talk(true)
    ///     .rounding(CallRounding::NextMinute);
    /// for row in client.balances(&august).await?.rows().flatten() {
    ///     println!("{:?} has {:?} left", row.client_name(), row.balance().as_f64());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn balances(&self, query: &BalanceQuery) -> Result<Balances, Error> {
        let request = self.prepare(operations::LIST_CALL_ALLOWANCE_BALANCES, |login| {
            query.check()?;
            Ok(query.request(login))
        })?;
        let reply = self.api.list_call_allowance_balances(&request).await?;
        let table = reply
            .read_with(|reply| read_table(balances::COLUMNS, reply, None, RawTable::is_list))?;
        Ok(Balances::new(table))
    }

    /// The clients, with their allowances.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     client: &hostedsuite_client::Client,
    /// # ) -> Result<(), hostedsuite_client::Error> {
    /// use hostedsuite_client::ClientsQuery;
    ///
    /// for row in client.clients(&ClientsQuery::all()).await?.rows().flatten() {
    ///     let amount = row.allowance_amount().as_f64();
    ///     println!("{:?}: {amount:?} {:?}", row.name(), row.allowance_type());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn clients(&self, query: &ClientsQuery) -> Result<Clients, Error> {
        let request = self.prepare(operations::LIST_CLIENTS, |login| Ok(query.request(login)))?;
        let reply = self.api.list_clients(&request).await?;
        let table = reply
            .read_with(|reply| read_table(clients::COLUMNS, reply, None, RawTable::is_list))?;
        Ok(Clients::new(table))
    }

    /// One page of calls, by its number. The API does not say whether the first page is 0 or 1;
    /// [`Client::calls`] finds out.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     client: &hostedsuite_client::Client,
    /// # ) -> Result<(), hostedsuite_client::Error> {
    /// use hostedsuite_client::CallsQuery;
    ///
    /// let page = client.calls_page(&CallsQuery::all().page_size(1), 0).await?;
    /// println!("{:?} calls in all", page.total_count());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn calls_page(&self, query: &CallsQuery, number: i64) -> Result<CallsPage, Error> {
        let request = self.prepare(operations::LIST_CALLS, |login| {
            query.check()?;
            Ok(query.request(login, number))
        })?;
        let reply = self.api.list_calls(&request).await?;
        let bytes = reply.body.len() as u64;
        let date = date(&reply.headers);
        let no_content = reply.status.as_u16() == 204;
        let known = self.known_calls.as_deref();
        let table =
            reply.read_with(|reply| read_table(calls::COLUMNS, reply, known, RawTable::is_page))?;
        Ok(CallsPage::new(table, bytes, number, date, no_content))
    }

    /// Removes this client's password from any text.
    pub fn scrubber(&self) -> Scrubber {
        match self.login.password.read() {
            Ok(password) => Scrubber::new([&password]),
            Err(_) => Scrubber::default(),
        }
    }

    /// Makes a request with the current credentials. A failure is reported to the observer.
    fn prepare<R>(
        &self,
        operation: Operation,
        make: impl FnOnce(Login) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let request = self
            .login
            .password
            .read()
            .map_err(Error::from)
            .and_then(|password| {
                make(Login {
                    customer: self.login.customer.clone(),
                    username: self.login.username.clone(),
                    password,
                })
            });
        if let Err(error) = &request {
            self.executor.report_unsent(operation, error);
        }
        request
    }
}

/// The time that the `Date` header gives.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(date.timestamp())
}

/// Whether an answer without a body means a list without rows. An empty web page does not come from
/// the API.
fn is_empty_list<T>(reply: &Reply<T>) -> bool {
    let content_type = reply.headers.get(CONTENT_TYPE);
    let is_html = content_type.is_some_and(|value| {
        let start = value.as_bytes().trim_ascii_start().get(..9);
        start.is_some_and(|start| start.eq_ignore_ascii_case(b"text/html"))
    });
    reply.body.trim_ascii().is_empty() && !is_html
}

/// Reads an answer whose form `has_form` accepts.
fn read_table<T>(
    columns: &'static [Column],
    reply: &mut Reply<T>,
    known: Option<&dyn KnownRows>,
    has_form: fn(&RawTable) -> bool,
) -> Result<RawTable, Error> {
    let format = reply.format();
    if is_empty_list(reply) {
        return Ok(RawTable::empty(columns));
    }
    // The table takes the body; its beginning is kept, because it shows whether this is a web page.
    let body = std::mem::take(&mut reply.body);
    reply.body = Bytes::copy_from_slice(body.get(..body.len().min(256)).unwrap_or_default());
    let table = crate::raw_table::read(columns, body, format, known)
        .map_err(|Unreadable(reason)| reply.unreadable(reason))?;
    if let Some(status) = table.envelope().nested(RESPONSE_STATUS)
        && let Some(error) = hidden_error(reply, format, status)
    {
        return Err(error);
    }
    if !has_form(&table) {
        return Err(reply.unreadable("no list"));
    }
    Ok(table)
}
