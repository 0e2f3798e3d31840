//! What a login is bound to: the hash of the server's certificate.

use rustls::SupportedCipherSuite;
use rustls::crypto::hash::Hash;
use rustls::crypto::ring::cipher_suite;
use rustls::pki_types::CertificateDer;

use crate::named::parse;

/// The hash of a server's certificate, `tls-server-end-point` of RFC 5929: by the hash of its
/// signature, and by SHA-256 instead of MD5 and SHA-1. `None` if its signature has none of these.
pub fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = parse(certificate).ok()?;
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
