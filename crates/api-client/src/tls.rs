//! TLS with servers that have a private CA, another name, or a certificate that cannot be verified.

use std::path::PathBuf;

use callmeter_server_certificate::{Check, Settings, certificates, read_certificates};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};

/// How these options are called in a configuration, for texts that say what to do.
pub(crate) const SETTINGS: Settings = Settings {
    ca_file: "tls.ca_file",
    other_name: "use its name in the URL, or set it as tls.server_name",
    no_tls: "check port and scheme of the URL",
};

/// How a server's certificate is checked. The default is the operating system's trust store and the
/// URL's host name.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    ca_files: Vec<PathBuf>,
    ca_pem: Vec<Vec<u8>>,
    server_name: Option<String>,
    insecure: bool,
}

impl Tls {
    /// The default checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates of a PEM file, in addition to the operating system's.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_files.push(path.into());
        self
    }

    /// Trusts the certificates of a PEM text, in addition to the operating system's.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem.push(pem.into());
        self
    }

    /// Expects the certificate to be for this name instead of the URL's host: for servers that are
    /// addressed by IP address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts any certificate. Anyone on the network path can then read the credentials: for tests
    /// and first steps only.
    #[must_use]
    pub fn danger_accept_any_certificate(mut self, accept: bool) -> Self {
        self.insecure = accept;
        self
    }

    /// Checks the options as the client does: reads the CA files.
    ///
    /// # Errors
    /// If a file cannot be read or has no certificate, or the name is not valid.
    pub fn check(&self) -> Result<(), TlsError> {
        self.client_config().map(drop)
    }

    pub(crate) fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let mut config = self
            .what_to_check()?
            .client_config()
            .map_err(|error| TlsError::Setup(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn what_to_check(&self) -> Result<Check, TlsError> {
        if self.insecure {
            return Ok(Check::nothing());
        }
        let named = self.named()?;
        let check = if named.is_empty() {
            Check::system()
        } else {
            Check::system_and(named)
        };
        let check = check.map_err(|error| TlsError::Setup(error.to_string()))?;
        let Some(name) = &self.server_name else {
            return Ok(check);
        };
        let name =
            ServerName::try_from(name.clone()).map_err(|_| TlsError::ServerName(name.clone()))?;
        Ok(check.expect_name(name))
    }

    /// The certificates that the user named.
    fn named(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let mut named = Vec::new();
        for path in &self.ca_files {
            named.extend(read_certificates(path).map_err(|cause| TlsError::CaFile {
                path: path.clone(),
                cause,
            })?);
        }
        for pem in &self.ca_pem {
            named.extend(certificates(pem).ok_or(TlsError::CaPem)?);
        }
        Ok(named)
    }
}

/// Why TLS options cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A CA file cannot be read, or contains no certificate.
    #[error("CA file {}: {cause}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A CA text contains no certificate.
    #[error("the CA text holds no PEM certificate")]
    CaPem,
    /// The name to verify is neither a host name nor an IP address.
    #[error("TLS server name {0:?} is neither a host name nor an IP address")]
    ServerName(String),
    /// The TLS library reports an error.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
}
