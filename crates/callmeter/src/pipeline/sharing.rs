//! Shares the work with other instances: a thread that says that this one lives, and what it has to
//! work on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use callmeter_error_chain::chain;
use callmeter_journal::{InstanceOptions, Round, Work};
use tokio::sync::watch;
use tracing::{info, warn};

use super::shares::Shares;
use crate::context::AppContext;
use crate::status::{self, Held, WorkKind, WorkStatus};

/// How often the thread looks whether it has to end.
const LOOK: Duration = Duration::from_millis(100);

/// The thread, and what it has found.
#[derive(Debug)]
pub(super) struct Sharing {
    stopped: Arc<AtomicBool>,
    wanted: Arc<Mutex<Vec<String>>>,
    shares: watch::Receiver<Turn>,
    thread: JoinHandle<()>,
}

/// What this instance has to do after a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// What it works on.
    pub(crate) work: Shares,
    /// What it releases when the work on it has ended.
    pub(crate) release: Vec<String>,
}

impl Sharing {
    /// Takes part from now on, and asks for leases.
    pub(super) fn start(app: &AppContext, wanted: Vec<String>) -> std::io::Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        let wanted = Arc::new(Mutex::new(wanted));
        let (sender, shares) = watch::channel(Turn::default());
        let rounds = Rounds {
            app: app.clone(),
            stopped: Arc::clone(&stopped),
            wanted: Arc::clone(&wanted),
            turn: Turn::default(),
            number: 0,
            failure: None,
        };
        let thread = std::thread::Builder::new()
            .name("leases".to_owned())
            .spawn(move || rounds.run(&sender))?;
        Ok(Self {
            stopped,
            wanted,
            shares,
            thread,
        })
    }

    /// Sets what the configuration needs, from the next round on.
    pub(super) fn set_wanted(&self, wanted: Vec<String>) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
    }

    /// What this instance has to do now.
    pub(super) fn turn(&mut self) -> Turn {
        self.shares.borrow_and_update().clone()
    }

    /// What tells of the rounds after the last turn.
    pub(super) fn rounds(&self) -> watch::Receiver<Turn> {
        self.shares.clone()
    }

    /// Ends the thread. The leases stay until they are given up, or end.
    pub(super) async fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        // A panic in the thread was logged.
        let _ended = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

struct Rounds {
    app: AppContext,
    stopped: Arc<AtomicBool>,
    wanted: Arc<Mutex<Vec<String>>>,
    turn: Turn,
    number: u64,
    failure: Option<String>,
}

impl Rounds {
    fn run(mut self, turns: &watch::Sender<Turn>) {
        let mut seen = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            let wanted = self.wanted();
            self.tell();
            match self.app.journal.round(&wanted) {
                Ok(round) => {
                    let work = work(&wanted, &round);
                    self.app.status.set_shared(round.instances.clone(), work);
                    self.take(round);
                }
                Err(error) => self.fail(&chain(&error)),
            }
            turns.send_replace(self.turn.clone());
            let begun = Instant::now();
            while begun.elapsed() < InstanceOptions::ROUND
                && !self.stopped.load(Ordering::Relaxed)
                && !self.app.journal.wait_for_release(&mut seen, LOOK)
            {}
        }
    }

    /// Tells the other instances of the work of this one. They cannot know its secrets, so these
    /// are removed here.
    fn tell(&self) {
        let AppContext {
            journal,
            status,
            redactor,
            ..
        } = &self.app;
        let shown = status.status().scrubbed(|text| redactor.scrub(text));
        journal.tell(status::encode(&status::states(&shown)));
    }

    fn wanted(&self) -> Vec<String> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.clone()
    }

    fn take(&mut self, round: Round) {
        if self.failure.take().is_some() {
            info!("leases are renewed again");
        }
        if !round.acquired.is_empty() || !round.lost.is_empty() || !round.give_up.is_empty() {
            info!(
                held = round.held.len(),
                got = round.acquired.len(),
                lost = round.lost.len(),
                given_up = round.give_up.len(),
                instances = round.instances.len(),
                "the share of the work has changed"
            );
        }
        self.number += 1;
        let acquired: BTreeSet<_> = round.acquired.iter().collect();
        let mut work = Shares::new();
        for name in &round.held {
            let before = self
                .turn
                .work
                .get(name)
                .filter(|_| !acquired.contains(name));
            work.insert(name.clone(), before.copied().unwrap_or(self.number));
        }
        work.retain(|name, _| !round.give_up.contains(name));
        self.turn = Turn {
            work,
            release: round.give_up,
        };
    }

    /// Goes on until the leases end by this machine's clock.
    fn fail(&mut self, error: &str) {
        self.app.status.not_shared(error.to_owned());
        let held = self.app.journal.held_leases();
        self.turn.work.retain(|name, _| held.contains(name));
        if self.failure.as_deref() != Some(error) {
            warn!(error, "cannot renew leases; work stops when they end");
            self.failure = Some(error.to_owned());
        }
    }
}

