//! Why a certificate cannot be read.

/// The bytes are not a certificate, or a field of it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What was being read.
    pub(crate) field: &'static str,
}

impl Error {
    /// The field that cannot be read, such as `validity`.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the certificate's field `{}` cannot be read: is it complete, and in DER?",
            self.field
        )
    }
}

impl std::error::Error for Error {}
