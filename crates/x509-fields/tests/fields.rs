//! Real certificates, and bytes that are none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use proptest::prelude::*;
use rcgen::{CertificateParams, DnType, DnValue, KeyPair, PublicKeyData as _, SanType};
use x509_fields::{AlternativeName, Certificate};

/// A certificate of version 3 with names of every kind, and its key.
fn made() -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["www.example.com".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Zoë");
    params
        .distinguished_name
        .push(DnType::OrganizationName, DnValue::Utf8String("Acme".into()));
    params.subject_alt_names.extend([
        SanType::Rfc822Name("eve@example.com".try_into().unwrap()),
        SanType::URI("spiffe://example.com/eve".try_into().unwrap()),
        SanType::IpAddress("192.0.2.7".parse().unwrap()),
        SanType::IpAddress("2001:db8::1".parse().unwrap()),
    ]);
    params.not_before = rcgen::date_time_ymd(2026, 1, 2);
    // In GeneralizedTime, because UTCTime ends with 2049.
    params.not_after = rcgen::date_time_ymd(2060, 1, 1);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let certificate = params.self_signed(&key).unwrap();
    (certificate, key)
}

#[test]
fn every_field_of_a_certificate_of_version_3() {
    let (certificate, key) = made();
    let read = Certificate::from_der(certificate.der()).unwrap();
    assert!(read.is_version_3());
    assert_eq!(read.not_before(), Duration::from_secs(1_767_312_000));
    assert_eq!(read.not_after(), Duration::from_secs(2_840_140_800));
    assert_eq!(
        read.subject_public_key_info(),
        key.subject_public_key_info()
    );
    assert_eq!(read.common_names().unwrap(), ["Zoë"]);
    assert_eq!(
        read.alternative_names().unwrap(),
        [
            AlternativeName::Dns("www.example.com"),
            AlternativeName::Email("eve@example.com"),
            AlternativeName::Uri("spiffe://example.com/eve"),
            AlternativeName::Ip("192.0.2.7".parse().unwrap()),
            AlternativeName::Ip("2001:db8::1".parse().unwrap()),
        ]
    );
}

#[test]
fn version_1_has_a_subject_and_no_other_names() {
    let pem = include_str!("certificates/version-1.crt");
    let der = pem_to_der(pem);
    let read = Certificate::from_der(&der).unwrap();
    assert!(!read.is_version_3());
    assert_eq!(read.common_names().unwrap(), ["pbx.example.com"]);
    assert_eq!(read.alternative_names().unwrap(), []);
    assert!(read.not_before() < read.not_after());
}

/// The bytes of the only certificate in a PEM text.
fn pem_to_der(pem: &str) -> Vec<u8> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    CertificateDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec()
}

#[test]
fn a_certificate_without_names_has_none() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(Vec::<String>::new()).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let read = Certificate::from_der(certificate.der()).unwrap();
    assert_eq!(read.alternative_names().unwrap(), []);
}

/// A second list of names could say something else than the list that another program reads.
#[test]
fn two_lists_of_names_are_an_error() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["www.example.com".to_owned()]).unwrap();
    let second = rcgen::CustomExtension::from_oid_content(
        &[2, 5, 29, 17],
        // A sequence of one DNS name.
        b"\x30\x03\x82\x01x".to_vec(),
    );
    params.custom_extensions.push(second);
    let certificate = params.self_signed(&key).unwrap();
    let read = Certificate::from_der(certificate.der()).unwrap();
    let error = read.alternative_names().unwrap_err();
    assert_eq!(error.field(), "extensions");
}

#[test]
fn errors_name_the_field() {
    let (certificate, _) = made();
    let der = certificate.der();
    for cut in 0..der.len() {
        let error = Certificate::from_der(&der[..cut]).unwrap_err();
        assert_eq!(error.field(), "certificate", "{cut}");
    }
    let longer = [der.as_ref(), b"\0"].concat();
    assert!(Certificate::from_der(&longer).is_err());
    assert_eq!(
        Certificate::from_der(b"\x30\x02\x30\x00")
            .unwrap_err()
            .to_string(),
        "the certificate's field `serialNumber` cannot be read: is it complete, and in DER?"
    );
}

/// Reads all fields of what may be a certificate.
fn read_all(der: &[u8]) {
    if let Ok(read) = Certificate::from_der(der) {
        let _ = read.common_names();
        let _ = read.alternative_names();
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_an_error(bytes: Vec<u8>) {
        read_all(&bytes);
    }

    #[test]
    fn a_damaged_certificate_is_read_or_an_error(at: prop::sample::Index, byte: u8) {
        let (certificate, _) = made();
        let mut der = certificate.der().to_vec();
        let at = at.index(der.len());
        der[at] = byte;
        read_all(&der);
    }
}
