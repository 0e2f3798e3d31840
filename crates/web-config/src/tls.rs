//! Builds the configuration of rustls from the settings.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::client_certs::{AllowedSans, AnyCertificate, OwnAuthority};
use crate::error::AccessError;
use crate::file::{ClientAuth, Files, Pem, TlsSettings};

/// The configuration of connections, with certificate and key.
pub(crate) fn server_config(
    settings: &TlsSettings,
    files: &mut Files,
    warnings: &mut Vec<String>,
) -> Result<Arc<ServerConfig>, AccessError> {
    let provider = Arc::new(provider(settings, files, warnings)?);
    let mut versions = Vec::new();
    if settings.tls13 {
        versions.push(&rustls::version::TLS13);
    }
    if settings.tls12 {
        versions.push(&rustls::version::TLS12);
    }
    let certificates = certificates(&settings.cert, files)?;
    let key = settings.key.read(files)?;
    let key = private_key(&key).map_err(|problem| files.invalid(settings.key.key, problem))?;
    let verifier = verifier(settings, &provider, files)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| files.invalid("", error.to_string()))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| {
            let problem = match &error {
                rustls::Error::InconsistentKeys(_) => {
                    "the key does not belong to the certificate".to_owned()
                }
                error if format!("{error:?}").contains("UnsupportedCertVersion") => {
                    "the certificate has version 1 of X.509, which clients refuse; create one with version 3 \
                     (openssl x509 -req -extfile)"
                        .to_owned()
                }
                error => error.to_string(),
            };
            files.invalid("", format!("certificate and key: {problem}"))
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Reads a key that is not encrypted, of a kind that rustls supports.
fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let contains = |part: &[u8]| pem.windows(part.len()).any(|window| window == part);
    if contains(b"BEGIN ENCRYPTED PRIVATE KEY") || contains(b"Proc-Type: 4,ENCRYPTED") {
        let text = "is encrypted; decrypt it with `openssl pkey -in KEY -out NEW`";
        return Err(text.to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        rustls_pki_types::pem::Error::NoItemsFound => "contains no private key".to_owned(),
        error => error.to_string(),
    })?;
    let der = key.secret_der();
    if der.windows(P521.len()).any(|window| window == P521) {
        let text = "is a P-521 key, which is not supported; create one of RSA, P-256 or P-384";
        return Err(text.to_owned());
    }
    Ok(key)
}

/// The name of the curve P-521 in a key: the object identifier 1.3.132.0.35.
const P521: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

fn certificates(pem: &Pem, files: &mut Files) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let bytes = pem.read(files)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(files.invalid(pem.key, "contains no certificate")),
        Err(error) => Err(files.invalid(pem.key, error.to_string())),
    }
}

/// The configured cipher suites and curves, in that order. Those that rustls lacks are left out,
/// with a warning.
fn provider(
    settings: &TlsSettings,
    files: &Files,
    warnings: &mut Vec<String>,
) -> Result<CryptoProvider, AccessError> {
    let mut provider = ring::default_provider();
    if !settings.cipher_suites.is_empty() {
        let key = "cipher_suites";
        let names = settings.cipher_suites.iter();
        let offered = provider.cipher_suites.iter();
        let offered: Vec<_> = offered.map(|suite| (suite_name(suite), *suite)).collect();
        let wanted = chosen(key, names, &offered, FURTHER_SUITES, warnings)
            .map_err(|problem| files.invalid(key, problem))?;
        let tls13 = provider.cipher_suites.iter().copied();
        let tls13: Vec<_> = tls13.filter(|suite| suite.tls13().is_some()).collect();
        // The list is for TLS 1.2. The suites of TLS 1.3 are always offered.
        let tls12: Vec<_> = wanted
            .into_iter()
            .filter(|suite| suite.tls13().is_none())
            .collect();
        if settings.tls12 && tls12.is_empty() {
            if !settings.tls13 {
                return Err(files.invalid(key, "none of these is supported"));
            }
            warnings.push(format!(
                "tls_server_config.{key}: none of these is supported for TLS 1.2, so only TLS 1.3 is offered"
            ));
        }
        provider.cipher_suites = tls13.into_iter().chain(tls12).collect();
    }
    if !settings.curves.is_empty() {
        let key = "curve_preferences";
        let offered = CURVES.iter().filter_map(|(name, group)| {
            let mut offered = provider.kx_groups.iter().copied();
            let offered = offered.find(|offered| offered.name() == *group)?;
            Some(((*name).to_owned(), offered))
        });
        let names = settings.curves.iter();
        let offered: Vec<_> = offered.collect();
        let groups = chosen(key, names, &offered, FURTHER_CURVES, warnings)
            .map_err(|problem| files.invalid(key, problem))?;
        if groups.is_empty() {
            return Err(files.invalid(key, "none of these is supported"));
        }
        provider.kx_groups = groups;
    }
    Ok(provider)
}

