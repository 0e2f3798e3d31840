//! Ids that go into a URL path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// An opaque id of a resource that is safe as one segment of a URL's path.
///
/// Empty text, `.` and `..` are refused: a URL parser would drop them, and the request would go to
/// the resource's parent.
///
/// ```
/// use callmeter_api_client::ResourceId;
/// assert!("NzAwNTUxOTA5NzczMTQ4MTYw".parse::<ResourceId>().is_ok());
/// assert!("..".parse::<ResourceId>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ResourceId(String);

impl ResourceId {
    /// The id as the API wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a [`ResourceId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceIdError {
    /// There is no text.
    #[error("an id must not be empty")]
    Empty,
    /// The text is a relative path segment.
    #[error("an id must not be `.` or `..`")]
    DotSegment,
}

impl FromStr for ResourceId {
    type Err = ResourceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ResourceId {
    type Error = ResourceIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "" => Err(ResourceIdError::Empty),
            "." | ".." => Err(ResourceIdError::DotSegment),
            // URL parsers take these spellings for dots, too.
            dots if is_encoded_dots(dots) => Err(ResourceIdError::DotSegment),
            _ => Ok(Self(text)),
        }
    }
}

fn is_encoded_dots(text: &str) -> bool {
    let plain = text.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

impl TryFrom<&str> for ResourceId {
    type Error = ResourceIdError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::try_from(text.to_owned())
    }
}

impl AsRef<str> for ResourceId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_a_url_would_fold() {
        for text in ["", ".", "..", "%2e", "%2E.", ".%2e"] {
            assert!(ResourceId::try_from(text).is_err(), "{text}");
        }
        for text in ["a", "...", "0", "a/b", "%2f", "ü"] {
            assert_eq!(ResourceId::try_from(text).unwrap().as_str(), text);
        }
    }
}
