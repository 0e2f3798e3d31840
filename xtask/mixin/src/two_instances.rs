//! Makes of a case with one instance the same case with two, of which the first one dies: totals are
//! shown by both all the time, the state of polls and outputs moves to the second one.

use callmeter_meter::{FamilyId, MetricType, Source};

/// How long nobody shows the state of what moves, in minutes.
const GAP: usize = 4;

/// A run of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    /// The first value and what each further one adds; `None` if there is no sample.
    values: Option<(f64, f64)>,
    samples: usize,
}

/// The series of both instances from the minute `from` on; the first one dies `dies` minutes later.
pub(crate) fn of(series: &[(&str, &str)], from: usize, dies: usize) -> Vec<(String, String)> {
    let mut both = Vec::new();
    for (series, values) in series {
        let family = family_of(series);
        let (_, runs) = cut(&runs(values), from);
        let (before, _) = cut(&runs, dies);
        both.push((at("one", series), format!("{}stale", text(&before))));
        let second = if is_shown_by_all(family) {
            runs
        } else {
            let last = before.last().and_then(|run| Some(run.last()?.0));
            let (_, mut rest) = cut(&runs, dies + GAP);
            if family.family().metric_type == MetricType::Counter {
                restart(&mut rest, last.unwrap_or(0.0));
            }
            let none = Run {
                values: None,
                samples: dies + GAP,
            };
            [vec![none], rest].concat()
        };
        both.push((at("two", series), text(&second)));
    }
    both
}

/// Whether every instance shows the family.
fn is_shown_by_all(family: FamilyId) -> bool {
    let is_of_journal = matches!(family, FamilyId::JournalBytes | FamilyId::JournalLimit);
    is_of_journal || family.family().source == Source::Totals
}

/// The family of a series such as `{Calls}_sum{account="a"}`.
fn family_of(series: &str) -> FamilyId {
    let id = series.trim_start_matches('{').split('}').next();
    let mut all = FamilyId::ALL.iter().copied();
    let found = all.find(|family| Some(format!("{family:?}").as_str()) == id);
    // The name is expanded later, which reports it.
    found.unwrap_or(FamilyId::BuildInfo)
}

/// The series as it is scraped from an instance.
fn at(instance: &str, series: &str) -> String {
    let label = format!("instance=\"{instance}\"");
    let (family, labels) = series.split_once('}').unwrap_or((series, ""));
    let (suffix, labels) = labels.split_once('{').unwrap_or((labels, "}"));
    let comma = if labels == "}" { "" } else { ", " };
    format!("{family}}}{suffix}{{{label}{comma}{labels}")
}

impl Run {
    /// The last value and its step.
    fn last(self) -> Option<(f64, f64)> {
        let (first, step) = self.values?;
        #[expect(clippy::cast_precision_loss, reason = "a number of minutes")]
        let steps = self.samples.saturating_sub(1) as f64;
        Some((first + step * steps, step))
    }
}

/// Reads promtool's notation: `1`, `_`, `0x5`, `_x5`, `1+2x5`, `1-2x5`.
fn runs(values: &str) -> Vec<Run> {
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    let of = |word: &str| {
        let (value, times) = word.split_once('x').unwrap_or((word, "0"));
        let times: usize = times.parse().unwrap_or(0);
        if value == "_" {
            return Run {
                values: None,
                samples: times.max(1),
            };
        }
        let sign = value.rfind(['+', '-']).filter(|at| *at > 0);
        let (first, step) = sign.map_or((value, "0"), |at| value.split_at(at));
        Run {
            values: Some((number(first), number(step))),
            samples: times + 1,
        }
    };
    values.split_whitespace().map(of).collect()
}

/// The samples before a minute, and those from it on.
fn cut(runs: &[Run], minute: usize) -> (Vec<Run>, Vec<Run>) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut left = minute;
    for run in runs {
        let here = run.samples.min(left);
        left -= here;
        if here > 0 {
            before.push(Run {
                samples: here,
                ..*run
            });
        }
        if here < run.samples {
            #[expect(clippy::cast_precision_loss, reason = "a number of minutes")]
            let passed = here as f64;
            after.push(Run {
                values: run
                    .values
                    .map(|(first, step)| (first + step * passed, step)),
                samples: run.samples - here,
            });
        }
    }
    (before, after)
}

/// A counter of a process begins at 0 in another one.
fn restart(runs: &mut [Run], base: f64) {
    for (first, _) in runs.iter_mut().filter_map(|run| run.values.as_mut()) {
        *first -= base;
    }
}

fn text(runs: &[Run]) -> String {
    let of = |run: &Run| match run.values {
        None => format!("_x{} ", run.samples),
        Some((first, step)) => {
            let sign = if step < 0.0 { "" } else { "+" };
            format!("{first}{sign}{step}x{} ", run.samples - 1)
        }
    };
    runs.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(series: &str, values: &str) -> [String; 2] {
        let both = of(&[(series, values)], 0, 10);
        let line = |(series, values): &(String, String)| format!("{series} {}", values.trim());
        [line(&both[0]), line(&both[1])]
    }

    #[test]
    fn totals_are_at_both_and_state_moves() {
        assert_eq!(
            both("{Calls}{account=\"a\"}", "0+1x20 _x3 7"),
            [
                "{Calls}{instance=\"one\", account=\"a\"} 0+1x9 stale",
                "{Calls}{instance=\"two\", account=\"a\"} 0+1x20 _x3 7+0x0",
            ]
        );
        assert_eq!(
            both("{Up}{account=\"a\"}", "0x11 1x20"),
            [
                "{Up}{instance=\"one\", account=\"a\"} 0+0x9 stale",
                "{Up}{instance=\"two\", account=\"a\"} _x14 1+0x18",
            ]
        );
        // A counter of a process begins at 0 again; a balance falls on.
        assert_eq!(
            both("{ApiRequests}{account=\"a\"}", "5+2x20")[1],
            "{ApiRequests}{instance=\"two\", account=\"a\"} _x14 10+2x6"
        );
        assert_eq!(
            both("{PortsipBalance}", "50-1x20"),
            [
                "{PortsipBalance}{instance=\"one\"} 50-1x9 stale",
                "{PortsipBalance}{instance=\"two\"} _x14 36-1x6",
            ]
        );
    }
}
