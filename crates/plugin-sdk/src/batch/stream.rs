//! The streams that records belong to.

use callmeter_plugin_abi::StreamKind;

/// What the records of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stream {
    /// Calls.
    Calls,
    /// Allowance balances.
    Balances,
    /// Call rates.
    Rates,
    /// Billing settings.
    Billing,
    /// What calls cost.
    Charges,
    /// A stream that this SDK does not know. Its columns can be read by name.
    Other(u32),
}

impl Stream {
    pub(super) fn from_kind(kind: u32) -> Self {
        const CALLS: u32 = StreamKind::Calls as u32;
        const BALANCES: u32 = StreamKind::Balances as u32;
        const RATES: u32 = StreamKind::Rates as u32;
        const BILLING: u32 = StreamKind::Billing as u32;
        const CHARGES: u32 = StreamKind::Charges as u32;
        match kind {
            CALLS => Self::Calls,
            BALANCES => Self::Balances,
            RATES => Self::Rates,
            BILLING => Self::Billing,
            CHARGES => Self::Charges,
            other => Self::Other(other),
        }
    }

    #[cfg(feature = "arrow-60")]
    pub(crate) fn kind(self) -> u32 {
        match self {
            Self::Calls => StreamKind::Calls as u32,
            Self::Balances => StreamKind::Balances as u32,
            Self::Rates => StreamKind::Rates as u32,
            Self::Billing => StreamKind::Billing as u32,
            Self::Charges => StreamKind::Charges as u32,
            Self::Other(kind) => kind,
        }
    }

    /// The name used in configurations, such as `calls`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Balances => "balances",
            Self::Rates => "rates",
            Self::Billing => "billing",
            Self::Charges => "charges",
            Self::Other(_) => "other",
        }
    }
}
