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
use x509_cert::certificate::{CertificateInner, Raw, Version};
use x509_cert::der::{Decode as _, Encode as _, oid::db::rfc4519::CN};

/// As it is, whatever the profile of RFC 5280 says.
type Certificate = CertificateInner<Raw>;

/// Checks dates and name of a certificate that is trusted as it is.
pub(crate) fn verify(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    let parsed = parse(certificate)?;
    let signed = parsed.tbs_certificate();
    let now = Duration::from_secs(now.as_secs());
    let validity = signed.validity();
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired.into());
    }
    if is_version_3(&parsed) {
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    } else {
        // Version 1 has no list of names: the subject's name is all there is.
        let expected = name.to_str();
        let mut names = signed.subject().iter().filter(|name| name.oid == CN);
        if !names.any(|name| name.value.value().eq_ignore_ascii_case(expected.as_bytes())) {
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
    if is_version_3(&parsed) {
        return verify_tls13_signature(message, certificate, signature, algorithms);
    }
    let key = parsed.tbs_certificate().subject_public_key_info();
    let key = SubjectPublicKeyInfoDer::from(key.to_der().map_err(unreadable)?);
    verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
}

/// Whether webpki refuses to read the certificate because of its version.
pub(crate) fn is_version_1(certificate: &CertificateDer<'_>) -> bool {
    parse(certificate).is_ok_and(|parsed| !is_version_3(&parsed))
}

fn is_version_3(certificate: &Certificate) -> bool {
    certificate.tbs_certificate().version() == Version::V3
}

fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(certificate).map_err(unreadable)
}

fn unreadable(_: x509_cert::der::Error) -> Error {
    CertificateError::BadEncoding.into()
}
