//! The ledger: what a reader that counted each call once must have.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::world::{CallId, Direction, Facts, View};

/// Selects the calls of a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerQuery {
    /// Only calls that had ended by then, edits aside; by default, by now.
    pub settled_before: Option<Timestamp>,
    /// Only calls that started then or later.
    pub started_after: Option<Timestamp>,
    /// Leave out the ids, which are most of a large ledger.
    pub without_ids: bool,
}

/// The calls that are visible now, as they are now, added up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The simulated time.
    pub now: Timestamp,
    /// Of all calls.
    pub total: Sums,
    /// The same by client, center and direction, in that order.
    pub groups: Vec<LedgerGroup>,
    /// Every id, in the order of the calls' start; empty when left out.
    pub ids: Vec<String>,
    /// The state of the PBX.
    pub portsip: PortSipTruth,
}

/// One client's calls of one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerGroup {
    /// `ClientId`.
    pub client_id: String,
    /// `CenterId`.
    pub center_id: String,
    /// `incoming`, `outgoing` or `transfer`.
    pub direction: String,
    /// Of these calls.
    #[serde(flatten)]
    pub sums: Sums,
}

/// Calls and the sums of their durations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Unique calls.
    pub calls: u64,
    /// Those that nobody answered.
    pub unanswered: u64,
    /// Those of which the server does not say whether somebody answered.
    pub answer_unknown: u64,
    /// Those that have a flag.
    pub flagged: u64,
    /// `DurationInSeconds`.
    pub duration_ms: u64,
    /// `RingTimeInSeconds`.
    pub ring_ms: u64,
    /// `HoldTimeInSeconds`.
    pub hold_ms: u64,
    /// `TalkTimeInSeconds`.
    pub talk_ms: u64,
    /// `TransferTimeInSeconds`.
    pub transfer_ms: u64,
    /// `WorkTimeInSeconds`.
    pub work_ms: u64,
    /// `HoldCount`.
    pub holds: u64,
    /// `RingTimeInSeconds` of the calls that somebody answered.
    pub answer_ms: u64,
    /// `RingTimeInSeconds` of the calls that nobody answered.
    pub abandon_ms: u64,
    /// Calls that nobody answered and that rang longer than 5 seconds.
    pub abandoned: u64,
}

/// The state of the PBX.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PortSipTruth {
    /// Rates in the deck.
    pub rates: u64,
    /// Rates by type.
    pub rates_by_type: BTreeMap<String, u64>,
    /// Changes of the deck since the start.
    pub rates_changed: u64,
    /// The tenant's balance, as text with up to five decimals.
    pub balance: String,
    /// Whether calls are billed.
    pub billing_enabled: bool,
    /// Writes that were refused because only GET was allowed.
    pub writes_refused: u64,
}

impl Sums {
    fn add(&mut self, facts: &Facts) {
        self.calls += 1;
        self.unanswered += u64::from(facts.talk_known && !facts.answered());
        self.answer_unknown += u64::from(!facts.talk_known);
        self.flagged += u64::from(facts.flagged);
        self.duration_ms += u64::from(facts.duration());
        self.ring_ms += u64::from(facts.ring);
        self.hold_ms += u64::from(facts.hold);
        if facts.talk_known {
            self.talk_ms += u64::from(facts.talk);
        }
        self.transfer_ms += u64::from(facts.transfer);
        self.work_ms += u64::from(facts.work);
        self.holds += u64::from(facts.hold_count);
        if facts.talk_known {
            let ring = u64::from(facts.ring);
            if facts.answered() {
                self.answer_ms += ring;
            } else {
                self.abandon_ms += ring;
                self.abandoned += u64::from(ring > 5_000);
            }
        }
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.unanswered += other.unanswered;
        self.answer_unknown += other.answer_unknown;
        self.flagged += other.flagged;
        self.duration_ms += other.duration_ms;
        self.ring_ms += other.ring_ms;
        self.hold_ms += other.hold_ms;
        self.talk_ms += other.talk_ms;
        self.transfer_ms += other.transfer_ms;
        self.work_ms += other.work_ms;
        self.holds += other.holds;
        self.answer_ms += other.answer_ms;
        self.abandon_ms += other.abandon_ms;
        self.abandoned += other.abandoned;
    }
}

impl Ledger {
    pub(crate) fn new(view: &View<'_>, query: &LedgerQuery, portsip: PortSipTruth) -> Self {
        let mut total = Sums::default();
        let mut groups: BTreeMap<(u32, Direction), Sums> = BTreeMap::new();
        let mut ids = Vec::new();
        let from = (query.started_after).map_or(i64::MIN, Timestamp::as_millisecond);
        for (index, call) in view.visible(from, i64::MAX) {
            let settled_before = query.settled_before.map(Timestamp::as_millisecond);
            if call.end() > settled_before.unwrap_or(view.now) {
                continue;
            }
            let facts = view.facts(index, call);
            total.add(&facts);
            (groups.entry((call.client, call.direction)).or_default()).add(&facts);
            if !query.without_ids {
                ids.push(CallId::new(view.world.seed, index).to_string());
            }
        }
        let people = &view.world.people;
        let groups = (groups.into_iter())
            .filter_map(|((client, direction), sums)| {
                let client = people.clients.get(client as usize)?;
                let center = people.centers.get(client.center)?;
                Some(LedgerGroup {
                    client_id: client.id.clone(),
                    center_id: center.id.clone(),
                    direction: direction.label().to_owned(),
                    sums,
                })
            })
            .collect();
        Self {
            now: Timestamp::from_millisecond(view.now).unwrap_or_default(),
            total,
            groups,
            ids,
            portsip,
        }
    }
}
