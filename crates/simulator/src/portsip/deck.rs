//! The rate deck: rates by prefix, which is unique, and by id.

use std::sync::Arc;

use super::error::ApiError;
use super::rate::Rate;

/// Ids count up from here, as large as the documented ones.
const FIRST_ID: u64 = 700_551_909_773_148_160;

#[derive(Debug)]
pub(super) struct Deck {
    /// In order of the prefix.
    by_prefix: Vec<Arc<Rate>>,
    /// In order of the id, which is the order of creation.
    by_id: Vec<Arc<Rate>>,
    next_id: u64,
    changes: u64,
}

impl Deck {
    /// A deck of rates with distinct prefixes, in order of creation.
    pub(super) fn new(rates: impl Iterator<Item = Rate>) -> Self {
        let by_id: Vec<_> = (FIRST_ID..)
            .zip(rates)
            .map(|(id, rate)| Arc::new(Rate { id, ..rate }))
            .collect();
        let mut by_prefix = by_id.clone();
        by_prefix.sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix));
        Self {
            next_id: FIRST_ID + by_id.len() as u64,
            by_prefix,
            by_id,
            changes: 0,
        }
    }

    pub(super) fn by_prefix(&self) -> &[Arc<Rate>] {
        &self.by_prefix
    }

    pub(super) fn by_id(&self) -> &[Arc<Rate>] {
        &self.by_id
    }

    /// Rates changed, added and removed so far.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn get(&self, id: u64) -> Option<&Arc<Rate>> {
        self.by_id.get(self.place_of(id)?)
    }

    /// Adds a rate and returns its id.
    pub(super) fn add(
        &mut self,
        create: impl FnOnce(u64) -> Result<Rate, ApiError>,
    ) -> Result<u64, ApiError> {
        let id = self.next_id;
        let rate = Arc::new(create(id)?);
        let Err(place) = self.place_by_prefix(&rate.prefix) else {
            return Err(taken(&rate.prefix));
        };
        self.by_prefix.insert(place, Arc::clone(&rate));
        self.by_id.push(rate);
        self.next_id += 1;
        self.changes += 1;
        Ok(id)
    }

    /// Changes a rate; false if there is none with that id.
    pub(super) fn update(
        &mut self,
        id: u64,
        change: impl FnOnce(&mut Rate) -> Result<(), ApiError>,
    ) -> Result<bool, ApiError> {
        let Some(place) = self.place_of(id) else {
            return Ok(false);
        };
        let Some(slot) = self.by_id.get_mut(place) else {
            return Ok(false);
        };
        let before = Arc::clone(slot);
        let mut rate = Rate::clone(&before);
        change(&mut rate)?;
        let rate = Arc::new(rate);
        let by_prefix = |prefix: &str, deck: &[Arc<Rate>]| {
            deck.binary_search_by(|rate| rate.prefix.as_str().cmp(prefix))
        };
        if rate.prefix != before.prefix && by_prefix(&rate.prefix, &self.by_prefix).is_ok() {
            return Err(taken(&rate.prefix));
        }
        *slot = Arc::clone(&rate);
        if let Ok(old) = by_prefix(&before.prefix, &self.by_prefix) {
            self.by_prefix.remove(old);
        }
        if let Err(new) = by_prefix(&rate.prefix, &self.by_prefix) {
            self.by_prefix.insert(new, rate);
        }
        self.changes += 1;
        Ok(true)
    }

    /// Removes a rate; false if there is none with that id.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        let Some(place) = self.place_of(id) else {
            return false;
        };
        let rate = self.by_id.remove(place);
        if let Ok(place) = self.place_by_prefix(&rate.prefix) {
            self.by_prefix.remove(place);
        }
        self.changes += 1;
        true
    }

    fn place_of(&self, id: u64) -> Option<usize> {
        self.by_id.binary_search_by_key(&id, |rate| rate.id).ok()
    }

    fn place_by_prefix(&self, prefix: &str) -> Result<usize, usize> {
        self.by_prefix
            .binary_search_by(|rate| rate.prefix.as_str().cmp(prefix))
    }
}

fn taken(prefix: &str) -> ApiError {
    ApiError::validation(format!("there is a rate of the prefix {prefix} already"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portsip::seeding;

    fn deck() -> Deck {
        Deck::new(seeding::rates(1, 500))
    }

    fn is_consistent(deck: &Deck) -> bool {
        deck.by_id.len() == deck.by_prefix.len()
            && deck.by_id.is_sorted_by_key(|rate| rate.id)
            && deck
                .by_prefix
                .windows(2)
                .all(|pair| pair[0].prefix < pair[1].prefix)
            && deck
                .by_prefix
                .iter()
                .all(|rate| deck.get(rate.id) == Some(rate))
    }

    #[test]
    fn both_orders_stay_the_same_set() {
        let mut deck = deck();
        assert!(is_consistent(&deck));
        for number in 0..300 {
            seeding::change(&mut deck, 1, number);
        }
        assert!(is_consistent(&deck));
        assert_eq!(deck.changes(), 300);
    }

    #[test]
    fn a_prefix_is_unique() {
        let mut deck = deck();
        let [first, second] = [0, 1].map(|place| Arc::clone(&deck.by_id[place]));
        let copy = Rate::clone(&first);
        assert!(deck.add(|id| Ok(Rate { id, ..copy })).is_err());
        let renamed = deck.update(second.id, |rate| {
            rate.prefix.clone_from(&first.prefix);
            Ok(())
        });
        assert!(renamed.is_err());
        assert!(is_consistent(&deck) && deck.changes() == 0);
    }
}
