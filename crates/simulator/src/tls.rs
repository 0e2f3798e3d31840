//! A self-signed certificate, such as a PBX has after installation.

use std::net::IpAddr;
use std::sync::Arc;

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::SimulatorError;

/// Makes a certificate for this machine and the listening addresses. Also returns it as PEM.
pub(crate) fn self_signed(addresses: &[IpAddr]) -> Result<(TlsAcceptor, String), SimulatorError> {
    let tls = |error: &dyn std::fmt::Display| SimulatorError::Tls(error.to_string());
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let own = (addresses.iter()).filter(|address| !address.is_unspecified());
    names.extend(own.map(ToString::to_string));
    names.sort();
    names.dedup();
    let certified = rcgen::generate_simple_self_signed(names).map_err(|error| tls(&error))?;
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(&error))?
        .with_no_client_auth()
        .with_single_cert(
            vec![certified.cert.der().clone()],
            PrivateKeyDer::Pkcs8(key),
        )
        .map_err(|error| tls(&error))?;
    Ok((TlsAcceptor::from(Arc::new(config)), certified.cert.pem()))
}