/// What the configuration needs, and who works on it after a round.
fn work(wanted: &[String], round: &Round) -> Vec<WorkStatus> {
    let states = round.states.iter();
    let states: BTreeMap<&str, _> = states
        .map(|(instance, text)| (instance.as_str(), status::decode(text)))
        .collect();
    let holders: BTreeMap<&str, _> = (round.holders.iter())
        .map(|(lease, holder)| (lease.as_str(), holder.as_deref()))
        .collect();
    let leases: BTreeSet<&String> = wanted.iter().collect();
    let of = |lease: &String| {
        let (kind, name) = match Work::of(lease) {
            Work::Account(name) => (WorkKind::Account, name),
            Work::Charges(name) => (WorkKind::Charges, name),
            Work::Output(name) => (WorkKind::Output, name),
            Work::Journal => (WorkKind::Journal, lease.as_str()),
        };
        let instance = holders.get(lease.as_str()).copied().flatten();
        let held = match instance {
            _ if round.held.binary_search(lease).is_ok() => Held::Here,
            Some(_) => Held::Elsewhere,
            None => Held::Nobody,
        };
        let of_other = instance.filter(|_| held == Held::Elsewhere);
        let state = of_other.and_then(|other| states.get(other)?.get(lease).cloned());
        WorkStatus {
            kind,
            name: name.to_owned(),
            held,
            instance: instance.map(str::to_owned),
            state,
        }
    };
    let mut work: Vec<WorkStatus> = leases.into_iter().map(of).collect();
    work.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    work
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_works_on_what_is_known_after_a_round() {
        let wanted = [
            "output/csv",
            "account/b",
            "account/a",
            "charges/a",
            "journal",
            "account/c",
        ];
        let holders = [
            ("account/a", Some("one")),
            ("account/b", Some("two")),
            ("account/c", None),
            ("account/removed", Some("two")),
            ("charges/a", Some("two")),
            ("journal", Some("one")),
        ];
        let states = "{\"account/b\":{\"works\":true},\"account/a\":{\"works\":false}}";
        let round = Round {
            held: vec!["account/a".to_owned(), "journal".to_owned()],
            holders: (holders.into_iter())
                .map(|(lease, holder)| (lease.to_owned(), holder.map(str::to_owned)))
                .collect(),
            states: vec![("two".to_owned(), states.as_bytes().to_vec())],
            ..Round::default()
        };
        let shown: Vec<String> = work(&wanted.map(str::to_owned), &round)
            .into_iter()
            .map(|one| {
                let works = one.state.and_then(|state| state.works);
                let (kind, held) = (one.kind.label(), one.held.label());
                format!("{kind} {} {held} {:?} {works:?}", one.name, one.instance)
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        account a here Some("one") None
        account b elsewhere Some("two") Some(true)
        account c nobody None None
        charges a elsewhere Some("two") None
        output csv nobody None None
        journal journal here Some("one") None
        "#);
    }
}
