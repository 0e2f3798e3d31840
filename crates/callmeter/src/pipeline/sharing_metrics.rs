//! The metrics of instances that share a journal, read from the status at each scrape.

use std::sync::Arc;

use callmeter_meter::FamilyId;
use jiff::Timestamp;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec};

use crate::status::{Held, SharingStatus, StatusStore, WorkKind};

/// Collects the metrics of an instance. What is not known has no series.
pub(super) struct SharingMetrics {
    status: Arc<StatusStore>,
    descriptions: Vec<Desc>,
}

impl SharingMetrics {
    /// # Errors
    /// When the family table holds a name or label that the registry refuses; a test rules it out.
    pub(super) fn new(status: Arc<StatusStore>) -> prometheus::Result<Self> {
        let families = Families::new()?;
        let all = [families.known(), families.counted(), families.shared()];
        let descriptions = all.into_iter().flatten().flat_map(Collector::desc);
        Ok(Self {
            status,
            descriptions: descriptions.cloned().collect(),
        })
    }
}

impl Collector for SharingMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(status) = self.status.sharing() else {
            return Vec::new();
        };
        // It cannot fail, because `new` made the same families.
        Families::new().map_or_else(|_| Vec::new(), |families| families.of(&status))
    }
}

/// The families of one scrape.
struct Families {
    up: IntGauge,
    lag: IntGauge,
    rounds: IntCounterVec,
    followed: Gauge,
    instances: IntGauge,
    leases: IntGaugeVec,
}

impl Families {
    fn new() -> prometheus::Result<Self> {
        let gauge = |id: FamilyId| IntGauge::with_opts(id.family().opts());
        let followed = FamilyId::JournalFollowed.family();
        let leases = FamilyId::Leases.family();
        let rounds = FamilyId::LeaseRounds.family();
        Ok(Self {
            up: gauge(FamilyId::JournalUp)?,
            lag: gauge(FamilyId::JournalLag)?,
            rounds: IntCounterVec::new(rounds.opts(), rounds.labels)?,
            followed: Gauge::with_opts(followed.opts())?,
            instances: gauge(FamilyId::Instances)?,
            leases: IntGaugeVec::new(leases.opts(), leases.labels)?,
        })
    }

    /// Those that every scrape has.
    fn known(&self) -> Vec<&dyn Collector> {
        let all: [&dyn Collector; 3] = [&self.up, &self.lag, &self.rounds];
        all.to_vec()
    }

    /// Those that are known when the totals have followed the journal once.
    fn counted(&self) -> Vec<&dyn Collector> {
        vec![&self.followed]
    }

    /// Those that are known while the journal is reached.
    fn shared(&self) -> Vec<&dyn Collector> {
        let all: [&dyn Collector; 2] = [&self.instances, &self.leases];
        all.to_vec()
    }

    fn of(&self, status: &SharingStatus) -> Vec<MetricFamily> {
        let mut shown = self.known();
        self.up.set(status.is_reached().into());
        self.lag.set(int(status.followed.lag_batches));
        for (outcome, rounds) in [("ok", status.rounds_ok), ("failed", status.rounds_failed)] {
            self.rounds.with_label_values(&[outcome]).inc_by(rounds);
        }
        if let Some(at) = status.followed.complete_at {
            let since = at.duration_since(Timestamp::UNIX_EPOCH);
            self.followed.set(since.as_secs_f64());
            shown.extend(self.counted());
        }
        if !status.instances.is_empty() {
            self.instances.set(int(status.instances.len() as u64));
            for kind in WorkKind::ALL {
                for held in Held::KNOWN {
                    let labels = [kind.label(), held.label()];
                    let count = status.count(kind, held) as u64;
                    self.leases.with_label_values(&labels).set(int(count));
                }
            }
            shown.extend(self.shared());
        }
        shown.into_iter().flat_map(Collector::collect).collect()
    }
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use callmeter_meter::{Ledger, Meter};

    use super::*;
    use crate::selfmetrics::SelfMetrics;
    use crate::status::{Followed, WorkStatus};

    fn samples(metrics: &SelfMetrics) -> String {
        let families = metrics.registry.gather();
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&families)
            .unwrap();
        let is_of_sharing = |line: &&str| {
            [
                "_journal_up",
                "_lag_batches",
                "_followed",
                "_instances",
                "_lease",
            ]
            .iter()
            .any(|name| line.contains(name))
                && !line.starts_with('#')
        };
        let lines: Vec<_> = text.lines().filter(is_of_sharing).collect();
        lines.join("\n")
    }

    #[test]
    fn what_is_known_of_the_instances_is_shown() {
        let metrics = SelfMetrics::new().unwrap();
        let meter = Arc::new(Meter::new(Ledger::default()));
        let now = Timestamp::now();
        let status = StatusStore::new(Path::new("c.yml"), now, meter, metrics.clone());
        let status = Arc::new(status);
        let collector = SharingMetrics::new(Arc::clone(&status)).unwrap();
        metrics.registry.register(Box::new(collector)).unwrap();
        // Nothing is shared.
        assert_eq!(samples(&metrics), "");
        status.share("one".to_owned());
        insta::assert_snapshot!(samples(&metrics), @r#"
        callmeter_journal_lag_batches 0
        callmeter_journal_up 0
        callmeter_lease_rounds_total{outcome="failed"} 0
        callmeter_lease_rounds_total{outcome="ok"} 0
        "#);
        let work = |kind, name: &str, held| WorkStatus {
            kind,
            name: name.to_owned(),
            held,
            instance: None,
            state: None,
        };
        status.not_shared("no connection".to_owned());
        status.set_shared(
            vec!["one".to_owned(), "two".to_owned()],
            vec![
                work(WorkKind::Account, "a", Held::Here),
                work(WorkKind::Account, "b", Held::Nobody),
                work(WorkKind::Account, "c", Held::Nobody),
                work(WorkKind::Output, "csv", Held::Elsewhere),
                work(WorkKind::Charges, "a", Held::Elsewhere),
                work(WorkKind::Journal, "journal", Held::Here),
            ],
        );
        let followed = Followed {
            lag_batches: 7,
            complete_at: Some(Timestamp::from_millisecond(2_500).unwrap()),
        };
        status.set_followed(followed, std::time::Instant::now());
        insta::assert_snapshot!(samples(&metrics), @r#"
        callmeter_instances 2
        callmeter_journal_followed_timestamp_seconds 2.5
        callmeter_journal_lag_batches 7
        callmeter_journal_up 1
        callmeter_lease_rounds_total{outcome="failed"} 1
        callmeter_lease_rounds_total{outcome="ok"} 1
        callmeter_leases{held="elsewhere",kind="account"} 0
        callmeter_leases{held="elsewhere",kind="charges"} 1
        callmeter_leases{held="elsewhere",kind="journal"} 0
        callmeter_leases{held="elsewhere",kind="output"} 1
        callmeter_leases{held="here",kind="account"} 1
        callmeter_leases{held="here",kind="charges"} 0
        callmeter_leases{held="here",kind="journal"} 1
        callmeter_leases{held="here",kind="output"} 0
        callmeter_leases{held="nobody",kind="account"} 2
        callmeter_leases{held="nobody",kind="charges"} 0
        callmeter_leases{held="nobody",kind="journal"} 0
        callmeter_leases{held="nobody",kind="output"} 0
        "#);
    }
}
