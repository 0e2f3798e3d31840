//! A server's own certificate: one that `ca_file` names itself, and what a login is bound to.
//!
//! webpki refuses a certificate that signs itself and may also sign others, which is what
//! `openssl req -x509` writes and PostgreSQL's manual shows. Whoever names the very certificate of
//! the server as `ca_file` trusts its key, as libpq does. Its dates and its name are checked here.

use std::time::Duration;

use rustls::client::danger::ServerCertVerified;
use rustls::client::verify_server_name;
use rustls::crypto::hash::Hash;
use rustls::crypto::ring::cipher_suite;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error as TlsError, SupportedCipherSuite};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode as _;

/// As it is, whatever the profile of RFC 5280 says.
type Certificate = CertificateInner<Raw>;

/// Checks the dates and, last, the name of a certificate that is trusted as it is.
pub(super) fn verify(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, TlsError> {
    let parsed = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let validity = parsed.tbs_certificate().validity();
    let now = Duration::from_secs(now.as_secs());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired.into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    Ok(ServerCertVerified::assertion())
}

/// The hash of a server's certificate, `tls-server-end-point` of RFC 5929: by the hash of its
/// signature, and by SHA-256 instead of MD5 and SHA-1. `None` if its signature has none of these.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let hash = match parsed.signature_algorithm().oid.to_string().as_str() {
        // RSA with MD5, SHA-1, SHA-256, and with SHA-384; ECDSA with SHA-1, SHA-256 and SHA-384.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => hash_of(cipher_suite::TLS13_AES_128_GCM_SHA256),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => {
            hash_of(cipher_suite::TLS13_AES_256_GCM_SHA384)
        }
        _ => return None,
    };
    Some(hash.hash(certificate).as_ref().to_vec())
}

/// The hash of a cipher suite.
fn hash_of(suite: SupportedCipherSuite) -> &'static dyn Hash {
    match suite {
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
    }
}
