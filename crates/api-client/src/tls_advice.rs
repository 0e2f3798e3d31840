//! Says what an error of the TLS library means and what to do.

use rustls::{AlertDescription, CertificateError, Error};

/// The meaning of an error; `None` if the library's own text has to do.
pub(crate) fn advice(error: &Error) -> Option<String> {
    let text = match error {
        Error::InvalidCertificate(error) => return certificate(error),
        Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port: check port and scheme of the URL"
        }
        Error::PeerIncompatible(_) | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server supports neither TLS 1.2 nor TLS 1.3 with the ciphers of today: update it"
        }
        Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the server found nothing in common: its key may be of a kind that callmeter does not support, \
             such as P-521 (use RSA, P-256 or P-384), or it supports only old ciphers"
        }
        Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate,
        ) => "the server requires a client certificate, which callmeter cannot present",
        _ => return None,
    };
    Some(text.to_owned())
}

fn certificate(error: &CertificateError) -> Option<String> {
    let text = match error {
        CertificateError::UnknownIssuer => {
            "the certificate is not signed by a trusted authority: name the authority's certificate, \
             or the server's own one, as tls.ca_file, and check the CA file if there is one"
        }
        CertificateError::NotValidForName => {
            "the certificate is for another name: use that name in the URL, or set it as tls.server_name"
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let expected = expected.to_str();
            let presented = if presented.is_empty() {
                "no name".to_owned()
            } else {
                presented.join(", ")
            };
            return Some(format!(
                "the certificate is for {presented}, not for {expected}: use its name in the URL, or set it as tls.server_name"
            ));
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired: renew it on the server"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet: check the clocks of both machines"
        }
        CertificateError::Revoked => "the certificate was revoked: replace it on the server",
        // webpki has no types of its own here; its errors print their names.
        other => {
            let name = format!("{other:?}");
            if name.contains("CaUsedAsEndEntity") {
                "the server uses the certificate of an authority (CA:TRUE) as its own: name exactly this certificate \
                 as tls.ca_file, or create one with CA:FALSE"
            } else if name.contains("UnsupportedCertVersion") {
                "the certificate has version 1 of X.509: name exactly this certificate as tls.ca_file, or create one \
                 with version 3 (openssl x509 -req -extfile)"
            } else if name.contains("UnsupportedSignatureAlgorithm") {
                "the certificate is signed in a way that callmeter does not support, such as with SHA-1 or a P-521 \
                 key: create one that is signed with RSA, P-256 or P-384 and SHA-256"
            } else {
                return None;
            }
        }
    };
    Some(text.to_owned())
}
