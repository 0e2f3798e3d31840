//! Builds the configuration of rustls from the settings.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::client_certs::{AllowedSans, AnyCertificate};
use super::file::{AccessError, ClientAuth, Files, Pem, TlsSettings};

/// The configuration of connections, with certificate and key.
pub(super) fn server_config(
    settings: &TlsSettings,
    files: &mut Files,
) -> Result<Arc<ServerConfig>, AccessError> {
    let provider = Arc::new(provider(settings, files)?);
    let mut versions = Vec::new();
    if settings.tls13 {
        versions.push(&rustls::version::TLS13);
    }
    if settings.tls12 {
        versions.push(&rustls::version::TLS12);
    }
    let certificates = certificates(&settings.cert, "cert", files)?;
    let key = settings.key.read(files)?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| files.invalid(format!("tls_server_config.key: {error}")))?;
    let verifier = verifier(settings, &provider, files)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| files.invalid(format!("tls_server_config: {error}")))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| {
            files.invalid(format!("tls_server_config: certificate and key: {error}"))
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(
    pem: &Pem,
    key: &str,
    files: &mut Files,
) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let bytes = pem.read(files)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(files.invalid(format!("tls_server_config.{key}: contains no certificate"))),
        Err(error) => Err(files.invalid(format!("tls_server_config.{key}: {error}"))),
    }
}

/// The configured cipher suites and curves, in that order. Those that rustls lacks are left out.
fn provider(settings: &TlsSettings, files: &Files) -> Result<CryptoProvider, AccessError> {
    let mut provider = ring::default_provider();
    if !settings.cipher_suites.is_empty() {
        // The list is for TLS 1.2. Those of TLS 1.3 are always offered.
        let known = |name: &String| {
            let name = name.trim_end_matches("_SHA256").trim_end_matches("_SHA384");
            provider.cipher_suites.iter().copied().find(|suite| {
                let suite = format!("{:?}", suite.suite());
                let suite = suite
                    .trim_end_matches("_SHA256")
                    .trim_end_matches("_SHA384");
                suite == name
            })
        };
        let wanted: Vec<_> = settings.cipher_suites.iter().filter_map(known).collect();
        let tls13 = provider.cipher_suites.iter().copied();
        let tls13: Vec<_> = tls13.filter(|suite| suite.tls13().is_some()).collect();
        if !wanted.iter().any(|suite| suite.tls13().is_none()) && !settings.tls13 {
            return Err(
                files.invalid("tls_server_config.cipher_suites: callmeter supports none of these")
            );
        }
        let wanted = wanted.into_iter().filter(|suite| suite.tls13().is_none());
        provider.cipher_suites = tls13.into_iter().chain(wanted).collect();
    }
    if !settings.curves.is_empty() {
        let mut groups = Vec::new();
        for name in &settings.curves {
            let group = match name.as_str() {
                "X25519" => Some(rustls::NamedGroup::X25519),
                "CurveP256" => Some(rustls::NamedGroup::secp256r1),
                "CurveP384" => Some(rustls::NamedGroup::secp384r1),
                // Valid, but rustls lacks them.
                "CurveP521" | "X25519MLKEM768" => None,
                other => {
                    return Err(files.invalid(format!(
                        "tls_server_config.curve_preferences: unknown curve {other:?}"
                    )));
                }
            };
            let offered = provider.kx_groups.iter().copied();
            groups.extend(offered.filter(|offered| Some(offered.name()) == group));
        }
        if groups.is_empty() {
            return Err(files
                .invalid("tls_server_config.curve_preferences: callmeter supports none of these"));
        }
        provider.kx_groups = groups;
    }
    Ok(provider)
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
            return Err(files.invalid("tls_server_config: client_ca is missing"));
        }
        (auth, Some(ca)) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(ca, "client_ca", files)? {
                roots.add(certificate).map_err(|error| {
                    files.invalid(format!("tls_server_config.client_ca: {error}"))
                })?;
            }
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            let builder = match auth {
                ClientAuth::VerifyIfGiven => builder.allow_unauthenticated(),
                _ => builder,
            };
            builder
                .build()
                .map_err(|error| files.invalid(format!("tls_server_config.client_ca: {error}")))?
        }
    };
    Ok(Some(match &settings.client_allowed_sans {
        Some(sans) => Arc::new(AllowedSans::new(verifier, sans.clone())),
        None => verifier,
    }))
}
