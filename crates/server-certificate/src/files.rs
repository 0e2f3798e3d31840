//! Certificates in PEM.

use std::path::Path;

use read_file_timeout::read_file;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The bundle of all public authorities is a quarter of a megabyte.
const MAX_BYTES: u64 = 16 << 20;

/// The certificates of a PEM file.
///
/// # Errors
/// What is wrong with the file, without its path: it cannot be read, or has no certificate.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read_file(path, MAX_BYTES).map_err(|error| error.to_string())?;
    certificates(&pem).ok_or_else(|| "it holds no PEM certificate".to_owned())
}

/// The certificates of a PEM text; `None` if it has none, or a broken one.
pub fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .ok()?;
    (!found.is_empty()).then_some(found)
}
