//! Reads a scrape and compares it with the simulator's ledger.

use std::collections::BTreeMap;

use callmeter_simulator::{Ledger, Sums};

/// The samples of a scrape in the text format.
#[derive(Clone, Debug)]
pub struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// Reads the text format as callmeter writes it, without timestamps.
    pub fn read(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(series, value)| (series.to_owned(), value.parse().unwrap()));
        Self(samples.collect())
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sum of the samples of a family whose labels contain all of `labels`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        // An empty sum of floats is -0.
        self.of(name, labels).map(|(_, value)| value).sum::<f64>() + 0.0
    }

    /// The number of such samples.
    pub fn count(&self, name: &str, labels: &[&str]) -> usize {
        self.of(name, labels).count()
    }

    /// The number of samples of all families that have a label.
    pub fn with_label(&self, label: &str) -> usize {
        self.0
            .keys()
            .filter(|series| series.contains(label))
            .count()
    }

    /// Such samples, each series with its value.
    pub fn of<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [&'a str],
    ) -> impl Iterator<Item = (&'a str, f64)> {
        // Sorted by text, so the series of a family are neighbours.
        self.0
            .range(name.to_owned()..)
            .map_while(move |(series, value)| Some((series, series.strip_prefix(name)?, *value)))
            .filter(move |(_, rest, _)| {
                let fits = rest.is_empty() || rest.starts_with('{');
                fits && labels.iter().all(|label| rest.contains(label))
            })
            .map(|(series, _, value)| (series.as_str(), value))
    }

    /// The sums of counters, histograms and corrections with these labels, as the ledger has them.
    /// A family without one of the labels gives 0.
    pub fn totals(&self, labels: &[&str]) -> Sums {
        let corrected = |family: &str, label: String| {
            let mut labels = labels.to_vec();
            labels.push(&label);
            self.sum(family, &labels)
        };
        let count = |name: &str| {
            let family = match name {
                "calls" => "callmeter_calls_total".to_owned(),
                _ => format!("callmeter_calls_{name}_total"),
            };
            let corrected = corrected(
                "callmeter_call_corrections_calls",
                format!("count=\"{name}\""),
            );
            whole(self.sum(&family, labels) + corrected)
        };
        let millis = |family: String, name: &str| {
            let corrected = corrected(
                "callmeter_call_corrections_seconds",
                format!("field=\"{name}\""),
            );
            whole((self.sum(&family, labels) + corrected) * 1_000.0)
        };
        let of_clients =
            |name: &str| millis(format!("callmeter_client_{name}_seconds_total"), name);
        let histogram = |name: &str| millis(format!("callmeter_call_{name}_seconds_sum"), name);
        Sums {
            calls: count("calls"),
            unanswered: count("unanswered"),
            answer_unknown: count("answer_unknown"),
            flagged: count("flagged"),
            duration_ms: of_clients("duration"),
            ring_ms: of_clients("ring"),
            hold_ms: of_clients("hold"),
            talk_ms: of_clients("talk"),
            transfer_ms: of_clients("transfer"),
            work_ms: of_clients("work"),
            holds: 0,
            answer_ms: histogram("answer"),
            abandon_ms: histogram("abandon"),
            abandoned: count("abandoned"),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// The ledger's sums without the one that callmeter does not publish.
pub fn published(sums: Sums) -> Sums {
    Sums { holds: 0, ..sums }
}

/// The differences between an account's totals and the ledger: overall, by client, by client,
/// center and direction, and by center and direction.
pub fn differences(samples: &Samples, account: &str, truth: &Ledger) -> Vec<String> {
    let account = format!("account=\"{account}\"");
    let mut found = Vec::new();
    let mut compare = |labels: &[&str], truth: Sums, of: fn(Sums) -> Sums| {
        let mut all = vec![account.as_str()];
        all.extend(labels);
        let (shown, truth) = (of(samples.totals(&all)), of(published(truth)));
        if shown != truth {
            found.push(format!("{}: {shown:?} is not {truth:?}", all.join(",")));
        }
    };
    compare(&[], truth.total, |sums| sums);
    let mut clients: BTreeMap<String, Sums> = BTreeMap::new();
    let mut centers: BTreeMap<[String; 2], Sums> = BTreeMap::new();
    for group in &truth.groups {
        let client = format!("client_id=\"{}\"", group.client_id);
        let center = format!("center_id=\"{}\"", group.center_id);
        let direction = format!("direction=\"{}\"", group.direction);
        compare(&[&client, &center, &direction], group.sums, |sums| Sums {
            calls: sums.calls,
            unanswered: sums.unanswered,
            flagged: sums.flagged,
            ..Sums::default()
        });
        *clients.entry(client).or_default() += group.sums;
        *centers.entry([center, direction]).or_default() += group.sums;
    }
    for (client, sums) in &clients {
        compare(&[client], *sums, |sums| Sums {
            answer_unknown: 0,
            answer_ms: 0,
            abandon_ms: 0,
            abandoned: 0,
            ..sums
        });
    }
    for ([center, direction], sums) in &centers {
        compare(&[center, direction], *sums, |sums| Sums {
            answer_unknown: sums.answer_unknown,
            answer_ms: sums.answer_ms,
            abandon_ms: sums.abandon_ms,
            abandoned: sums.abandoned,
            ..Sums::default()
        });
    }
    found
}
