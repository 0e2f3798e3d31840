//! Where a journal on a server is, and how to reach it.

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, SslMode};

use crate::error::{JournalError, Result};
use crate::location::{Location, ServerLocation};

/// A journal on a PostgreSQL server.
#[derive(Clone)]
pub struct PostgresJournal {
    /// `postgres://user:password@host:port/database`, with what libpq allows after a `?`.
    pub url: String,
    /// The schema of the database that has the journal's tables. It is created if it does not
    /// exist.
    pub schema: String,
    /// Whether connections are encrypted. `None`: as the URL says, else `prefer`.
    pub tls: Option<TlsMode>,
    /// The certificates in PEM that the server's is checked against. `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long the look-up of a host may take, and then a connection to each of its addresses.
    pub connect_timeout: Duration,
    /// How long the server may take to answer to a statement. It waits for locks for up to 20
    /// seconds.
    pub answer_timeout: Duration,
}

/// Whether connections are encrypted, in the words of libpq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the server can. The server's certificate is not checked.
    Prefer,
    /// Always. The server's certificate is not checked, unless there is a `ca_file`: then it is
    /// `verify-ca`.
    Require,
    /// Always. Someone in `ca_file`, or whom the system trusts, signed the server's certificate.
    VerifyCa,
    /// Always. The certificate is also for the host in the URL.
    VerifyFull,
}

impl PostgresJournal {
    /// The journal in the schema `callmeter` of the database that a URL names.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            schema: "callmeter".to_owned(),
            tls: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
        }
    }

    /// Whether a journal can be in a schema of this name.
    pub fn is_schema_name(name: &str) -> bool {
        // The server cuts longer names, and keeps those that start with `pg_` for itself.
        !name.is_empty()
            && name.len() <= 63
            && !name.contains(['"', '\0', ','])
            && !name.starts_with("pg_")
    }

    /// Checks these settings without connecting. Returns where the journal is.
    pub fn check(&self) -> Result<Location> {
        Ok(self.location(&self.config()?))
    }

    /// The password in the URL.
    pub fn password(&self) -> Option<String> {
        let config = self.config().ok()?;
        let password = config.get_password()?;
        Some(String::from_utf8_lossy(password).into_owned())
    }

    /// Reads the URL. Its text is in no error.
    pub(crate) fn config(&self) -> Result<Config> {
        if !self.url.starts_with("postgres://") && !self.url.starts_with("postgresql://") {
            return Err(bad_url("it does not begin with `postgres://`"));
        }
        let mut config: Config = self
            .url
            .parse()
            .map_err(|source: tokio_postgres::Error| bad_url(&reason(&source)))?;
        // Otherwise a part of a password would be taken for the host, and shown.
        let address = self.url.split('?').next().unwrap_or_default();
        if address.matches('@').count() > 1 {
            return Err(bad_url(
                "it has several `@`; write that of a password as %40",
            ));
        }
        if config.get_hosts().is_empty() {
            return Err(bad_url("it names no host"));
        }
        if config.get_user().is_none() {
            return Err(bad_url("it names no user"));
        }
        if !Self::is_schema_name(&self.schema) {
            return Err(JournalError::BadSchemaName {
                schema: self.schema.clone(),
            });
        }
        if config.get_dbname().is_none() {
            let user = config.get_user().unwrap_or_default().to_owned();
            config.dbname(&user);
        }
        config.application_name("callmeter");
        check_places(&config)?;
        self.set_tls(&mut config)?;
        Ok(config)
    }

    fn set_tls(&self, config: &mut Config) -> Result<()> {
        let checks = [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull];
        if self.ca_file.is_some() && !self.tls.is_some_and(|tls| checks.contains(&tls)) {
            return Err(JournalError::UnusedCaFile {
                journal: self.location(config),
            });
        }
        match self.tls {
            None => {}
            Some(TlsMode::Disable) => {
                config.ssl_mode(SslMode::Disable);
            }
            Some(TlsMode::Prefer) => {
                config.ssl_mode(SslMode::Prefer);
            }
            Some(TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull) => {
                config.ssl_mode(SslMode::Require);
            }
        }
        if config.get_channel_binding() == ChannelBinding::Require {
            if config.get_ssl_mode() == SslMode::Disable {
                return Err(JournalError::Unbound {
                    journal: self.location(config),
                    reason:
                        "`tls` or `sslmode` turns TLS off; set `tls` to verify-full, or remove \
                             `channel_binding`"
                            .to_owned(),
                });
            }
            // Without TLS there is nothing to bind a login to.
            config.ssl_mode(SslMode::Require);
        }
        Ok(())
    }

    pub(crate) fn location(&self, config: &Config) -> Location {
        Location::Server(Box::new(ServerLocation {
            host: host_names(config).join(","),
            database: config.get_dbname().unwrap_or_default().to_owned(),
            schema: self.schema.clone(),
        }))
    }
}

/// Checks that the lists of hosts, addresses and ports belong together.
fn check_places(config: &Config) -> Result<()> {
    let hosts = config.get_hosts().len();
    let is_one_each = |count: usize| count == 0 || count == hosts;
    if !is_one_each(config.get_hostaddrs().len()) {
        return Err(bad_url("it needs one `hostaddr` for each host, or none"));
    }
    if config.get_ports().len() != 1 && !is_one_each(config.get_ports().len()) {
        return Err(bad_url("it needs one port for each host, or one for all"));
    }
    Ok(())
}

/// The hosts of a URL with their ports, without what is secret.
pub(crate) fn host_names(config: &Config) -> Vec<String> {
    let hosts = config.get_hosts().iter().enumerate();
    let names = hosts.map(|(index, host)| {
        let port = host_port(config, index);
        match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    });
    names.collect()
}

/// The port of a host of a URL.
pub(crate) fn host_port(config: &Config, index: usize) -> u16 {
    let ports = config.get_ports();
    let port = ports.get(index).or(ports.first());
    port.copied().unwrap_or(5432)
}

fn bad_url(what: &str) -> JournalError {
    JournalError::BadUrl {
        what: what.to_owned(),
    }
}

/// Why a URL cannot be read. What is left out may be a part of a password.
fn reason(source: &tokio_postgres::Error) -> String {
    match source.source().map(ToString::to_string) {
        Some(cause) if cause.contains("`sslmode`") => {
            "its `sslmode` is none of disable, prefer and require; the setting `tls` has the others"
                .to_owned()
        }
        Some(cause) if cause.starts_with("invalid value for option") => cause,
        _ => "it cannot be read; write special characters of a password as %40".to_owned(),
    }
}

impl fmt::Debug for PostgresJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresJournal")
            .field("schema", &self.schema)
            .field("tls", &self.tls)
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_password_is_taken_for_a_host() {
        for url in [
            "postgres://cm:S3cret@Zebra@127.0.0.1/cm",
            "postgres://cm:S3cret@Zebra/x@127.0.0.1:5432/cm?sslmode=disable",
        ] {
            let error = PostgresJournal::new(url).config().unwrap_err().to_string();
            assert!(error.contains("%40") && !error.contains("Zebra"), "{error}");
        }
        let url = "postgres://cm:S3cret%40Zebra@127.0.0.1/cm?application_name=a@b";
        let journal = PostgresJournal::new(url);
        let config = journal.config().unwrap();
        let location = journal.location(&config).to_string();
        assert!(!location.contains("Zebra"), "{location}");
    }
}
