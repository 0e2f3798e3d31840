//! Says what an error of the TLS library means and what to do.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// What a client's user can set, in its own words.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The setting that names trusted certificates, such as `tls.ca_file`.
    pub ca_file: &'static str,
    /// What to do if the certificate is for another name, such as `use its name in the URL`.
    pub other_name: &'static str,
    /// What to do if the server answers without TLS, such as `check the port of the URL`.
    pub no_tls: &'static str,
}

/// The TLS library's error among the causes of an error.
pub fn cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    // `io::Error` does not return what it wraps as its source.
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    error
        .downcast_ref()
        .or_else(|| wrapped.and_then(|inner| cause(inner)))
        .or_else(|| error.source().and_then(cause))
}

/// The meaning of an error; `None` if the library's own text has to do.
pub fn advice(error: &Error, settings: &Settings) -> Option<String> {
    let text = match error {
        Error::InvalidCertificate(error) => return certificate(error, settings),
        Error::InvalidMessage(_) => {
            return Some(format!(
                "the server does not speak TLS on this port: {}",
                settings.no_tls
            ));
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

fn certificate(error: &CertificateError, settings: &Settings) -> Option<String> {
    let Settings {
        ca_file,
        other_name,
        ..
    } = settings;
    Some(match error {
        CertificateError::UnknownIssuer => format!(
            "the certificate is not signed by a trusted authority: name the authority's certificate, \
             or the server's own one, as {ca_file}, and check the CA file if there is one"
        ),
        CertificateError::BadSignature => format!(
            "the certificate is signed by another authority of the same name as the trusted one: name the \
             authority's present certificate as {ca_file}"
        ),
        CertificateError::NotValidForName => {
            format!("the certificate is for another name: {other_name}")
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } if presented.is_empty() => format!(
            "the certificate has no list of names (subjectAltName), so it is not for {}: name exactly this \
             certificate as {ca_file}, or create one with that name (openssl req -addext subjectAltName=…)",
            expected.to_str()
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the certificate is for {}, not for {}: {other_name}",
            names(presented),
            expected.to_str()
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired: renew it on the server".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet: check the clocks of both machines".to_owned()
        }
        CertificateError::Revoked => {
            "the certificate was revoked: replace it on the server".to_owned()
        }
        // webpki has no types of its own here; its errors print their names.
        other => {
            let name = format!("{other:?}");
            if name.contains("CaUsedAsEndEntity") {
                format!(
                    "the server uses the certificate of an authority (CA:TRUE) as its own: name exactly this \
                     certificate as {ca_file}, or create one with CA:FALSE"
                )
            } else if name.contains("UnsupportedCertVersion") {
                format!(
                    "the certificate has version 1 of X.509: name exactly this certificate as {ca_file}, or \
                     create one with version 3 (openssl x509 -req -extfile)"
                )
            } else if name.contains("UnsupportedSignatureAlgorithm") {
                "the certificate is signed in a way that callmeter does not support, such as with SHA-1 or a P-521 \
                 key: create one that is signed with RSA, P-256 or P-384 and SHA-256"
                    .to_owned()
            } else {
                return None;
            }
        }
    })
}

/// Names as webpki writes them, `DnsName("example.com")`, without what is around them.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.strip_suffix(')').and_then(|name| name.split_once('('));
        inner
            .map_or(name.as_str(), |(_, name)| name)
            .trim_matches('"')
            .to_owned()
    };
    presented.iter().map(bare).collect::<Vec<_>>().join(", ")
}
