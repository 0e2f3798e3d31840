//! Runs a case: draws it from a seed, polls in simulated time, and checks the laws.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use callmeter_journal::{Journal, Options};
use callmeter_plugin_host::Outputs;
use fastrand::Rng;
use hostedsuite_client::{Client, RetryPolicy, Secret};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::calls::CallsTask;
use super::super::clocks::WallClock;
use super::super::known_texts::KnownTexts;
use super::super::reader::{CallsReader, Connection, Retries};
use super::history::{self, DAY, HOUR, MINUTE};
use super::laws::{Observed, SETTLE};
use super::server::{Habits, InMemory, Outage, Server, TrueTime};
use crate::config::{Calls, SecretSource};
use crate::context::AppContext;
use crate::sources::poll::{AccountContext, Poll as _};
use crate::status::{AccountSetup, StatusStore, Task};
use crate::stop::{StopSender, stop};

/// 2026-08-06T12:00:00Z.
const NOON: i64 = 1_786_017_600_000_000;
/// How long faults last, and then how long the reader has to become exact.
const TROUBLE: i64 = 30 * HOUR;
const CALM: i64 = 20 * HOUR;

/// Cases of each test; together 2,000.
const CASES: u64 = 500;

fn cases(from: u64) {
    if let Ok(seed) = std::env::var("CALLMETER_MODEL_SEED") {
        return case(seed.parse().unwrap());
    }
    for seed in from..from + CASES {
        case(seed);
    }
}

#[test]
fn part_1() {
    cases(0);
}

#[test]
fn part_2() {
    cases(10_000);
}

#[test]
fn part_3() {
    cases(20_000);
}

#[test]
fn part_4() {
    cases(30_000);
}

fn case(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let mut trace = Vec::new();
    if let Err(problem) = runtime.block_on(run(seed, &mut trace)) {
        panic!(
            "seed {seed}: {problem}\nrun it again with CALLMETER_MODEL_SEED={seed}\n{}",
            trace.join("\n")
        );
    }
}

/// What exists of callmeter between two restarts.
struct Process {
    journal: Journal,
    status: Arc<StatusStore>,
    task: CallsTask,
    _stop: StopSender,
}

struct Case {
    dir: tempfile::TempDir,
    server: Arc<Server>,
    config: Calls,
    /// How far the local clock is ahead.
    offset: Arc<AtomicI64>,
    /// No output. Its watchdog would hold the journal beyond a restart, so it has another one.
    outputs: Arc<Outputs>,
}

impl Case {
    fn start(&self) -> Process {
        let journal = Journal::open(self.dir.path().join("j.db"), &Options::default()).unwrap();
        let app = AppContext::of(journal.clone(), Arc::clone(&self.outputs));
        let status = Arc::clone(&app.status);
        status.accounts().add(&AccountSetup {
            name: "acme",
            api: callmeter_meter::Api::HostedSuite,
            stale_after: 3,
            tasks: &[(Task::Calls, self.config.every)],
            failure_reasons: &[],
        });
        let texts = KnownTexts::default();
        let client = Client::builder("http://memory/api")
            .known_calls(Arc::new(texts.clone()))
            .credentials("c", "u", Secret::from("p"))
            .transport(Arc::new(InMemory(Arc::clone(&self.server))))
            .retry(RetryPolicy::never())
            .build()
            .unwrap();
        let (time, offset) = (self.server.time, Arc::clone(&self.offset));
        let clock = WallClock::new(move || {
            let local = time.now() + offset.load(Ordering::Relaxed);
            Timestamp::from_microsecond(local).unwrap()
        });
        let (sender, stop) = stop();
        let task = CallsTask::new(CallsReader {
            context: AccountContext {
                account: "acme".into(),
                password: SecretSource::Env("PASSWORD".to_owned()),
                login: Arc::default(),
                app,
                stop,
            },
            connection: Connection {
                client,
                retries: Retries::default(),
                texts,
            },
            config: self.config.clone(),
            zone: TimeZone::UTC,
            clock,
        });
        Process {
            journal,
            status,
            task,
            _stop: sender,
        }
    }

    fn local(&self) -> i64 {
        self.server.time.now() + self.offset.load(Ordering::Relaxed)
    }

    /// What has passed by both clocks.
    fn passed(&self) -> i64 {
        let ahead = self.server.habits.clock.unwrap_or(0);
        self.local().min(self.server.time.now() + ahead)
    }
}

