//! The settings of the faults of records.

use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, check_rate, check_seconds, ensure};
use crate::random::{Purpose, selects};

/// Declares a fault of records: the share of records that have it, its own members, and their
/// bounds.
macro_rules! record_fault {
    (
        $(#[$doc:meta])*
        $name:ident, rate $rate:literal { $($(#[$member_doc:meta])* $member:ident: $type:ty = $default:expr,)* }
        $($check:expr)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The share of records, from 0 to 1.
            pub rate: f64,
            /// Selects which, and what happens to each of them.
            pub seed: u64,
            $($(#[$member_doc])* pub $member: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { rate: $rate, seed: 0, $($member: $default,)* }
            }
        }

        impl Bounds for $name {
            fn check(&self) -> Result<(), &'static str> {
                check_rate(self.rate)$(.and(($check)(self)))?
            }
        }
    };
}

record_fault! {
    /// A share of all records.
    Share, rate 1.0 {}
}

impl Share {
    pub(crate) fn selects(&self, purpose: Purpose, index: usize) -> bool {
        selects(self.rate, self.seed, purpose, index as u64)
    }
}

record_fault! {
    /// Records that appear late.
    Late, rate 1.0 {
        /// The longest delay after the end of the call, in simulated seconds, at most 30 days.
        within_seconds: u32 = 3_600,
    }
    |fault: &Late| check_seconds(fault.within_seconds)
}

record_fault! {
    /// Records that are edited.
    Edits, rate 1.0 {
        /// The longest delay after the end of the call, in simulated seconds, at most 30 days.
        within_seconds: u32 = 3_600,
    }
    |fault: &Edits| check_seconds(fault.within_seconds)
}

record_fault! {
    /// Records whose start time is edited.
    MovedStarts, rate 1.0 {
        /// The days by which the start moves; negative ones move it to the past.
        days: i32 = 7,
        /// The longest delay after the end of the call, in simulated seconds, at most 30 days.
        within_seconds: u32 = 3_600,
    }
    |fault: &MovedStarts| check_seconds(fault.within_seconds)
        .and(ensure(fault.days.unsigned_abs() <= 365, "days must be from -365 to 365"))
}

record_fault! {
    /// Records without a start time.
    NoStart, rate 1.0 {
        /// How the server writes that.
        style: StartStyle = StartStyle::Absent,
    }
}

/// How a server writes that there is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartStyle {
    /// `StartTime` is left out.
    Absent,
    /// All times are .NET's smallest one, `0001-01-01T00:00:00`.
    MinValue,
    /// `StartTime` is a century late.
    Century,
}

record_fault! {
    /// Records whose duration comes and goes.
    Flapping, rate 1.0 {
        /// How long each value holds, in simulated seconds.
        seconds: u32 = 60,
    }
    |fault: &Flapping| check_seconds(fault.seconds)
}

record_fault! {
    /// Records that do not say whether the call was answered.
    UnknownTalk, rate 1.0 {
        /// How the server writes the talk time.
        style: TalkStyle = TalkStyle::Text,
    }
}

/// How a server writes a talk time that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TalkStyle {
    /// `n/a`.
    Text,
    /// The member is left out.
    Missing,
}

record_fault! {
    /// Records that appear between two pages while a reader reads them.
    Shifts, rate 0.5 {
        /// Calls are recent if they ended at most this many simulated seconds ago.
        recent_seconds: u32 = 600,
    }
    |fault: &Shifts| check_seconds(fault.recent_seconds)
}
