//! How instances share the work, as this one knows it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use callmeter_journal::InstanceOptions;
use jiff::Timestamp;
use serde::Serialize;

use super::json::optional_time;
use super::work_state::WorkState;

/// An instance is not ready if its totals have not had everything for this long: it cannot reach
/// the journal, the server does not answer, or others append faster than it counts.
const BEHIND: Duration = Duration::from_secs(30);

/// What an instance works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkKind {
    /// The polls of an account.
    Account,
    /// The charges for the calls of an account.
    Charges,
    /// An output.
    Output,
    /// Retention, and the stored totals.
    Journal,
}

impl WorkKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Account, Self::Charges, Self::Output, Self::Journal];

    /// The value of the label `kind`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Charges => "charges",
            Self::Output => "output",
            Self::Journal => "journal",
        }
    }
}

/// Where something is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// By this instance.
    Here,
    /// By another one.
    Elsewhere,
    /// By none.
    Nobody,
    /// The journal cannot be reached: others may have taken it.
    Unknown,
}

impl Held {
    /// Those that are known.
    pub const KNOWN: [Self; 3] = [Self::Here, Self::Elsewhere, Self::Nobody];

    /// The value of the label `held`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Elsewhere => "elsewhere",
            Self::Nobody => "nobody",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that the configuration needs, and who works on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkStatus {
    /// What it is.
    pub kind: WorkKind,
    /// Its name: of the account or output; for charges, of the account of the calls.
    pub name: String,
    /// Where it is worked on.
    pub held: Held,
    /// The instance that works on it.
    pub instance: Option<String>,
    /// What another instance says of it.
    pub state: Option<WorkState>,
}

/// How far the totals of this instance are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Followed {
    /// Batches of the journal that are not counted yet, as far as it is known.
    pub lag_batches: u64,
    /// When the totals last had everything that is in the journal.
    #[serde(serialize_with = "optional_time")]
    pub complete_at: Option<Timestamp>,
}

/// How the work is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharingStatus {
    /// The name of this instance.
    pub instance: String,
    /// The names of all live instances; empty while they are not known.
    pub instances: Vec<String>,
    /// When the last round succeeded: this instance renewed its leases and saw the others.
    #[serde(serialize_with = "optional_time")]
    pub last_round: Option<Timestamp>,
    /// Why the last round failed; `None` if it did not.
    pub error: Option<String>,
    /// How far the totals of this instance are.
    pub followed: Followed,
    /// What the configuration needs.
    pub work: Vec<WorkStatus>,
    /// Rounds since the start that succeeded.
    #[serde(skip)]
    pub rounds_ok: u64,
    /// Rounds since the start that failed.
    #[serde(skip)]
    pub rounds_failed: u64,
}

impl SharingStatus {
    /// Whether the journal can be reached, as far as it is known.
    pub fn is_reached(&self) -> bool {
        self.error.is_none() && !self.instances.is_empty()
    }

    /// How much of a kind is held where.
    pub fn count(&self, kind: WorkKind, held: Held) -> usize {
        let work = self.work.iter();
        work.filter(|one| one.kind == kind && one.held == held)
            .count()
    }

    /// What of a kind is not worked on here.
    pub fn not_here(&self, kind: WorkKind) -> impl Iterator<Item = &WorkStatus> {
        let work = self.work.iter();
        work.filter(move |one| one.kind == kind && one.held != Held::Here)
    }

    /// The accounts that other instances poll, each with the instance.
    pub fn polled_elsewhere(&self) -> BTreeMap<String, String> {
        let accounts = self.not_here(WorkKind::Account);
        accounts
            .filter_map(|one| Some((one.name.clone(), one.instance.clone()?)))
            .collect()
    }
}

/// What is known, and since when.
#[derive(Debug)]
pub(super) struct Sharing {
    status: SharingStatus,
    /// When the last round that succeeded ended.
    known: Option<Instant>,
    /// When the totals had everything; the start, before that.
    complete: Instant,
}

impl Sharing {
    pub(super) fn new(instance: String) -> Self {
        Self {
            status: SharingStatus {
                instance,
                instances: Vec::new(),
                last_round: None,
                error: None,
                followed: Followed::default(),
                work: Vec::new(),
                rounds_ok: 0,
                rounds_failed: 0,
            },
            known: None,
            complete: Instant::now(),
        }
    }

    pub(super) fn round(&mut self, instances: Vec<String>, work: Vec<WorkStatus>) {
        let status = &mut self.status;
        status.instances = instances;
        status.work = work;
        status.last_round = Some(Timestamp::now());
        status.error = None;
        status.rounds_ok += 1;
        self.known = Some(Instant::now());
    }

    pub(super) fn failed(&mut self, error: String) {
        self.status.error = Some(error);
        self.status.rounds_failed += 1;
    }

    pub(super) fn followed(&mut self, followed: Followed, complete: Instant) {
        self.status.followed = followed;
        self.complete = complete;
    }

    /// Whether the totals may be far behind the journal. The time decides, so that it is known also
    /// while the server does not answer.
    pub(super) fn is_behind(&self) -> bool {
        self.complete.elapsed() >= BEHIND
    }

    /// What is known now. When no round has succeeded for the time of a lease, others may work on
    /// what this instance worked on, and nobody knows which of them live.
    pub(super) fn status(&self) -> SharingStatus {
        self.status_after(self.known.map(|known| known.elapsed()))
    }

    fn status_after(&self, age: Option<Duration>) -> SharingStatus {
        let mut status = self.status.clone();
        if age.is_none_or(|age| age >= InstanceOptions::LEASE) {
            status.instances.clear();
            if age.is_some() {
                let silent = || "the server does not answer".to_owned();
                status.error.get_or_insert_with(silent);
            }
            for work in &mut status.work {
                (work.held, work.instance, work.state) = (Held::Unknown, None, None);
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_is_unknown() {
        let work = WorkStatus {
            kind: WorkKind::Account,
            name: "acme".to_owned(),
            held: Held::Elsewhere,
            instance: Some("two".to_owned()),
            state: Some(WorkState::default()),
        };
        let mut sharing = Sharing::new("one".to_owned());
        assert!(!sharing.status().is_reached());
        sharing.round(vec!["one".to_owned(), "two".to_owned()], vec![work.clone()]);
        sharing.failed("no connection".to_owned());
        let young = sharing.status_after(Some(Duration::from_secs(9)));
        assert_eq!((young.instances.len(), &young.work[0]), (2, &work));
        assert_eq!(young.error.as_deref(), Some("no connection"));
        assert!(!young.is_reached());
        assert_eq!(
            young.polled_elsewhere(),
            BTreeMap::from([("acme".to_owned(), "two".to_owned())])
        );
        let old = sharing.status_after(Some(InstanceOptions::LEASE));
        assert!(old.instances.is_empty() && old.polled_elsewhere().is_empty());
        assert_eq!(old.work[0].held, Held::Unknown);
        assert_eq!(old.error.as_deref(), Some("no connection"));
        assert_eq!(old.count(WorkKind::Account, Held::Unknown), 1);
        sharing.round(vec!["one".to_owned()], Vec::new());
        let status = sharing.status();
        assert!(status.is_reached());
        assert_eq!((status.rounds_ok, status.rounds_failed), (2, 1));
        // A round that has not ended for long.
        let silent = sharing.status_after(Some(InstanceOptions::LEASE));
        assert_eq!(silent.error.as_deref(), Some("the server does not answer"));
        assert!(!sharing.is_behind());
        sharing.complete = Instant::now().checked_sub(BEHIND).unwrap();
        assert!(sharing.is_behind());
    }
}
