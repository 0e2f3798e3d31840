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
    pub fn totals(&self, labels: &[&str]) -> Sums {
        let count = |name: &str| {
            let mut with_count = labels.to_vec();
            let label = format!("count=\"{name}\"");
            with_count.push(&label);
            let family = match name {
                "calls" => "callmeter_calls_total".to_owned(),
                _ => format!("callmeter_calls_{name}_total"),
            };
            let corrected = self.sum("callmeter_call_corrections_calls", &with_count);
            whole(self.sum(&family, labels) + corrected)
        };
        let millis = |name: &str| {
            let mut with_field = labels.to_vec();
            let label = format!("field=\"{name}\"");
            with_field.push(&label);
            let counted = self.sum(&format!("callmeter_call_{name}_seconds_sum"), labels);
            let corrected = self.sum("callmeter_call_corrections_seconds", &with_field);
            whole((counted + corrected) * 1_000.0)
        };
        Sums {
            calls: count("calls"),
            unanswered: count("unanswered"),
            answer_unknown: count("answer_unknown"),
            flagged: count("flagged"),
            duration_ms: millis("duration"),
            ring_ms: millis("ring"),
            hold_ms: millis("hold"),
            talk_ms: millis("talk"),
            transfer_ms: millis("transfer"),
            work_ms: millis("work"),
            holds: 0,
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

/// The differences between an account's totals and the ledger: overall, and by client, center and
/// direction.
pub fn differences(samples: &Samples, account: &str, truth: &Ledger) -> Vec<String> {
    let account = format!("account=\"{account}\"");
    let mut pairs = vec![(
        account.clone(),
        samples.totals(&[&account]),
        published(truth.total),
    )];
    for group in &truth.groups {
        let client = format!("client_id=\"{}\"", group.client_id);
        let center = format!("center_id=\"{}\"", group.center_id);
        let direction = format!("direction=\"{}\"", group.direction);
        // A client belongs to one center, so the histograms, which have no center, are the group's.
        let labels = [account.as_str(), &client, &direction];
        pairs.push((
            labels.join(","),
            samples.totals(&labels),
            published(group.sums),
        ));
        let labels = [account.as_str(), &client, &center, &direction];
        let counted = |sums: Sums| Sums {
            calls: sums.calls,
            unanswered: sums.unanswered,
            answer_unknown: sums.answer_unknown,
            flagged: sums.flagged,
            ..Sums::default()
        };
        pairs.push((
            labels.join(","),
            counted(samples.totals(&labels)),
            counted(group.sums),
        ));
    }
    pairs
        .into_iter()
        .filter(|(_, shown, truth)| shown != truth)
        .map(|(labels, shown, truth)| format!("{labels}: {shown:?} is not {truth:?}"))
        .collect()
}
