//! A server's certificate that the user named himself: it is trusted as it is, as curl and libpq
//! do.
//!
//! webpki refuses kinds that people make: a certificate that signs itself and may also sign others
//! (`CA:TRUE`, which `openssl req -x509` writes), version 1 of X.509 (which `openssl x509 -req`
//! writes), and one whose only name is that of its subject. Whoever names the very certificate of
//! the server trusts the server's key. Its dates and its name are checked here.

use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified};
use rustls::client::verify_server_name;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};
use x509_cert::certificate::{CertificateInner, Raw, Version};
use x509_cert::der::oid::db::rfc4519::CN;
use x509_cert::der::oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;
use x509_cert::der::{Decode as _, Encode as _};

/// As it is, whatever the profile of RFC 5280 says.
type Certificate = CertificateInner<Raw>;

/// Checks the dates and, last, the name of a certificate that is trusted as it is.
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
    let mut extensions = signed.extensions().into_iter().flatten();
    if extensions.any(|extension| extension.extn_id == ID_CE_SUBJECT_ALT_NAME) {
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    } else {
        // Without a list of names, the subject's is all there is.
        let presented: Vec<_> = signed
            .subject()
            .iter()
            .filter(|name| name.oid == CN)
            .map(|name| String::from_utf8_lossy(name.value.value()).into_owned())
            .collect();
        let expected = name.to_str();
        let is_it = |name: &String| name.eq_ignore_ascii_case(&expected);
        if !presented.iter().any(is_it) {
            return Err(CertificateError::NotValidForNameContext {
                expected: name.to_owned(),
                presented,
            }
            .into());
        }
    }
    Ok(ServerCertVerified::assertion())
}

/// Checks that the server has the key of a certificate of version 1, with TLS 1.2.
pub(crate) fn verify_tls12_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let parsed = parse(certificate)?;
    let key = parsed.tbs_certificate().subject_public_key_info();
    // The libraries of TLS compare what is within the sequence: it has a tag and a short length.
    let kind = key.algorithm.to_der().map_err(unreadable)?;
    let mut known = algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == signature.scheme)
        .flat_map(|(_, algorithms)| *algorithms);
    let algorithm = known
        .find(|known| kind.get(2..) == Some(&*known.public_key_alg_id()))
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    algorithm
        .verify_signature(
            key.subject_public_key.raw_bytes(),
            message,
            signature.signature(),
        )
        .map_err(|_| CertificateError::BadSignature)?;
    Ok(HandshakeSignatureValid::assertion())
}

/// The same with TLS 1.3.
pub(crate) fn verify_tls13_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let parsed = parse(certificate)?;
    let key = parsed.tbs_certificate().subject_public_key_info();
    let key = SubjectPublicKeyInfoDer::from(key.to_der().map_err(unreadable)?);
    verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
}

/// Whether webpki refuses to read the certificate because of its version.
pub(crate) fn is_version_1(certificate: &CertificateDer<'_>) -> bool {
    parse(certificate).is_ok_and(|parsed| parsed.tbs_certificate().version() != Version::V3)
}

pub(crate) fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(certificate).map_err(unreadable)
}

fn unreadable(_: x509_cert::der::Error) -> Error {
    CertificateError::BadEncoding.into()
}
