//! A setting and the simulated times from which its values hold, so that what a fault did to a
//! record is not undone when the fault ends.

#[derive(Clone, Debug)]
pub(crate) struct Timeline<T> {
    /// In ascending order of time; the first one has no start.
    values: Vec<(i64, T)>,
}

impl<T: Copy + PartialEq> Timeline<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            values: vec![(i64::MIN, value)],
        }
    }

    /// Lets `value` hold from `now` on.
    pub(crate) fn set(&mut self, now: i64, value: T) {
        match self.values.last_mut() {
            Some((_, last)) if *last == value => {}
            Some((since, last)) if *since == now => *last = value,
            _ => self.values.push((now, value)),
        }
    }

    /// The value that held, or holds, at a time.
    pub(crate) fn at(&self, time: i64) -> Option<T> {
        self.values
            .iter()
            .rev()
            .find(|(since, _)| *since <= time)
            .map(|(_, value)| *value)
    }

    /// All values that ever held.
    pub(crate) fn values(&self) -> impl Iterator<Item = T> {
        self.values.iter().map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::Timeline;

    #[test]
    fn a_value_holds_from_when_it_was_set() {
        let mut timeline = Timeline::new(0);
        timeline.set(10, 1);
        timeline.set(20, 0);
        timeline.set(20, 2);
        let seen: Vec<_> = [i64::MIN, 9, 10, 19, 20, 99]
            .iter()
            .map(|time| timeline.at(*time))
            .collect();
        assert_eq!(seen, [0, 0, 1, 1, 2, 2].map(Some));
    }
}
