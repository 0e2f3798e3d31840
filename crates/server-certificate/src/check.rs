//! How a client checks a server's certificate.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

use crate::named;

/// Whom a client trusts, and which name it expects in a certificate. The cryptography is that of
/// ring.
pub struct Check {
    whom: Whom,
    /// Certificates that the user named: authorities, or the server's own.
    named: Vec<CertificateDer<'static>>,
    name: Name,
    provider: Arc<CryptoProvider>,
}

enum Whom {
    /// Whom this verifier trusts, and a server whose very certificate was named.
    Trusted(Arc<dyn ServerCertVerifier>),
    /// Everybody who has the key of the certificate that he shows.
    KeyHolders,
    /// Everybody.
    Anyone,
}

enum Name {
    /// That of the host that the client connects to.
    Host,
    Other(ServerName<'static>),
    Any,
}

impl Check {
    /// Trusts whom the operating system trusts.
    ///
    /// # Errors
    /// If the system's certificates cannot be read.
    pub fn system() -> Result<Self, Error> {
        let provider = provider();
        let verifier = system_verifier(&provider)?;
        Ok(Self::new(Whom::Trusted(verifier), Vec::new(), provider))
    }

    /// Trusts whom the operating system trusts, and who is named.
    ///
    /// # Errors
    /// If the system's certificates, or those that are named, cannot be read.
    pub fn system_and(named: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let provider = provider();
        let verifier = Verifier::new_with_extra_roots(named.clone(), Arc::clone(&provider))?;
        Ok(Self::new(
            Whom::Trusted(Arc::new(verifier)),
            named,
            provider,
        ))
    }

    /// Trusts only who is named.
    ///
    /// # Errors
    /// If the certificates cannot be read.
    pub fn only(named: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let provider = provider();
        let mut roots = RootCertStore::empty();
        for certificate in &named {
            roots.add(certificate.clone())?;
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
        Ok(Self::new(Whom::Trusted(verifier), named, provider))
    }

    /// Trusts everybody who has the key of the certificate that he shows: what is bound to the
    /// certificate is bound to this server.
    pub fn only_the_key() -> Self {
        Self::new(Whom::KeyHolders, Vec::new(), provider())
    }

    /// Checks nothing: whoever skips the check of the certificate cannot tell whose key it is, so a
    /// check of the key would protect nobody, and would refuse kinds of keys that the TLS library
    /// lacks.
    pub fn nothing() -> Self {
        Self::new(Whom::Anyone, Vec::new(), provider())
    }

    fn new(whom: Whom, named: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Self {
        Self {
            whom,
            named,
            name: Name::Host,
            provider,
        }
    }

    /// Expects this name instead of that of the host.
    #[must_use]
    pub fn expect_name(mut self, name: ServerName<'static>) -> Self {
        self.name = Name::Other(name);
        self
    }

    /// Accepts every name.
    #[must_use]
    pub fn any_name(mut self) -> Self {
        self.name = Name::Any;
        self
    }

    /// The configuration of a client that checks this, and presents no certificate of its own.
    ///
    /// # Errors
    /// If the TLS library refuses it.
    pub fn client_config(self) -> Result<ClientConfig, Error> {
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self))
            .with_no_client_auth();
        Ok(config)
    }

    fn is_named(&self, certificate: &CertificateDer<'_>) -> bool {
        let mut named = self.named.iter();
        named.any(|named| named.as_ref() == certificate.as_ref())
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("named", &self.named.len())
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Check {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Whom::Trusted(verifier) = &self.whom else {
            return Ok(ServerCertVerified::assertion());
        };
        let name = match &self.name {
            Name::Other(name) => name,
            Name::Host | Name::Any => host,
        };
        let mut verified = verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        if verified.is_err() && self.is_named(end_entity) {
            verified = named::verify(end_entity, name, now);
        }
        match verified {
            // The name is checked last, when everything else is right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if matches!(self.name, Name::Any) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        if matches!(self.whom, Whom::Anyone) {
            Ok(HandshakeSignatureValid::assertion())
        } else if named::is_version_1(certificate) {
            named::verify_tls12_signature(message, certificate, signature, algorithms)
        } else {
            verify_tls12_signature(message, certificate, signature, algorithms)
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        if matches!(self.whom, Whom::Anyone) {
            Ok(HandshakeSignatureValid::assertion())
        } else if named::is_version_1(certificate) {
            named::verify_tls13_signature(message, certificate, signature, algorithms)
        } else {
            verify_tls13_signature(message, certificate, signature, algorithms)
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let mut schemes = algorithms.supported_schemes();
        if matches!(self.whom, Whom::Anyone) {
            schemes.extend([
                SignatureScheme::ECDSA_NISTP521_SHA512,
                SignatureScheme::ED448,
                SignatureScheme::RSA_PKCS1_SHA1,
            ]);
        }
        schemes
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The verifier of the system's roots, shared by clients that are built within a minute: it holds
/// more than a hundred parsed certificates, half a megabyte. A client that is built later, after a
/// reload, reads the system's roots again.
fn system_verifier(provider: &Arc<CryptoProvider>) -> Result<Arc<Verifier>, Error> {
    const SHARED_FOR: Duration = Duration::from_secs(60);
    static LAST: Mutex<Option<(Instant, Weak<Verifier>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((made_at, verifier)) = &*last
        && made_at.elapsed() < SHARED_FOR
        && let Some(verifier) = verifier.upgrade()
    {
        return Ok(verifier);
    }
    let verifier = Arc::new(Verifier::new(Arc::clone(provider))?);
    *last = Some((Instant::now(), Arc::downgrade(&verifier)));
    Ok(verifier)
}
