//! TLS by this library's own configuration: nothing that callmeter installed for itself reaches a
//! plugin.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Config, ConfigError};

/// The certificates of all authorities of a system take a quarter of a megabyte.
const MOST_BYTES: u64 = 4 << 20;

pub(crate) fn client_config(config: &Config) -> Result<ClientConfig, ConfigError> {
    let setup = |error: rustls::Error| ConfigError::Client(error.to_string());
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(setup)?;
    let builder = if let Some(path) = &config.ca_file {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in certificates("ca_file", path)? {
            roots
                .add(certificate)
                .map_err(|error| file("ca_file", path, &error))?;
        }
        builder.with_root_certificates(roots)
    } else {
        let verifier = rustls_platform_verifier::Verifier::new(provider).map_err(setup)?;
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
    };
    let mut tls = match (&config.client_cert_file, &config.client_key_file) {
        (Some(certificate), Some(key)) => {
            let chain = certificates("client_cert_file", certificate)?;
            let pem = read("client_key_file", key)?;
            let secret = PrivateKeyDer::from_pem_slice(&pem)
                .map_err(|_| file("client_key_file", key, &"it holds no PEM key"))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| file("client_cert_file", certificate, &error))?
        }
        _ => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let pem = read(key, path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| file(key, path, &"it is not PEM"))?;
    if found.is_empty() {
        return Err(file(key, path, &"it holds no certificate"));
    }
    Ok(found)
}

/// A regular file's content, up to a bound: a device has no end, and opening a pipe waits.
fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let wrong = |error| file(key, path, &error);
    let regular = std::fs::metadata(path).map_err(wrong)?.is_file();
    if !regular {
        return Err(file(key, path, &"it is no regular file"));
    }
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut content))
        .map_err(wrong)?;
    if content.len() as u64 > MOST_BYTES {
        return Err(file(key, path, &"it has more than 4 MiB"));
    }
    Ok(content)
}

fn file(key: &'static str, path: &Path, problem: &impl ToString) -> ConfigError {
    ConfigError::File {
        key,
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}
