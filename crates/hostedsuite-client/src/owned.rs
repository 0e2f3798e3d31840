//! Call records that own their texts: easier to use than [`CallRef`], and slower.

use crate::calls::{CallRef, InteractionRef};
use crate::generated_members::{call_record_info, call_record_interaction_info};
use crate::members::owned;

call_record_info! { owned
    /// A call record. `None` is a missing or null member.
    #[derive(Debug, Clone, PartialEq, Default)]
    CallRecord of CallRef;
}

call_record_interaction_info! { owned
    /// Something that happened during a call.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    Interaction of InteractionRef;
}

impl CallRef<'_> {
    /// The record, with copies of its texts.
    pub fn to_record(&self) -> CallRecord {
        CallRecord::from(*self)
    }
}
