//! Limits on the text that is read.

/// Limits on a text, so that a hostile or broken one causes an error instead of using up memory or
/// stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Levels of lists and objects. Typed decoding recurses to this depth, so a higher limit needs
    /// more stack.
    pub depth: usize,
    /// List items and object members of the whole text, including skipped ones.
    pub items: usize,
}

impl Limits {
    /// 64 MiB, 50 levels (ServiceStack writes no deeper), 4 million items.
    pub const DEFAULT: Self = Self {
        bytes: 64 << 20,
        depth: 50,
        items: 4_000_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
