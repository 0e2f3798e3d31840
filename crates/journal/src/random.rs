//! Random bytes for ids that no other journal and no other process may have.

use std::hash::{BuildHasher as _, RandomState};

/// Eight random bytes. They come from the system through the keys of the standard library's hash
/// maps, which need no other crate; they are not for secrets.
pub(crate) fn bytes() -> [u8; 8] {
    RandomState::new()
        .hash_one(std::process::id())
        .to_le_bytes()
}
