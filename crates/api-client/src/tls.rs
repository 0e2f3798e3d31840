//! TLS with servers that have a private CA, another name, or a certificate that cannot be verified.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

use crate::own_certificate;
use read_file_timeout::read_file;

/// The bundle of all public authorities is a quarter of a megabyte.
const MAX_CA_BYTES: u64 = 16 << 20;

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
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = self.verifier(&provider)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Setup(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        if self.insecure {
            return Ok(Arc::new(AcceptAny(Arc::clone(provider))));
        }
        let own = self.extra_roots()?;
        let verifier = if own.is_empty() {
            system_verifier(provider)?
        } else {
            Arc::new(new_verifier(own.clone(), provider)?)
        };
        let name = self.server_name.clone().map(|name| {
            ServerName::try_from(name.as_str())
                .map(|name| name.to_owned())
                .map_err(|_| TlsError::ServerName(name))
        });
        Ok(Arc::new(Trusting {
            name: name.transpose()?,
            own,
            verifier,
            algorithms: provider.signature_verification_algorithms,
        }))
    }

    fn extra_roots(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let mut roots = Vec::new();
        for path in &self.ca_files {
            let pem = read_file(path, MAX_CA_BYTES).map_err(|error| TlsError::CaFile {
                path: path.clone(),
                cause: error.to_string(),
            })?;
            let found = certificates(&pem).ok_or_else(|| TlsError::CaFile {
                path: path.clone(),
                cause: "it holds no PEM certificate".to_owned(),
            })?;
            roots.extend(found);
        }
        for pem in &self.ca_pem {
            roots.extend(certificates(pem).ok_or(TlsError::CaPem)?);
        }
        Ok(roots)
    }
}

/// The certificates of a PEM text; `None` when it has none, or a broken one.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .ok()?;
    (!found.is_empty()).then_some(found)
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

fn new_verifier(
    extra_roots: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, TlsError> {
    Verifier::new_with_extra_roots(extra_roots, Arc::clone(provider))
        .map_err(|error| TlsError::Setup(error.to_string()))
}

/// The verifier of the system's roots, shared by clients that are built within a minute: it holds
/// more than a hundred parsed certificates, half a megabyte. A client that is built later, after a
/// reload, reads the system's roots again.
fn system_verifier(provider: &Arc<CryptoProvider>) -> Result<Arc<Verifier>, TlsError> {
    const SHARED_FOR: Duration = Duration::from_secs(60);
    static LAST: Mutex<Option<(Instant, Weak<Verifier>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((made_at, verifier)) = &*last
        && made_at.elapsed() < SHARED_FOR
        && let Some(verifier) = verifier.upgrade()
    {
        return Ok(verifier);
    }
    let verifier = Arc::new(new_verifier(Vec::new(), provider)?);
    *last = Some((Instant::now(), Arc::downgrade(&verifier)));
    Ok(verifier)
}

/// Checks a certificate as the system does, with the names and certificates of the options.
struct Trusting {
    /// The name to expect, if it is not the URL's.
    name: Option<ServerName<'static>>,
    /// Certificates that the user named: authorities, or the server's own.
    own: Vec<CertificateDer<'static>>,
    verifier: Arc<Verifier>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Trusting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trusting")
            .field("name", &self.name)
            .field("own", &self.own.len())
            .finish_non_exhaustive()
    }
}

impl Trusting {
    fn is_own(&self, certificate: &CertificateDer<'_>) -> bool {
        self.own
            .iter()
            .any(|own| own.as_ref() == certificate.as_ref())
    }

    /// Whether the certificate is trusted as it is, and webpki cannot read it.
    fn is_own_version_1(&self, certificate: &CertificateDer<'_>) -> bool {
        self.is_own(certificate) && own_certificate::is_version_1(certificate)
    }
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        url_host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let name = self.name.as_ref().unwrap_or(url_host);
        let verified = self
            .verifier
            .verify_server_cert(end_entity, intermediates, name, ocsp, now);
        if verified.is_err() && self.is_own(end_entity) {
            return own_certificate::verify(end_entity, name, now);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.is_own_version_1(cert) {
            return own_certificate::verify_signature(message, cert, signature, &self.algorithms);
        }
        self.verifier
            .verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.is_own_version_1(cert) {
            return own_certificate::verify_signature(message, cert, signature, &self.algorithms);
        }
        self.verifier
            .verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Checks nothing: whoever skips the check of the certificate cannot tell whose key it is, so a
/// check of the key would protect nobody, and would refuse kinds of keys that the TLS library
/// lacks.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.0.signature_verification_algorithms.supported_schemes();
        schemes.extend([
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED448,
            SignatureScheme::RSA_PKCS1_SHA1,
        ]);
        schemes
    }
}