/// The curves by their names in the file.
const CURVES: &[(&str, rustls::NamedGroup)] = &[
    ("X25519", rustls::NamedGroup::X25519),
    ("CurveP256", rustls::NamedGroup::secp256r1),
    ("CurveP384", rustls::NamedGroup::secp384r1),
];

/// Further valid names of curves, which rustls with ring lacks.
const FURTHER_CURVES: &[&str] = &["CurveP521", "X25519MLKEM768"];

/// Further valid names of cipher suites, which rustls lacks.
const FURTHER_SUITES: &[&str] = &[
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

/// The name of a suite in the file. rustls marks those of TLS 1.3 by another prefix.
fn suite_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

/// What is offered under the names of the file, in the order of the file.
///
/// # Errors
/// If a name is neither offered nor one of `further`.
fn chosen<'n, T: Copy>(
    key: &str,
    names: impl Iterator<Item = &'n String>,
    offered: &[(String, T)],
    further: &[&str],
    warnings: &mut Vec<String>,
) -> Result<Vec<T>, String> {
    let mut chosen = Vec::new();
    for name in names {
        if let Some((_, found)) = offered.iter().find(|(known, _)| known == name) {
            chosen.push(*found);
        } else if further.contains(&name.as_str()) {
            warnings.push(format!(
                "tls_server_config.{key}: {name} is not supported and left out"
            ));
        } else {
            let known: Vec<&str> = offered.iter().map(|(known, _)| known.as_str()).collect();
            return Err(format!(
                "unknown name {name:?}; supported are {}",
                known.join(", ")
            ));
        }
    }
    Ok(chosen)
}

fn verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    files: &mut Files,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, AccessError> {
    let any = |mandatory| {
        Arc::new(AnyCertificate::new(mandatory, provider)) as Arc<dyn ClientCertVerifier>
    };
    let verifier = match (settings.client_auth, &settings.client_ca) {
        (ClientAuth::None, _) => return Ok(None),
        (ClientAuth::Request, _) => any(false),
        (ClientAuth::RequireAny, _) => any(true),
        (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, None) => {
            return Err(files.invalid("", "client_ca is missing"));
        }
        (auth, Some(ca)) => {
            let mut roots = RootCertStore::empty();
            let authorities = certificates(ca, files)?;
            for certificate in &authorities {
                roots
                    .add(certificate.clone())
                    .map_err(|error| files.invalid(ca.key, error.to_string()))?;
            }
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            let builder = match auth {
                ClientAuth::VerifyIfGiven => builder.allow_unauthenticated(),
                _ => builder,
            };
            let verifier = builder
                .build()
                .map_err(|error| files.invalid(ca.key, error.to_string()))?;
            Arc::new(OwnAuthority::new(verifier, authorities))
        }
    };
    Ok(Some(match &settings.client_allowed_sans {
        Some(sans) => Arc::new(AllowedSans::new(verifier, sans.clone())),
        None => verifier,
    }))
}