fn config(rng: &mut Rng) -> Calls {
    Calls {
        every: Duration::from_secs(rng.u64(1_000..6_000)),
        lookback: Duration::from_hours(rng.u64(48..72)),
        history: Duration::from_hours(72),
        settle: Duration::from_micros(SETTLE.unsigned_abs()),
        page_size: rng.u32(2..8),
        page_base: None,
        max_pages: rng.u32(4..20),
        max_rows: 1_000,
        time_limit: Duration::from_mins(10),
        tail: rng.bool(),
        audit: Duration::from_mins(rng.u64(5..20)),
        max_requests_per_minute: rng.u32(5..100),
    }
}

/// The local clock jumps at these true times.
fn jumps(rng: &mut Rng) -> Vec<(i64, i64)> {
    let mut jumps = Vec::new();
    if rng.u8(0..3) == 0 {
        let from = if rng.bool() {
            NOON
        } else {
            rng.i64(NOON..NOON + TROUBLE)
        };
        let by = match rng.u8(0..3) {
            0 => rng.i64(-2 * HOUR..2 * HOUR),
            1 => rng.i64(-40 * DAY..0),
            _ => rng.i64(0..40 * DAY),
        };
        jumps.push((from, by));
        jumps.push((from + rng.i64(MINUTE..10 * HOUR), 0));
    }
    jumps
}

async fn run(seed: u64, trace: &mut Vec<String>) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    let time = TrueTime::new(NOON);
    let habits = Habits::draw(&mut rng, NOON, NOON + TROUBLE);
    let calls = history::draw(&mut rng, NOON - 2 * DAY, NOON + TROUBLE - 12 * HOUR);
    let outages: Vec<Outage> = (0..rng.usize(0..5))
        .map(|_| Outage::draw(&mut rng, NOON, NOON + TROUBLE - 12 * HOUR))
        .collect();
    let config = config(&mut rng);
    let jumps = jumps(&mut rng);
    trace.push(format!(
        "{habits:?}\n{config:?}\n{outages:?}\njumps {jumps:?}"
    ));
    let dir = tempfile::TempDir::new_in("/dev/shm")
        .or_else(|_| tempfile::TempDir::new())
        .unwrap();
    let other = Journal::open(dir.path().join("other.db"), &Options::default()).unwrap();
    let case = Case {
        outputs: Arc::new(Outputs::new(Arc::new(other)).unwrap()),
        dir,
        server: Server::new(time, habits, calls, outages, rng.fork()),
        config,
        offset: Arc::new(AtomicI64::new(0)),
    };
    // The first reading goes back to here, or further.
    let history_from = NOON - 2 * DAY;
    let mut observed = Observed::default();
    let mut process = case.start();
    while time.now() < NOON + TROUBLE + CALM {
        let now = time.now();
        let offset = jumps.iter().rev().find(|(at, _)| *at <= now);
        case.offset
            .store(offset.map_or(0, |(_, by)| *by), Ordering::Relaxed);
        if rng.u8(0..10) == 0 {
            drop(process);
            process = case.start();
            trace.push(format!("{} restart", at(now)));
        }
        poll(&case, &mut process, &mut observed, trace, history_from).await?;
        tokio::time::sleep(case.config.every).await;
    }
    observed.equals(&case.server, history_from)
}

async fn poll(
    case: &Case,
    process: &mut Process,
    observed: &mut Observed,
    trace: &mut Vec<String>,
    history_from: i64,
) -> Result<(), String> {
    let start = (case.server.time.now(), case.passed());
    let local = case.local();
    let days = process.journal.coverage("acme").unwrap();
    observed.poll_starts(&days);
    let asked = case.server.asked();
    let result = process.task.run().await;
    let days = process.journal.coverage("acme").unwrap();
    let memory = process.task.memory.as_ref();
    let open: BTreeSet<_> = memory
        .map(|memory| memory.open.keys().copied().collect())
        .unwrap_or_default();
    observed.poll_ends(&days, &open, start, case.server.time.now());
    let account = process.status.status().accounts.remove(0);
    let result = match result {
        Ok(polled) => format!("{} {:?}", polled.found, polled.truncated),
        Err(error) => callmeter_error_chain::chain(&error),
    };
    let progress = account.calls;
    trace.push(format!(
        "{} local {} requests {} {result} until {:?} unproven {:?}",
        at(start.0),
        at(local),
        case.server.asked() - asked,
        progress.as_ref().map(|calls| calls.complete_until),
        progress.as_ref().map(|calls| calls
            .unproven
            .iter()
            .map(|day| day.date)
            .collect::<Vec<_>>()),
    ));
    observed.follow(&process.journal)?;
    // A wrong clock that nothing can be compared with is not found out before it is set right.
    let is_found_out = case.server.habits.clock.is_some() || start.0 == local;
    match progress.filter(|_| is_found_out) {
        Some(progress) => {
            observed.nothing_is_silently_missing(&case.server, &progress, history_from)
        }
        None => Ok(()),
    }
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap()
}
