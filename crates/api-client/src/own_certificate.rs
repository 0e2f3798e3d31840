//! A server's certificate that the user named himself: it is trusted as it is, as curl does.
//!
//! webpki refuses two kinds that people make: a certificate that signs itself and may also sign
//! others (`CA:TRUE`, which `openssl req -x509` writes), and version 1 of X.509 (which
//! `openssl x509 -req` writes). Whoever names the very certificate of the server as `ca_file`
//! trusts the server's key. Its dates and its name are checked here.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified};
use rustls::client::verify_server_name;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error};
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate, X509Version};

/// Checks dates and name of a certificate that is trusted as it is.
pub(crate) fn verify(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    let parsed = parse(certificate)?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let time = ASN1Time::from_timestamp(seconds).map_err(|_| CertificateError::BadEncoding)?;
    if time < parsed.validity().not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    if time > parsed.validity().not_after {
        return Err(CertificateError::Expired.into());
    }
    if parsed.version() == X509Version::V3 {
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    } else {
        // Version 1 has no list of names: the subject's name is all there is.
        let expected = name.to_str();
        let mut names = parsed.subject().iter_common_name();
        let is_named = |common: &str| common.eq_ignore_ascii_case(&expected);
        if !names.any(|common| common.as_str().is_ok_and(is_named)) {
            return Err(CertificateError::NotValidForName.into());
        }
    }
    Ok(ServerCertVerified::assertion())
}

/// Checks that the server has the key of the certificate.
pub(crate) fn verify_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let parsed = parse(certificate)?;
    if parsed.version() == X509Version::V3 {
        return verify_tls13_signature(message, certificate, signature, algorithms);
    }
    let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
    verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
}

/// Whether webpki refuses to read the certificate because of its version.
pub(crate) fn is_version_1(certificate: &CertificateDer<'_>) -> bool {
    parse(certificate).is_ok_and(|parsed| parsed.version() != X509Version::V3)
}

fn parse<'c>(certificate: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, Error> {
    let parsed = X509Certificate::from_der(certificate);
    let (_, parsed) = parsed.map_err(|_| CertificateError::BadEncoding)?;
    Ok(parsed)
}
