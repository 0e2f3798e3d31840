//! The hosts that a URL names: they are tried one after the other, each for a limited time.
//!
//! The library that speaks to the server would wait for a host that accepts the connection and then
//! says nothing, and would never come to the next one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::config::{Host, LoadBalanceHosts};
use tokio_postgres::{Client, Config, Connection, Socket};

use crate::database::error::{DatabaseError, DatabaseResult};
use crate::ending::Ending;
use crate::postgres::in_time::in_time;
use crate::postgres::settings::{host_names, host_port};
use crate::postgres::tls::{Connector, Stream};
use crate::random;

/// How long a host that has not answered is tried after all others.
const LAST_FOR: Duration = Duration::from_mins(1);

/// The hosts and addresses that have not answered in time, and when that was.
static SILENT: Mutex<Option<HashMap<String, Instant>>> = Mutex::new(None);

type Connected = (Client, Connection<Socket, Stream<Socket>>);

/// The hosts of a URL.
pub(crate) struct Hosts {
    all: Vec<HostAndPort>,
    /// Whether they, and their addresses, are tried in random order.
    is_random: bool,
    /// How long the look-up of a host may take, and then the connection to each of its addresses.
    limit: Duration,
}

struct HostAndPort {
    name: String,
    /// The settings, with this host only.
    config: Config,
}

impl Hosts {
    pub(crate) fn new(config: &Config, limit: Duration) -> Self {
        let hosts = host_names(config).into_iter().enumerate();
        let hosts = hosts.map(|(index, name)| HostAndPort {
            name,
            config: only(config, index),
        });
        Self {
            all: hosts.collect(),
            is_random: config.get_load_balance_hosts() == LoadBalanceHosts::Random,
            limit,
        }
    }

    /// Connects to the first host that lets callmeter in.
    pub(crate) async fn connect(
        &self,
        connector: &Connector,
        ending: &Ending,
    ) -> DatabaseResult<Connected> {
        let mut failures = Vec::new();
        let mut hosts: Vec<_> = self.all.iter().collect();
        hosts.sort_by_cached_key(|host| self.turn(host));
        for host in hosts {
            let before = failures.len();
            let connected = self
                .connect_to(host, connector, ending, &mut failures)
                .await?;
            let is_silent = |(_, error): &_| matches!(error, DatabaseError::NoAnswer { .. });
            let all_failed = connected.is_none();
            note(
                &host.name,
                all_failed && failures[before..].iter().any(is_silent),
            );
            if let Some(connected) = connected {
                return Ok(connected);
            }
        }
        Err(match <[_; 1]>::try_from(failures) {
            Ok([(_, error)]) => error,
            Err(failures) => DatabaseError::Hosts(failures),
        })
    }

    /// What the order is sorted by: those that were silent come last.
    fn turn(&self, host: &HostAndPort) -> (bool, Option<[u8; 8]>) {
        (was_silent(&host.name), self.is_random.then(random::bytes))
    }

    /// Connects to one of the addresses of a host, or notes why not. An error ends everything.
    async fn connect_to(
        &self,
        host: &HostAndPort,
        connector: &Connector,
        ending: &Ending,
        failures: &mut Vec<(String, DatabaseError)>,
    ) -> DatabaseResult<Option<Connected>> {
        let mut addresses = match in_time(self.limit, ending, host.addresses()).await {
            Err(DatabaseError::GivenUp) => return Err(DatabaseError::GivenUp),
            Err(error) => {
                failures.push((host.name.clone(), error));
                return Ok(None);
            }
            Ok(addresses) => addresses,
        };
        addresses.sort_by_cached_key(|address| self.turn(address));
        for HostAndPort { name, config } in addresses {
            let connect = async { Ok(config.connect(connector.clone()).await?) };
            match in_time(self.limit, ending, connect).await {
                Err(DatabaseError::GivenUp) => return Err(DatabaseError::GivenUp),
                Err(error) => {
                    note(&name, matches!(error, DatabaseError::NoAnswer { .. }));
                    failures.push((name, error));
                }
                Ok(connected) => {
                    note(&name, false);
                    return Ok(Some(connected));
                }
            }
        }
        Ok(None)
    }
}

