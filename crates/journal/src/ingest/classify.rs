//! Classifies each call of a page: new, known, revised, or not to be counted.

use std::collections::HashSet;
use std::ops::Range;

use callmeter_records::{Call, CanonicalId, FieldHasher, id_hash};

use crate::error::Result;
use crate::ingest::account_memory::{AccountMemory, KnownIndex};
use crate::ingest::classification::Classification;
use crate::ingest::known_ids::KnownCall;
use crate::ingest::options::Purpose;
use crate::ingest::repeats::Repeats;
use crate::ingest::stored_calls::StoredCalls;
use crate::ingest::watermark::Watermark;
use crate::log::keys::CallKey;
use crate::log::shared::SharedLog;
use crate::utc_day::day_of;

/// What to do with a call.
pub(crate) enum Decision {
    /// Do not append it.
    Skip(Classification),
    /// Append it as a new call.
    New { key: CallKey, late: bool },
    /// Append it as a new version of a known call.
    Revised { key: CallKey, known: KnownCall },
}

/// Classifies the calls of one page.
pub(crate) struct Classifier<'p> {
    pub(crate) purpose: Purpose,
    pub(crate) window: Range<i64>,
    pub(crate) observed_at: i64,
    pub(crate) watermark: &'p Watermark,
    pub(crate) repeats: &'p mut Repeats,
    pub(crate) hasher: &'p mut FieldHasher,
    pub(crate) stored: StoredCalls<'p>,
    pub(crate) log: &'p SharedLog,
    /// Hashes of the page to look up in the stored keys.
    pub(crate) expected: HashSet<u64>,
    /// The known call that was found last.
    pub(crate) last_known: Option<KnownIndex>,
}

/// The hashes that identify a call. The only place where the id of a call is hashed on the way in.
struct Identity {
    fingerprint: u64,
    /// Compared with the known calls of the journal; stored.
    hash: u64,
    /// Compared with the calls of the same poll, whose ids are not kept. Not derived from `hash`,
    /// nor the reverse: the 64-bit hash is stored, and is not a part of the 128-bit hash.
    wide_hash: u128,
}

impl Identity {
    fn of(call: &Call<'_>, hasher: &mut FieldHasher) -> Self {
        let fingerprint = call.fingerprint(hasher);
        let (hash, wide_hash) = match call.id().map(CanonicalId::new) {
            Some(id) => (id.hash(), id.wide_hash()),
            // One id in 2⁶⁴ has a hash with this upper half.
            None => (fingerprint, u128::from(fingerprint) | u128::MAX << 64),
        };
        Self {
            fingerprint,
            hash,
            wide_hash,
        }
    }
}

impl Classifier<'_> {
    /// Decides what to do with a call. Fails only if the log has to be read and cannot be.
    pub(crate) fn classify(
        &mut self,
        memory: &mut AccountMemory,
        call: &Call<'_>,
    ) -> Result<Decision> {
        let start = call.start_time.known();
        if start.is_some_and(|start| !self.window.contains(&start)) {
            return Ok(Decision::Skip(Classification::OutsideWindow));
        }
        let identity = Identity::of(call, self.hasher);
        let known = self.find_known(memory, call, &identity)?;
        let is_deleted = start
            .zip(memory.row.forgotten_before)
            .is_some_and(|(start, before)| start < before);
        if known.is_none() && is_deleted {
            return Ok(Decision::Skip(Classification::Forgotten));
        }
        if self
            .repeats
            .is_repeated(identity.wide_hash, known.map(|(index, _)| index))
        {
            return Ok(Decision::Skip(Classification::Repeated));
        }
        self.last_known = known.map(|(index, _)| index).or(self.last_known);
        if let Some((index, known)) = known
            && (known.fingerprint == identity.fingerprint || self.purpose == Purpose::Tail)
        {
            self.repeats.add_known(index);
            return Ok(Decision::Skip(Classification::Known));
        }
        let settled_at = self.watermark.settled_at(call, known.is_some());
        if settled_at.is_some_and(|settled_at| settled_at > self.observed_at) {
            self.repeats.add_unsettled(identity.wide_hash);
            return Ok(Decision::Skip(Classification::Unsettled));
        }
        let key = CallKey {
            hash: identity.hash,
            fingerprint: identity.fingerprint,
            // A call without a start time counts at the end of the window that returned it.
            day: day_of(
                call.start_time
                    .known()
                    .unwrap_or(self.window.end.saturating_sub(1)),
            ),
        };
        Ok(match known {
            Some((_, known)) => Decision::Revised { key, known },
            None => Decision::New {
                key,
                late: self.watermark.is_late(settled_at),
            },
        })
    }

    /// Notes ids of the page, so that all of them are looked up in the stored keys at once.
    pub(crate) fn expect<'i>(
        &mut self,
        memory: &AccountMemory,
        ids: impl Iterator<Item = &'i str>,
    ) {
        let hashes = ids.map(id_hash);
        let is_wanted =
            |hash: &u64| memory.may_be_stored(*hash) && memory.with_hash(*hash).next().is_none();
        self.expected.extend(hashes.filter(is_wanted));
    }

    /// The known call, from memory or from the stored keys.
    fn find_known(
        &mut self,
        memory: &mut AccountMemory,
        call: &Call<'_>,
        identity: &Identity,
    ) -> Result<Option<(KnownIndex, KnownCall)>> {
        let known = self.find_in_memory(memory, call, identity)?;
        if known.is_some() || !memory.may_be_stored(identity.hash) {
            return Ok(known);
        }
        let mut hashes = std::mem::take(&mut self.expected);
        hashes.insert(identity.hash);
        self.log
            .with_reader(|reader| memory.look_up(reader, &hashes))?;
        self.find_in_memory(memory, call, identity)
    }

    /// The known call with the same contents, else the one with the same id. If only hashes are
    /// equal, the stored ids are compared.
    fn find_in_memory(
        &mut self,
        memory: &AccountMemory,
        call: &Call<'_>,
        identity: &Identity,
    ) -> Result<Option<(KnownIndex, KnownCall)>> {
        let is_same =
            |(_, known): &(KnownIndex, KnownCall)| known.fingerprint == identity.fingerprint;
        let expected = memory.after_with_hash(self.last_known, identity.hash);
        if let Some(same) = expected.filter(is_same) {
            return Ok(Some(same));
        }
        if !memory.may_have(identity.hash) {
            return Ok(None);
        }
        let same = memory.with_hash(identity.hash).find(is_same);
        if same.is_some() {
            return Ok(same);
        }
        let Some(id) = call.id() else {
            return Ok(None);
        };
        for (index, known) in memory.with_hash(identity.hash) {
            if self.stored.read(known.address(), |row| {
                row.id().map(CanonicalId::new) == Some(CanonicalId::new(id))
            })? {
                return Ok(Some((index, known)));
            }
        }
        Ok(None)
    }
}
