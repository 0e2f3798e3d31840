//! A server's certificate that the user named himself: it is trusted as it is, as curl does.
//!
//! webpki refuses two kinds that people make: a certificate that signs itself and may also sign
//! others (`CA:TRUE`, which `openssl req -x509` writes), and version 1 of X.509 (which
//! `openssl x509 -req` writes). Whoever names the very certificate of the server as `ca_file`
//! trusts the server's key. Its dates and its name are checked here.

use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified};
use rustls::client::verify_server_name;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error};
use x509_fields::Certificate;

/// Checks dates and name of a certificate that is trusted as it is.
pub(crate) fn verify(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    let parsed = parse(certificate)?;
    let now = Duration::from_secs(now.as_secs());
    if now < parsed.not_before() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > parsed.not_after() {
        return Err(CertificateError::Expired.into());
    }
    if parsed.is_version_3() {
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    } else {
        // Version 1 has no list of names: the subject's name is all there is.
        let expected = name.to_str();
        let names = parsed.common_names().map_err(unreadable)?;
        if !names
            .iter()
            .any(|common| common.eq_ignore_ascii_case(&expected))
        {
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
    if parsed.is_version_3() {
        return verify_tls13_signature(message, certificate, signature, algorithms);
    }
    let key = SubjectPublicKeyInfoDer::from(parsed.subject_public_key_info());
    verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
}

/// Whether webpki refuses to read the certificate because of its version.
pub(crate) fn is_version_1(certificate: &CertificateDer<'_>) -> bool {
    parse(certificate).is_ok_and(|parsed| !parsed.is_version_3())
}

fn parse<'c>(certificate: &'c CertificateDer<'_>) -> Result<Certificate<'c>, Error> {
    Certificate::from_der(certificate).map_err(unreadable)
}

fn unreadable(_: x509_fields::Error) -> Error {
    CertificateError::BadEncoding.into()
}
