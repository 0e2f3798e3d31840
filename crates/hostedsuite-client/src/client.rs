//! The client: who logs in where, and one method for each operation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api_client::{
    Answer, Error, Executor, ExecutorBuilder, HttpOptions, Observer, Operation, RequestEvent,
    RetryPolicy, Scrubber, SecretSource, Tally, Tls, Transport,
};
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::Serialize;
use url::Url;

use crate::answer::{error_of, format_of, hidden_error, judge, read};
use crate::generated::types::{AuthenticateRequest, UserInfo};
use crate::query::Login;
use crate::raw_table::{Column, RESPONSE_STATUS, RawTable, Unreadable};
use crate::{
    BalanceQuery, Balances, CallPages, CallsPage, CallsQuery, Clients, ClientsQuery, balances,
    calls, clients,
};

/// The format of requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON: the only format that the vendor supports.
    #[default]
    Json,
    /// ServiceStack's JSV: smaller, and not disabled.
    Jsv,
}

/// A client of one HostedSuite customer. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Client {
    executor: Executor,
    base: Url,
    login: Arc<Credentials>,
    format: Format,
}

struct Credentials {
    customer: String,
    username: String,
    password: SecretSource,
}

/// Makes a [`Client`].
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
}

impl ClientBuilder {
    /// Who logs in: the HostedSuite customer, a user of its web login, and where the password comes from. The source
    /// is asked for each request, so a password that is replaced in its file takes effect at once.
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

    /// The longest that one send may take, body included (60 s).
    #[must_use]
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// The longest body in bytes, after decompression (64 MiB).
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How failed reads are repeated. All operations are reads; refused logins are never repeated.
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

