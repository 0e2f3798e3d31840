//! The set of batches that have been counted.

use std::collections::BTreeSet;

/// All batches up to one, and some beyond it: accounts append and apply independently, so that a
/// batch can be applied before one with a lower number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) through: u64,
    pub(crate) beyond: BTreeSet<u64>,
}

impl Applied {
    pub(crate) fn contains(&self, batch: u64) -> bool {
        batch <= self.through || self.beyond.contains(&batch)
    }

    pub(crate) fn insert(&mut self, batch: u64) {
        self.beyond.insert(batch);
        self.close_up();
    }

    pub(crate) fn skip_before(&mut self, batch: u64) {
        self.through = self.through.max(batch.saturating_sub(1));
        self.beyond = self.beyond.split_off(&self.through.saturating_add(1));
        self.close_up();
    }

    fn close_up(&mut self) {
        while let Some(next) = self.through.checked_add(1) {
            if !self.beyond.remove(&next) {
                break;
            }
            self.through = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(through: u64, beyond: &[u64]) -> Applied {
        Applied {
            through,
            beyond: beyond.iter().copied().collect(),
        }
    }

    #[test]
    fn batches_are_remembered_once_in_any_order() {
        let mut seen = Applied::default();
        for batch in [2, 4, 1, 7] {
            assert!(!seen.contains(batch));
            seen.insert(batch);
            assert!(seen.contains(batch));
        }
        assert_eq!(seen, applied(2, &[4, 7]));
        seen.insert(3);
        assert_eq!(seen, applied(4, &[7]));
    }

    #[test]
    fn batches_that_the_journal_no_longer_has_count_as_applied() {
        let mut seen = applied(2, &[4, 7, 9]);
        seen.skip_before(6);
        assert_eq!(seen, applied(5, &[7, 9]));
        seen.skip_before(7);
        assert_eq!(seen, applied(7, &[9]));
        seen.skip_before(3);
        assert_eq!(seen, applied(7, &[9]));
    }
}