impl HostAndPort {
    /// The addresses of the host, each with its settings.
    async fn addresses(&self) -> DatabaseResult<Vec<Self>> {
        let (Some(Host::Tcp(host)), []) =
            (self.config.get_hosts().first(), self.config.get_hostaddrs())
        else {
            // A socket file, or the URL has the address.
            return Ok(vec![Self {
                name: self.name.clone(),
                config: self.config.clone(),
            }]);
        };
        let port = host_port(&self.config, 0);
        let found: Vec<_> = tokio::net::lookup_host((host.as_str(), port))
            .await?
            .collect();
        if found.is_empty() {
            return Err(std::io::Error::other("the name of the host has no address").into());
        }
        let is_one = found.len() == 1;
        let addresses = found.into_iter().map(|address| {
            let mut config = self.config.clone();
            config.hostaddr(address.ip());
            let name = if is_one {
                self.name.clone()
            } else {
                format!("{} ({})", self.name, address.ip())
            };
            Self { name, config }
        });
        Ok(addresses.collect())
    }
}

/// The same settings with one of the hosts only.
fn only(all: &Config, index: usize) -> Config {
    let mut one = Config::new();
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(name) = all.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    if let Some(name) = all.get_application_name() {
        one.application_name(name);
    }
    one.ssl_mode(all.get_ssl_mode());
    one.ssl_negotiation(all.get_ssl_negotiation());
    one.channel_binding(all.get_channel_binding());
    one.target_session_attrs(all.get_target_session_attrs());
    match all.get_hosts().get(index) {
        Some(Host::Tcp(name)) => one.host(name),
        Some(Host::Unix(path)) => one.host_path(path),
        None => &mut one,
    };
    if let Some(address) = all.get_hostaddrs().get(index) {
        one.hostaddr(*address);
    }
    one.port(host_port(all, index));
    // A server that is gone is noticed: by what is not acknowledged, and when nothing is sent.
    one.tcp_user_timeout(Duration::from_secs(10));
    one.keepalives(true);
    one.keepalives_idle(Duration::from_secs(5));
    one.keepalives_interval(Duration::from_secs(2));
    one.keepalives_retries(3);
    one
}

fn was_silent(name: &str) -> bool {
    let silent = silent();
    let since = silent.as_ref().and_then(|silent| silent.get(name));
    since.is_some_and(|since| since.elapsed() < LAST_FOR)
}

fn note(name: &str, is_silent: bool) {
    let mut silent = silent();
    if is_silent {
        let silent = silent.get_or_insert_default();
        silent.insert(name.to_owned(), Instant::now());
    } else if let Some(silent) = &mut *silent {
        silent.remove(name);
    }
}

fn silent() -> MutexGuard<'static, Option<HashMap<String, Instant>>> {
    SILENT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each setting of a URL is one of the connection to a host.
    #[test]
    fn a_host_has_all_settings() {
        let settings = "user:pass%40word@HOST/base?options=-c%20a%3Db&application_name=x&sslmode=require\
                        &sslnegotiation=direct&channel_binding=disable&target_session_attrs=read-write\
                        &hostaddr=ADDRESS";
        let url = |host: &str, address: &str| {
            let url = settings.replace("HOST", host).replace("ADDRESS", address);
            format!("postgres://{url}").parse::<Config>().unwrap()
        };
        let all = url("a:1,b:2", "127.0.0.1,127.0.0.2");
        assert_eq!(host_names(&all), ["a:1", "b:2"]);
        for (index, (host, address)) in [("a:1", "127.0.0.1"), ("b:2", "127.0.0.2")]
            .into_iter()
            .enumerate()
        {
            let mut alone = url(host, address);
            alone.tcp_user_timeout(Duration::from_secs(10));
            alone.keepalives_idle(Duration::from_secs(5));
            alone.keepalives_interval(Duration::from_secs(2));
            alone.keepalives_retries(3);
            assert_eq!(only(&all, index), alone);
        }
    }
}
