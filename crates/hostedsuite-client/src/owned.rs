//! Call records with texts of their own: friendlier than [`CallRef`], and slower.

use api_client::Number;

use crate::CallRef;

/// A call record. `None` is a missing or null member.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct CallRecord {
    /// The call's id.
    pub id: Option<String>,
    /// The client that was called, or that called.
    pub client_id: Option<String>,
    /// The client's name. Not unique.
    pub client_name: Option<String>,
    /// The center that took the call.
    pub center_id: Option<String>,
    /// When the call began, as the server wrote it: usually `2026-08-06 08:45:00`, without a zone.
    pub start_time: Option<String>,
    /// The name of the other side.
    pub caller_name: Option<String>,
    /// The number of the other side.
    pub caller_number: Option<String>,
    /// Who the call was passed on to.
    pub transfer_to_name: Option<String>,
    /// The number that the call was passed on to.
    pub transfer_to_number: Option<String>,
    /// What the receptionist wrote.
    pub notes: Option<String>,
    /// How long the call took, in seconds.
    pub duration: Number,
    /// How long it rang, in seconds.
    pub ring_time: Number,
    /// How long the caller was on hold, in seconds.
    pub hold_time: Number,
    /// How often the caller was put on hold.
    pub hold_count: Number,
    /// What happened during the call.
    pub interactions: Vec<Interaction>,
    /// Who answered.
    pub answered_by: Option<String>,
    /// The server that carried the call.
    pub server: Option<String>,
    /// How long was talked, in seconds.
    pub talk_time: Number,
    /// How long passing it on took, in seconds.
    pub transfer_time: Number,
    /// The screen pop that was shown.
    pub screen_pop: Option<String>,
    /// The forms that were filled in.
    pub completed_form_ids: Vec<String>,
    /// Whether somebody flagged the call; `None` when unreadable, too.
    pub flagged: Option<bool>,
    /// Why it was flagged.
    pub flag_notes: Option<String>,
    /// `Incoming`, `Outgoing` or another kind, as the server wrote it.
    pub call_type: Option<String>,
    /// How long the work after the call took, in seconds.
    pub work_time: Number,
}

/// Something that happened during a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Interaction {
    /// When, as the server wrote it.
    pub start_time: Option<String>,
    /// What happened, such as `Answer`, `Hold`, `Hangup`.
    pub interaction_type: Option<String>,
    /// What happened, in words.
    pub description: Option<String>,
}

impl From<CallRef<'_>> for CallRecord {
    fn from(call: CallRef<'_>) -> Self {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Self {
            id: own(call.id()),
            client_id: own(call.client_id()),
            client_name: own(call.client_name()),
            center_id: own(call.center_id()),
            start_time: own(call.start_time()),
            caller_name: own(call.caller_name()),
            caller_number: own(call.caller_number()),
            transfer_to_name: own(call.transfer_to_name()),
            transfer_to_number: own(call.transfer_to_number()),
            notes: own(call.notes()),
            duration: call.duration().to_owned(),
            ring_time: call.ring_time().to_owned(),
            hold_time: call.hold_time().to_owned(),
            hold_count: call.hold_count().to_owned(),
            interactions: call.interactions().map_or_else(Vec::new, |list| {
                list.map(|interaction| Interaction {
                    start_time: own(interaction.start_time()),
                    interaction_type: own(interaction.interaction_type()),
                    description: own(interaction.description()),
                })
                .collect()
            }),
            answered_by: own(call.answered_by()),
            server: own(call.server()),
            talk_time: call.talk_time().to_owned(),
            transfer_time: call.transfer_time().to_owned(),
            screen_pop: own(call.screen_pop()),
            completed_form_ids: call
                .completed_form_ids()
                .map_or_else(Vec::new, |list| list.flatten().map(str::to_owned).collect()),
            flagged: call.flagged().ok().flatten(),
            flag_notes: own(call.flag_notes()),
            call_type: own(call.call_type()),
            work_time: call.work_time().to_owned(),
        }
    }
}
