//! The text of an answer.

use std::ops::Deref;
use std::sync::Arc;

use yoke::Yoke;

/// A text in the bytes that came. They are checked once, by `simdutf8`: the standard library has no
/// other way to a `String` than its own check, which takes 490 instructions a row instead of 180.
pub(super) struct Text(Yoke<&'static str, Arc<Vec<u8>>>);

impl Text {
    /// Returns the bytes if they are not UTF-8.
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self, Arc<Vec<u8>>> {
        let bytes = Arc::new(bytes);
        Yoke::try_attach_to_cart(Arc::clone(&bytes), |bytes| {
            simdutf8::basic::from_utf8(bytes)
        })
        .map(Self)
        .map_err(|_| bytes)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Yoke::attach_to_cart(Arc::new(text.into_bytes()), |bytes| {
            std::str::from_utf8(bytes).unwrap_or_default()
        }))
    }
}

impl Default for Text {
    fn default() -> Self {
        String::new().into()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.get()
    }
}
