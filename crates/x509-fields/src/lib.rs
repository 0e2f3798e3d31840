#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod names;
mod walk;

use std::time::Duration;

use der::asn1::{GeneralizedTime, UtcTime};
use der::{Decode as _, Tag};

pub use error::Error;
pub use names::AlternativeName;

use walk::{Element, Elements};

/// A certificate whose fields can be read.
#[derive(Debug, Clone, Copy)]
pub struct Certificate<'c> {
    version: u8,
    not_before: Duration,
    not_after: Duration,
    subject: Element<'c>,
    public_key: Element<'c>,
    /// The list of extensions; `None` if there is none.
    extensions: Option<Element<'c>>,
}

impl<'c> Certificate<'c> {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// If it is not a certificate, or its version or validity cannot be read.
    pub fn from_der(der: &'c [u8]) -> Result<Self, Error> {
        let outer = Element::only(der, "certificate")?;
        let signed = Elements::of(outer, Tag::Sequence, "certificate")?.next("tbsCertificate")?;
        let mut fields = Elements::of(signed, Tag::Sequence, "tbsCertificate")?;
        let version = match fields.next_if_context(0, "version")? {
            Some(version) => version_of(version)?,
            None => 1,
        };
        for field in ["serialNumber", "signature", "issuer"] {
            fields.next(field)?;
        }
        let validity = fields.next("validity")?;
        let mut times = Elements::of(validity, Tag::Sequence, "validity")?;
        let not_before = time(times.next("notBefore")?)?;
        let not_after = time(times.next("notAfter")?)?;
        let subject = fields.next("subject")?;
        let public_key = fields.next("subjectPublicKeyInfo")?;
        for identifier in [1, 2] {
            fields.next_if_context(identifier, "uniqueIdentifier")?;
        }
        let extensions = fields.next_if_context(3, "extensions")?;
        let extensions = extensions.map(|list| Element::only(list.value(), "extensions"));
        Ok(Self {
            version,
            not_before,
            not_after,
            subject,
            public_key,
            extensions: extensions.transpose()?,
        })
    }

    /// Whether the version is 3: only then a certificate has alternative names.
    pub fn is_version_3(&self) -> bool {
        self.version == 3
    }

    /// The beginning of its validity, as the time since 1970.
    pub fn not_before(&self) -> Duration {
        self.not_before
    }

    /// The end of its validity, as the time since 1970.
    pub fn not_after(&self) -> Duration {
        self.not_after
    }

    /// Its public key: the DER of `SubjectPublicKeyInfo`.
    pub fn subject_public_key_info(&self) -> &'c [u8] {
        self.public_key.der()
    }

    /// The common names of its subject, as they are written.
    ///
    /// # Errors
    /// If the subject cannot be read. Names in encodings other than those of ASCII and UTF-8 are
    /// left out.
    pub fn common_names(&self) -> Result<Vec<&'c str>, Error> {
        names::common(self.subject)
    }

    /// Its subject alternative names of the kinds that [`AlternativeName`] has, in their order. A
    /// name that cannot be read is left out.
    ///
    /// # Errors
    /// If the extensions cannot be read, or there are two lists of names.
    pub fn alternative_names(&self) -> Result<Vec<AlternativeName<'c>>, Error> {
        match self.extensions {
            Some(extensions) => names::alternative(extensions),
            None => Ok(Vec::new()),
        }
    }
}

fn version_of(explicit: Element<'_>) -> Result<u8, Error> {
    let version = Element::only(explicit.value(), "version")?;
    match (version.tag(), version.value()) {
        // Versions are numbered from 0.
        (Tag::Integer, [number @ 0..=2]) => Ok(number + 1),
        _ => Err(Error { field: "version" }),
    }
}

fn time(element: Element<'_>) -> Result<Duration, Error> {
    let unreadable = |_| Error { field: "validity" };
    match element.tag() {
        Tag::UtcTime => UtcTime::from_der(element.der()).map(|time| time.to_unix_duration()),
        _ => GeneralizedTime::from_der(element.der()).map(|time| time.to_unix_duration()),
    }
    .map_err(unreadable)
}
