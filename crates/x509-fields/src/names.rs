//! The names in a certificate.

use std::net::IpAddr;

use der::Tag;

use crate::error::Error;
use crate::walk::{Element, Elements};

/// A subject alternative name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlternativeName<'c> {
    /// The name of a host.
    Dns(&'c str),
    /// An address for mail.
    Email(&'c str),
    /// A URI.
    Uri(&'c str),
    /// An IP address.
    Ip(IpAddr),
}

/// The object identifiers 2.5.4.3 and 2.5.29.17.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The common names of a subject: a list of sets of attributes.
pub(crate) fn common(subject: Element<'_>) -> Result<Vec<&str>, Error> {
    let field = "subject";
    let mut names = Vec::new();
    let mut sets = Elements::of(subject, Tag::Sequence, field)?;
    while !sets.is_empty() {
        let mut attributes = Elements::of(sets.next(field)?, Tag::Set, field)?;
        while !attributes.is_empty() {
            let mut attribute = Elements::of(attributes.next(field)?, Tag::Sequence, field)?;
            let kind = attribute.next(field)?;
            let value = attribute.next(field)?;
            if kind.value() == COMMON_NAME {
                names.extend(text(value));
            }
        }
    }
    Ok(names)
}

/// The text of a value in ASCII or UTF-8.
fn text(value: Element<'_>) -> Option<&str> {
    let is_text = matches!(
        value.tag(),
        Tag::Utf8String
            | Tag::PrintableString
            | Tag::Ia5String
            | Tag::NumericString
            | Tag::VisibleString
            | Tag::TeletexString
    );
    is_text.then(|| std::str::from_utf8(value.value()).ok())?
}

/// The alternative names among these extensions.
pub(crate) fn alternative(extensions: Element<'_>) -> Result<Vec<AlternativeName<'_>>, Error> {
    let field = "extensions";
    let mut found = None;
    let mut extensions = Elements::of(extensions, Tag::Sequence, field)?;
    while !extensions.is_empty() {
        let mut extension = Elements::of(extensions.next(field)?, Tag::Sequence, field)?;
        let kind = extension.next(field)?;
        let mut value = extension.next(field)?;
        if value.tag() == Tag::Boolean {
            // Whether the extension is critical.
            value = extension.next(field)?;
        }
        if kind.value() == SUBJECT_ALTERNATIVE_NAME && found.replace(value).is_some() {
            return Err(Error { field });
        }
    }
    match found {
        Some(list) => listed(list),
        None => Ok(Vec::new()),
    }
}

fn listed(value: Element<'_>) -> Result<Vec<AlternativeName<'_>>, Error> {
    let field = "subjectAltName";
    if value.tag() != Tag::OctetString {
        return Err(Error { field });
    }
    let list = Element::only(value.value(), field)?;
    let mut elements = Elements::of(list, Tag::Sequence, field)?;
    let mut names = Vec::new();
    while !elements.is_empty() {
        names.extend(one(elements.next(field)?));
    }
    Ok(names)
}

/// One name; `None` if it is of another kind or cannot be read.
fn one(element: Element<'_>) -> Option<AlternativeName<'_>> {
    let value = element.value();
    let text = || {
        std::str::from_utf8(value)
            .ok()
            .filter(|text| text.is_ascii())
    };
    Some(match element.context_number()?.0 {
        1 => AlternativeName::Email(text()?),
        2 => AlternativeName::Dns(text()?),
        6 => AlternativeName::Uri(text()?),
        7 => {
            let four = <[u8; 4]>::try_from(value).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from));
            AlternativeName::Ip(address.ok()?)
        }
        _ => return None,
    })
}
