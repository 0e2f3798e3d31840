//! Sets up the API clients as configured; every request is counted and logged.

use std::sync::Arc;

use api_client::{RequestEvent, Tls};

use super::hostedsuite::{Connection, KnownTexts, Retries};
use crate::config;
use crate::context::AppContext;
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;

/// The `User-Agent` of every request.
const USER_AGENT: &str = concat!("callmeter/", env!("CARGO_PKG_VERSION"));

/// A HostedSuite client, and what it shares with the readings of calls. Nothing is sent yet.
///
/// # Errors
/// If certificates cannot be read or the address is invalid.
pub(super) fn hosted_suite(
    account: &str,
    api: &config::HostedSuite,
    app: &AppContext,
) -> Result<Connection, api_client::Error> {
    let (retries, texts) = (Retries::default(), KnownTexts::default());
    let (sent_again, observe) = (retries.clone(), observer(account, &app.metrics));
    let observe = move |event: &RequestEvent| {
        if event.operation == hostedsuite_client::LIST_CALLS_ID {
            sent_again.add(event.retries, event.throttled);
        }
        observe(event);
    };
    let link = &api.link;
    let mut builder = hostedsuite_client::Client::builder(link.url.as_str())
        .credentials(
            api.customer.as_str(),
            link.username.as_str(),
            app.redactor.source(&link.password),
        )
        .format(match api.format {
            config::Format::Json => hostedsuite_client::Format::Json,
            config::Format::Jsv => hostedsuite_client::Format::Jsv,
        })
        .connect_timeout(link.connect_timeout)
        .read_timeout(link.timeout)
        .total_timeout(link.timeout)
        .body_limit(link.max_body)
        .tls(tls(&link.tls))
        .env_proxy(link.proxy == config::Proxy::Environment)
        .user_agent(USER_AGENT)
        .observe(observe)
        .known_calls(Arc::new(texts.clone()))
        .concurrency(app.hosts.of_account(&link.url));
    if let config::Proxy::Url(proxy) = &link.proxy {
        builder = builder.proxy(proxy.clone());
    }
    Ok(Connection {
        client: builder.build()?,
        retries,
        texts,
    })
}

/// A session with a PortSIP PBX that can only read. Nothing is sent yet.
///
/// # Errors
/// If certificates cannot be read or the address is invalid.
pub(super) fn port_sip(
    account: &str,
    api: &config::PortSip,
    metrics: &SelfMetrics,
    redactor: &Arc<SecretRedactor>,
) -> Result<portsip_client::Session, api_client::Error> {
    let link = &api.link;
    let mut builder = portsip_client::Session::builder(link.url.as_str())
        .credentials(link.username.as_str(), redactor.source(&link.password))
        .connect_timeout(link.connect_timeout)
        .read_timeout(link.timeout)
        .total_timeout(link.timeout)
        .body_limit(link.max_body)
        .tls(tls(&link.tls))
        .env_proxy(link.proxy == config::Proxy::Environment)
        .user_agent(USER_AGENT)
        .observe(observer(account, metrics));
    if let config::Proxy::Url(proxy) = &link.proxy {
        builder = builder.proxy(proxy.clone());
    }
    if let Some(domain) = &api.domain {
        builder = builder.domain(domain.as_str());
    }
    if let Some(rates) = &api.rates {
        builder = builder.export_limit(rates.max_export);
    }
    builder.build()
}

fn tls(tls: &config::Tls) -> Tls {
    let mut client_tls = Tls::new().danger_accept_any_certificate(tls.insecure_skip_verify);
    if let Some(file) = &tls.ca_file {
        client_tls = client_tls.ca_file(file);
    }
    if let Some(name) = &tls.server_name {
        client_tls = client_tls.server_name(name);
    }
    client_tls
}

fn observer(
    account: &str,
    metrics: &SelfMetrics,
) -> impl Fn(&RequestEvent) + Send + Sync + 'static {
    let account = account.to_owned();
    let metrics = metrics.clone();
    move |event| {
        let labels = [
            account.as_str(),
            event.api,
            event.operation,
            event.outcome.as_str(),
        ];
        metrics.api_requests.with_label_values(&labels).inc();
        metrics
            .api_request_duration
            .with_label_values(&labels)
            .observe(event.duration.as_secs_f64());
        tracing::debug!(
            account,
            operation = event.operation,
            outcome = event.outcome.as_str(),
            status = event.status,
            bytes = event.bytes,
            retries = event.retries,
            milliseconds = u64::try_from(event.duration.as_millis()).unwrap_or(u64::MAX),
            "api request"
        );
    }
}
