//! Shares the work with other instances: a thread that says that this one lives, and what it has to
//! work on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use callmeter_error_chain::chain;
use callmeter_journal::{InstanceOptions, Journal, Round};
use tokio::sync::watch;
use tracing::{info, warn};

use super::shares::Shares;

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
    pub(super) fn start(journal: Journal, wanted: Vec<String>) -> std::io::Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        let wanted = Arc::new(Mutex::new(wanted));
        let (sender, shares) = watch::channel(Turn::default());
        let rounds = Rounds {
            journal,
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
    journal: Journal,
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
            match self.journal.round(&wanted) {
                Ok(round) => self.take(round),
                Err(error) => self.fail(&chain(&error)),
            }
            turns.send_replace(self.turn.clone());
            let begun = Instant::now();
            while begun.elapsed() < InstanceOptions::ROUND
                && !self.stopped.load(Ordering::Relaxed)
                && !self.journal.wait_for_release(&mut seen, LOOK)
            {}
        }
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
        let held = self.journal.held_leases();
        self.turn.work.retain(|name, _| held.contains(name));
        if self.failure.as_deref() != Some(error) {
            warn!(error, "cannot renew leases; work stops when they end");
            self.failure = Some(error.to_owned());
        }
    }
}
