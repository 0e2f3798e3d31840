//! The texts of calls that the journal has: a record whose text has not changed by a byte since
//! then is known, and nothing else of it is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostedsuite_client::{Hashed, KnownRows, KnownText};

/// The most calls of an account: some 4 MiB. Further ones are read as if they were new.
const MOST: usize = 1 << 16;

/// The texts of an account's calls. Its readings add them, and its client looks them up.
#[derive(Debug, Clone, Default)]
pub(in crate::sources) struct KnownTexts(Arc<Mutex<Texts>>);

/// A call that is known by its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownCall {
    pub(super) text: KnownText,
    /// The hash of its id as the journal has it.
    pub(super) id: u64,
    pub(super) start: Option<i64>,
}

/// Calls in the order in which they were added, which is the order in which they are listed again.
/// So the next call that is looked for is nearly always the one behind the last: that needs no
/// look-up, which would wait for memory.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// With the hash of its id as the server writes it; `None` if it was removed.
    calls: Vec<(u64, Option<KnownCall>)>,
    /// The places of the calls, by these hashes.
    places: HashMap<u64, usize, Hashed>,
    /// The place behind that of the last look-up.
    next: usize,
}

impl KnownTexts {
    pub(super) fn lock(&self) -> MutexGuard<'_, Texts> {
        // A panic cannot leave the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownRows for KnownTexts {
    fn text_of(&self, id: u64) -> Option<KnownText> {
        Some(self.lock().get(id)?.text)
    }
}

impl Texts {
    pub(super) fn get(&mut self, id: u64) -> Option<KnownCall> {
        let place = match self.calls.get(self.next) {
            Some((next, _)) if *next == id => self.next,
            _ => *self.places.get(&id)?,
        };
        self.next = place + 1;
        self.calls.get(place)?.1
    }

    /// Adds a call that the journal has with these contents.
    pub(super) fn add(&mut self, id: u64, call: KnownCall) {
        let place = self.places.get(&id);
        if let Some((_, known)) = place.and_then(|place| self.calls.get_mut(*place)) {
            *known = Some(call);
            return;
        }
        // Days that are no longer read leave their calls behind.
        if self.calls.len() >= MOST {
            *self = Self::default();
        }
        self.places.insert(id, self.calls.len());
        self.calls.push((id, Some(call)));
    }

    /// Removes a call: the journal has other contents, or may have.
    pub(super) fn remove(&mut self, id: u64) {
        let place = self.places.get(&id);
        if let Some((_, known)) = place.and_then(|place| self.calls.get_mut(*place)) {
            *known = None;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use hostedsuite_client::CallsPage;
    use proptest::prelude::*;

    use super::*;

    /// Some text, for a known call that starts at `start`.
    fn call(start: i64) -> KnownCall {
        let page = CallsPage::parse(r#"[{"Id":"7"}]"#.into(), hostedsuite_client::Format::Json);
        let (_, text) = page.unwrap().known_text(0).unwrap();
        KnownCall {
            text,
            id: 0,
            start: Some(start),
        }
    }

    proptest! {
        #[test]
        fn calls_are_found_in_whatever_order(steps in prop::collection::vec((0_u64..9, 0_u8..6), 0..60)) {
            let mut texts = Texts::default();
            let mut expected = HashMap::new();
            for (start, (id, step)) in (0..).zip(steps) {
                match step {
                    0 | 1 => {
                        texts.add(id, call(start));
                        expected.insert(id, start);
                    }
                    2 => {
                        texts.remove(id);
                        expected.remove(&id);
                    }
                    _ => {
                        let found = texts.get(id).and_then(|call| call.start);
                        prop_assert_eq!(found, expected.get(&id).copied());
                    }
                }
            }
        }
    }
}
