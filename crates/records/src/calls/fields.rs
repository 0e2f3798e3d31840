//! The durations of a call.

/// The durations of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "described with the columns of the same names")]
pub enum CallField {
    Duration,
    Ring,
    Hold,
    Talk,
    Transfer,
    Work,
}

impl CallField {
    /// All of them, in the order of their columns.
    pub const ALL: [Self; 6] = [
        Self::Duration,
        Self::Ring,
        Self::Hold,
        Self::Talk,
        Self::Transfer,
        Self::Work,
    ];

    /// The name in labels: `duration`, `ring` …
    pub const fn name(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Ring => "ring",
            Self::Hold => "hold",
            Self::Talk => "talk",
            Self::Transfer => "transfer",
            Self::Work => "work",
        }
    }

    /// The column: `duration_ms` …
    pub const fn column(self) -> &'static str {
        match self {
            Self::Duration => "duration_ms",
            Self::Ring => "ring_ms",
            Self::Hold => "hold_ms",
            Self::Talk => "talk_ms",
            Self::Transfer => "transfer_ms",
            Self::Work => "work_ms",
        }
    }

    /// Its place in [`CallField::ALL`] and in arrays of durations.
    pub const fn index(self) -> usize {
        self as usize
    }
}
