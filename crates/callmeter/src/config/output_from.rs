//! Where a new reader of the journal starts.

/// Where a new output starts in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFrom {
    /// At the oldest record.
    Oldest,
    /// After the newest record.
    Now,
}
