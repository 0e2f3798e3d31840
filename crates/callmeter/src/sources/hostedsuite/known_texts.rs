//! The texts of calls that the journal has: a record whose text has not changed by a byte since
//! then is known, and nothing else of it is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use hostedsuite_client::{KnownRows, KnownText};

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
    calls: Vec<Entry>,
    /// The places of all entries, by the hash of the id as the server writes it.
    places: HashTable<u32>,
    /// The places of the entries that have a text, by the hash of the id as the journal has it: an
    /// id has several spellings.
    by_call: HashTable<u32>,
    /// The place behind that of the last look-up.
    next: usize,
}

/// A spelling of an id, and its text; `None` if that was removed.
#[derive(Debug)]
struct Entry {
    row: u64,
    call: Option<KnownCall>,
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
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_call.len()
    }

    pub(super) fn get(&mut self, id: u64) -> Option<KnownCall> {
        let place = match self.calls.get(self.next) {
            Some(next) if next.row == id => self.next,
            _ => self.place(id)?,
        };
        self.next = place + 1;
        self.calls.get(place)?.call
    }

    fn place(&self, row: u64) -> Option<usize> {
        let is_row = |place: &u32| row_at(&self.calls, *place) == row;
        self.places.find(row, is_row).map(|place| *place as usize)
    }

    /// Adds the text of a call that the journal has with these contents. It replaces any other text
    /// of the call.
    pub(super) fn add(&mut self, id: u64, call: KnownCall) {
        self.remove(call.id);
        // Days that are no longer read leave their calls behind.
        if self.calls.len() >= MOST {
            *self = Self::default();
        }
        let place = self.place(id).unwrap_or(self.calls.len());
        let Ok(number) = u32::try_from(place) else {
            return;
        };
        match call_at(&self.calls, number) {
            // Another call had this spelling.
            Some(other) => self.remove(other),
            None if place == self.calls.len() => {
                self.calls.push(Entry {
                    row: id,
                    call: None,
                });
                let calls = &self.calls;
                self.places
                    .insert_unique(id, number, |place| row_at(calls, *place));
            }
            None => {}
        }
        if let Some(entry) = self.calls.get_mut(place) {
            entry.call = Some(call);
        }
        let calls = &self.calls;
        self.by_call
            .insert_unique(call.id, number, |place| call_at(calls, *place).unwrap_or(0));
    }

    /// Removes the text of a call, by the hash of its id as the journal has it: the journal has
    /// other contents, or may have.
    pub(super) fn remove(&mut self, call: u64) {
        let calls = &self.calls;
        let is_call = |place: &u32| call_at(calls, *place) == Some(call);
        if let Ok(found) = self.by_call.find_entry(call, is_call) {
            let (place, _) = found.remove();
            if let Some(entry) = self.calls.get_mut(place as usize) {
                entry.call = None;
            }
        }
    }
}

fn row_at(calls: &[Entry], place: u32) -> u64 {
    calls.get(place as usize).map_or(0, |entry| entry.row)
}

fn call_at(calls: &[Entry], place: u32) -> Option<u64> {
    Some(calls.get(place as usize)?.call?.id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use hostedsuite_client::CallsPage;
    use proptest::prelude::*;

    use super::*;

    /// Some text of a call that starts at `start`.
    fn call(id: u64, start: i64) -> KnownCall {
        let page = CallsPage::parse(r#"[{"Id":"7"}]"#.into(), hostedsuite_client::Format::Json);
        let (_, text) = page.unwrap().known_text(0).unwrap();
        KnownCall {
            text,
            id,
            start: Some(start),
        }
    }

    proptest! {
        /// Calls whose ids have two spellings each.
        #[test]
        fn a_call_has_the_text_that_came_last(steps in prop::collection::vec((0_u64..9, 0_u8..6), 0..60)) {
            let mut texts = Texts::default();
            let mut expected: HashMap<u64, (u64, i64)> = HashMap::new();
            for (start, (row, step)) in (0..).zip(steps) {
                let id = row / 2;
                match step {
                    0 | 1 => {
                        texts.add(row, call(id, start));
                        expected.insert(id, (row, start));
                    }
                    2 => {
                        texts.remove(id);
                        expected.remove(&id);
                    }
                    _ => {
                        let found = texts.get(row).and_then(|call| call.start);
                        let known = expected.get(&id).filter(|(known, _)| *known == row);
                        prop_assert_eq!(found, known.map(|(_, start)| *start));
                    }
                }
            }
        }
    }
}