    /// A function that is told of each operation: what the metrics are made of.
    #[must_use]
    pub fn observe(mut self, observe: impl Fn(&RequestEvent) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer::new(observe));
        self
    }

    /// The client. Fails on a URL that is none, TLS options that do not hold together, and missing credentials; the
    /// password itself is not read yet.
    pub fn build(self) -> Result<Client, Error> {
        let base = api_client::base_url(&self.base)?;
        let Some(password) = self.password else {
            return Err(Error::Setup(
                "no credentials: call `credentials` on the builder".to_owned(),
            ));
        };
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(self.http.build()?),
        };
        Ok(Client {
            executor: ExecutorBuilder::new("hostedsuite", transport)
                .retry(self.retry)
                .total_timeout(self.total_timeout)
                .body_limit(self.body_limit)
                .observer(self.observer)
                .build(),
            base,
            login: Arc::new(Credentials {
                customer: self.customer,
                username: self.username,
                password,
            }),
            format: self.format,
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .field("customer", &self.login.customer)
            .field("username", &self.login.username)
            .field("password", &self.login.password)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

const AUTHENTICATE: &str = "authenticate";
const LIST_BALANCES: &str = "list_call_allowance_balances";
const LIST_CALLS: &str = "list_calls";
const LIST_CLIENTS: &str = "list_clients";

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
            total_timeout: Duration::from_mins(1),
            body_limit: 64 * 1024 * 1024,
            transport: None,
            observer: None,
        }
    }

    /// Proves the login: the cheapest request there is. A refused one is [`Error::RefusedLogin`].
    ///
    /// ```no_run
    /// # async fn example(client: &hostedsuite_client::Client) -> Result<(), hostedsuite_client::Error> {
    /// match client.authenticate().await {
    ///     Ok(user) => println!("signed in as {:?}", user.name),
    ///     Err(hostedsuite_client::Error::RefusedLogin { .. }) => println!("the password is wrong"),
    ///     Err(other) => return Err(other),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn authenticate(&self) -> Result<UserInfo, Error> {
        let tally = Tally::default();
        self.executor
            .observe(AUTHENTICATE, &tally, async {
                let login = self.login()?;
                let request = AuthenticateRequest {
                    customer_name: login.customer,
                    user_name: login.username,
                    password: login.password,
                };
                let answer = self
                    .post(AUTHENTICATE, "authenticate", &request, &tally)
                    .await?;
                let format = format_of(&answer.headers, self.format);
                let Some(user) = read::<UserInfo>(format, &answer.body) else {
                    return Err(unreadable(
                        AUTHENTICATE,
                        &answer,
                        "no user's data".to_owned(),
                    ));
                };
                if user.authenticated == Some(false) {
                    return Err(Error::RefusedLogin {
                        operation: AUTHENTICATE,
                        status: answer.status.as_u16(),
                        code: None,
                    });
                }
                Ok(user)
            })
            .await
    }

    /// What clients have used and have left in a range of days.
    ///
    /// ```no_run
    /// # async fn example(client: &hostedsuite_client::Client) -> Result<(), hostedsuite_client::Error> {
    /// use hostedsuite_client::{BalanceQuery, CallRounding};
    ///
    /// let august = BalanceQuery::between("2026-08-01".parse().unwrap(), "2026-08-31".parse().unwrap())
    ///     .bill_talk(true)
    ///     .rounding(CallRounding::NextMinute);
    /// for row in client.balances(&august).await?.rows().flatten() {
    ///     println!("{:?} has {:?} left", row.client_name(), row.balance().as_f64());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn balances(&self, query: &BalanceQuery) -> Result<Balances, Error> {
        let tally = Tally::default();
        self.executor
            .observe(LIST_BALANCES, &tally, async {
                query.check()?;
                let request = query.request(self.login()?);
                let answer = self
                    .post(LIST_BALANCES, "call-allowance/balance", &request, &tally)
                    .await?;
                let table = self.table(LIST_BALANCES, balances::COLUMNS, answer)?;
                Ok(Balances::new(table))
            })
            .await
    }

    /// The clients, with their allowances.
    ///
    /// ```no_run
    /// # async fn example(client: &hostedsuite_client::Client) -> Result<(), hostedsuite_client::Error> {
    /// use hostedsuite_client::ClientsQuery;
    ///
    /// for row in client.clients(&ClientsQuery::all()).await?.rows().flatten() {
    ///     println!("{:?}: {:?} {:?}", row.name(), row.allowance_amount().as_f64(), row.allowance_type());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn clients(&self, query: &ClientsQuery) -> Result<Clients, Error> {
        let tally = Tally::default();
        self.executor
            .observe(LIST_CLIENTS, &tally, async {
                let request = query.request(self.login()?);
                let answer = self.post(LIST_CLIENTS, "clients", &request, &tally).await?;
                let table = self.table(LIST_CLIENTS, clients::COLUMNS, answer)?;
                Ok(Clients::new(table))
            })
            .await
    }

    /// One page of calls, by its number. Whether the first is 0 or 1 is the server's secret; [`Client::calls`] finds out.
    ///
    /// ```no_run
    /// # async fn example(client: &hostedsuite_client::Client) -> Result<(), hostedsuite_client::Error> {
    /// use hostedsuite_client::CallsQuery;
    ///
    /// let page = client.calls_page(&CallsQuery::all().page_size(1), 0).await?;
    /// println!("{:?} calls in all", page.total_count());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn calls_page(&self, query: &CallsQuery, number: i64) -> Result<CallsPage, Error> {
        let tally = Tally::default();
        self.executor
            .observe(LIST_CALLS, &tally, async {
                query.check()?;
                let request = query.request(self.login()?, number);
                let answer = self.post(LIST_CALLS, "calls", &request, &tally).await?;
                let bytes = answer.body.len() as u64;
                let table = self.table(LIST_CALLS, calls::COLUMNS, answer)?;
                Ok(CallsPage::new(table, bytes, number))
            })
            .await
    }

    /// All calls that a query asks for, page by page. Nothing is sent before the first `next`.
    ///
    /// ```no_run
    /// # async fn example(client: &hostedsuite_client::Client) -> Result<(), hostedsuite_client::Error> {
    /// use hostedsuite_client::CallsQuery;
    ///
    /// let query = CallsQuery::on("2026-08-06".parse().unwrap()).page_size(1000);
    /// let mut pages = client.calls(&query);
    /// while let Some(page) = pages.next().await {
    ///     page?.for_each(|index, call| match call {
    ///         Ok(call) => println!("{index}: {:?} talked {:?} ms", call.id(), call.talk_time().duration_ms()),
    ///         Err(error) => eprintln!("{error}"),
    ///     });
    /// }
    /// // For the next walk on the same server: `query.page_base(pages.base())`.
    /// # Ok(())
    /// # }
    /// ```
    pub fn calls(&self, query: &CallsQuery) -> CallPages {
        CallPages::new(self.clone(), query.clone())
    }

    /// Removes this client's password from any text.
    pub fn scrubber(&self) -> Scrubber {
        match self.login.password.read() {
            Ok(password) => Scrubber::new([&password]),
            Err(_) => Scrubber::default(),
        }
    }

    fn login(&self) -> Result<Login, Error> {
        Ok(Login {
            customer: self.login.customer.clone(),
            username: self.login.username.clone(),
            password: self.login.password.read()?,
        })
    }

    async fn post(
        &self,
        operation: &'static str,
        path: &str,
        body: &impl Serialize,
        tally: &Tally,
    ) -> Result<Answer, Error> {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/{path}",
            self.base.path().trim_end_matches('/')
        ));
        let unwritable = || Error::InvalidRequest {
            operation,
            field: "body",
            problem: "cannot be written".to_owned(),
        };
        let (accept, content_type, text) = match self.format {
            Format::Json => (
                "application/json",
                "application/json",
                serde_json::to_string(body).map_err(|_| unwritable())?,
            ),
            Format::Jsv => {
                // The type that the vendor's page prints for `Accept` gets a web page; this one and the suffix get JSV.
                url.set_query(Some("format=jsv"));
                (
                    "application/jsv",
                    "text/jsv",
                    jsv::to_string(body).map_err(|_| unwritable())?,
                )
            }
        };
        let mut request = Request::new(Method::POST, url);
        let headers = request.headers_mut();
        // Exactly one type: the server looks at the first entry only.
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        *request.body_mut() = Some(text.into());
        let answer = self
            .executor
            .send(Operation::read(operation), request, tally, &judge)
            .await?;
        match error_of(operation, &answer) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    /// Reads an answer that is a list.
    fn table(
        &self,
        operation: &'static str,
        columns: &'static [Column],
        mut answer: Answer,
    ) -> Result<RawTable, Error> {
        let format = format_of(&answer.headers, self.format);
        // The table takes the body over; its beginning stays, to tell a web page by.
        let body = std::mem::take(&mut answer.body);
        answer.body = Bytes::copy_from_slice(body.get(..body.len().min(256)).unwrap_or_default());
        let table = RawTable::read(columns, body, format)
            .map_err(|Unreadable(reason)| unreadable(operation, &answer, reason))?;
        if let Some(status) = table.envelope().nested(RESPONSE_STATUS)
            && let Some(error) = hidden_error(operation, &answer, format, status)
        {
            return Err(error);
        }
        if !table.has_rows() {
            return Err(unreadable(operation, &answer, "no list".to_owned()));
        }
        Ok(table)
    }
}

fn unreadable(operation: &'static str, answer: &Answer, reason: String) -> Error {
    Error::unreadable(
        operation,
        answer.status,
        &answer.headers,
        &answer.body,
        reason,
    )
}
