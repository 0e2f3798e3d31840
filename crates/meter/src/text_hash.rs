//! The hash of texts in the index of series: xxh3 takes a third of the instructions of the standard
//! one. Its seed is random, so that nobody can choose ids that share a hash.

use std::hash::{BuildHasher, Hasher, RandomState};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Makes the hasher of a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextHash(u64);

impl Default for TextHash {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for TextHash {
    type Hasher = TextHasher;

    fn build_hasher(&self) -> TextHasher {
        TextHasher(self.0)
    }
}

/// Hashes one text.
#[derive(Debug)]
pub(crate) struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The end of a text, which needs no mark because a key is only one text.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
