//! The settings that decide how a call is counted, and since when they hold.
//!
//! An edit takes a call back as it was counted, which may have been under other settings. So the
//! earlier settings are part of the totals.

use crate::folding::Limits;

/// How one version of a call is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// A call that nobody answered is abandoned if it rang longer than this.
    pub(crate) short_abandon_ms: i64,
    /// Whether it is counted by who answered.
    pub(crate) operators: bool,
    /// The version's `sequence` in the stream `calls`.
    pub(crate) sequence: i64,
}

/// The settings in effect, and those before. Times are places in the stream `calls`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    /// Earlier values of `short_abandon`: each holds for the calls before a `sequence`, from the
    /// one of the entry before.
    pub(crate) earlier: Vec<(i64, i64)>,
    /// The first call that is counted by who answered.
    pub(crate) operators_since: i64,
    /// The last call that was counted.
    pub(crate) last: i64,
}

impl Settings {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// How the version of a call with this `sequence` is counted.
    pub(crate) fn rules(&self, sequence: i64) -> Rules {
        let earlier = self.earlier.iter().find(|(until, _)| sequence < *until);
        Rules {
            short_abandon_ms: earlier.map_or(self.limits.short_abandon_ms, |(_, value)| *value),
            operators: self.limits.operators && sequence >= self.operators_since,
            sequence,
        }
    }

    /// Notes that a version of a call was counted.
    pub(crate) fn counted(&mut self, sequence: i64) {
        self.last = self.last.max(sequence);
    }

    /// Counts by these limits from the next call on.
    pub(crate) fn change(&mut self, limits: Limits) {
        let next = self.last.saturating_add(1);
        let before = self.limits.short_abandon_ms;
        if limits.short_abandon_ms != before {
            match self.earlier.last() {
                // No call was counted with the value before.
                Some((until, value)) if *until == next => {
                    if *value == limits.short_abandon_ms {
                        self.earlier.pop();
                    }
                }
                _ => self.earlier.push((next, before)),
            }
        }
        if limits.operators && !self.limits.operators {
            self.operators_since = next;
        }
        self.limits = limits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_the_settings_in_effect_when_it_was_counted() {
        let limits = |short_abandon_ms, operators| Limits {
            short_abandon_ms,
            operators,
            ..Limits::default()
        };
        let mut settings = Settings::new(limits(5, false));
        settings.counted(10);
        settings.change(limits(30, true));
        // Nothing is counted under this one.
        settings.change(limits(7, true));
        settings.change(limits(30, true));
        settings.counted(20);
        settings.change(limits(8, true));
        settings.change(limits(30, true));
        let of = |sequence| {
            let rules = settings.rules(sequence);
            (rules.short_abandon_ms, rules.operators)
        };
        assert_eq!(
            [1, 10, 11, 20, 21].map(of),
            [(5, false), (5, false), (30, true), (30, true), (30, true)]
        );
        assert_eq!(settings.earlier, [(11, 5)]);
    }
}
