//! Checks of client certificates that rustls lacks: no check, certificates that are their own
//! authority, and the check of names.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// As it is, whatever the profile of RFC 5280 says.
type Certificate = CertificateInner<Raw>;

/// Accepts any certificate whose key the client has: `RequestClientCert` and
/// `RequireAnyClientCert`.
#[derive(Debug)]
pub(crate) struct AnyCertificate {
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyCertificate {
    pub(crate) fn new(mandatory: bool, provider: &CryptoProvider) -> Self {
        Self {
            mandatory,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What a check that has another one inside leaves to it: everything but the certificate.
macro_rules! all_else_is_up_to_inner {
    () => {
        fn offer_client_auth(&self) -> bool {
            self.inner.offer_client_auth()
        }

        fn client_auth_mandatory(&self) -> bool {
            self.inner.client_auth_mandatory()
        }

        fn root_hint_subjects(&self) -> &[DistinguishedName] {
            self.inner.root_hint_subjects()
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.inner
                .verify_tls12_signature(message, certificate, signature)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.inner
                .verify_tls13_signature(message, certificate, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.inner.supported_verify_schemes()
        }
    };
}

/// Accepts, in addition to another check, a certificate that signs itself if it is one of the
/// authorities itself: most tools mark it as an authority (`CA:TRUE`), which webpki refuses.
#[derive(Debug)]
pub(crate) struct OwnAuthority {
    inner: Arc<dyn ClientCertVerifier>,
    authorities: Vec<CertificateDer<'static>>,
}

impl OwnAuthority {
    pub(crate) fn new(
        inner: Arc<dyn ClientCertVerifier>,
        authorities: Vec<CertificateDer<'static>>,
    ) -> Self {
        Self { inner, authorities }
    }

    /// Whether the certificate is trusted as it is, and valid now.
    fn is_trusted(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        let now = Duration::from_secs(now.as_secs());
        let is_valid = |certificate: Certificate| {
            let validity = certificate.tbs_certificate().validity();
            let [from, to] = [validity.not_before, validity.not_after];
            (from.to_unix_duration()..=to.to_unix_duration()).contains(&now)
        };
        self.authorities.contains(certificate)
            && Certificate::from_der(certificate).is_ok_and(is_valid)
    }
}

/// Whether a certificate was refused only because it may sign others.
fn is_refused_as_authority(error: &Error) -> bool {
    // webpki's errors have no types here; they print their names.
    format!("{error:?}").contains("CaUsedAsEndEntity")
}

impl ClientCertVerifier for OwnAuthority {
    all_else_is_up_to_inner!();

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .inner
            .verify_client_cert(end_entity, intermediates, now);
        match verified {
            Err(error) if is_refused_as_authority(&error) && self.is_trusted(end_entity, now) => {
                Ok(ClientCertVerified::assertion())
            }
            verified => verified,
        }
    }
}

/// Requires, in addition to another check, that the certificate has one of the allowed names (DNS,
/// IP, e-mail, URI), literally.
#[derive(Debug)]
pub(crate) struct AllowedSans {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: Vec<String>,
}

impl AllowedSans {
    pub(crate) fn new(inner: Arc<dyn ClientCertVerifier>, allowed: Vec<String>) -> Self {
        Self { inner, allowed }
    }
}

impl ClientCertVerifier for AllowedSans {
    all_else_is_up_to_inner!();

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .inner
            .verify_client_cert(end_entity, intermediates, now)?;
        let names = names(end_entity).ok_or(CertificateError::BadEncoding)?;
        if names.iter().any(|name| self.allowed.contains(name)) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }
}

/// The subject alternative names of a certificate, of the kinds that can be allowed; `None` if they
/// cannot be read.
fn names(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let names = certificate.tbs_certificate();
    let Some((_, SubjectAltName(names))) = names.get_extension().ok()? else {
        return Some(Vec::new());
    };
    Some(names.into_iter().filter_map(text).collect())
}

fn text(name: GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.as_str().to_owned()),
        GeneralName::IpAddress(address) => {
            let bytes = address.as_bytes();
            let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
            Some(address.ok()?.to_string())
        }
        _ => None,
    }
}
