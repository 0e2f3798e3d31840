//! How much a text may ask of its reader.

/// Bounds on a text, so that a hostile or broken one costs an error instead of memory or stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Lists and objects within each other. Typed decoding recurses that deep: raise it with the
    /// stack in mind.
    pub depth: usize,
    /// List items and object members of the whole text, skipped ones included.
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
