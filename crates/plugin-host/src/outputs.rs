//! The outputs of a running callmeter: one thread each, and a watchdog over all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use callmeter_records::BatchSeq;

use crate::batch_log::BatchLog;
use crate::delivery::shared::Shared;
use crate::delivery::{Delivery, MakeSink};
use crate::in_process::InProcess;
use crate::isolation::ChildMaker;
use crate::settings::{Isolation, OutputSettings, PluginSource};
use crate::status::OutputStatus;

/// Time between two checks of the watchdog while an output is in a call or may start one.
const WATCH: Duration = Duration::from_millis(200);
/// Time between two checks otherwise.
const REST: Duration = Duration::from_millis(500);
/// The watchdog updates the backlog of an output that is in a call for longer than this.
const LONG_CALL: Duration = Duration::from_secs(5);

/// Why an output cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An output of this name runs already.
    #[error("there is already an output `{0}`")]
    Duplicate(String),
    /// The system refuses to start a thread.
    #[error("cannot start a thread for output {output}: {source}")]
    Thread {
        /// The output.
        output: String,
        /// The reason that the system gives.
        source: std::io::Error,
    },
    /// A statically linked plugin has no file that a child process could load.
    #[error("output {0}: a statically linked plugin cannot run in a child process")]
    StaticIsolated(String),
}

/// The running outputs. Dropping this does not stop them; [`Outputs::shutdown`] does.
pub struct Outputs {
    batches: Arc<dyn BatchLog>,
    running: Arc<Mutex<Vec<Arc<Shared>>>>,
    /// Dropping it ends the watchdog.
    _alive: Arc<()>,
}

impl Outputs {
    /// Makes an empty set of outputs, which read from `batches`.
    pub fn new(batches: Arc<dyn BatchLog>) -> Result<Self, StartError> {
        let running = Arc::new(Mutex::new(Vec::new()));
        let alive = Arc::new(());
        let (watched, log, ended) = (
            Arc::clone(&running),
            Arc::clone(&batches),
            Arc::downgrade(&alive),
        );
        spawn("watchdog", move || watch(&ended, &watched, log.as_ref())).map_err(|source| {
            StartError::Thread {
                output: "(watchdog)".to_owned(),
                source,
            }
        })?;
        Ok(Self {
            batches,
            running,
            _alive: alive,
        })
    }

    /// Starts an output without waiting for its plugin. If the plugin cannot be loaded, the output
    /// is down and tries again.
    pub fn start(&self, settings: OutputSettings) -> Result<(), StartError> {
        let mut running = lock(&self.running);
        if running.iter().any(|shared| shared.name() == settings.name) {
            return Err(StartError::Duplicate(settings.name));
        }
        let make: Box<dyn MakeSink> = match (settings.isolation, &settings.source) {
            (Isolation::None, _) => Box::new(InProcess::new(&settings)),
            (Isolation::Process, PluginSource::File { .. }) => Box::new(ChildMaker::new(&settings)),
            (Isolation::Process, PluginSource::Static(_)) => {
                return Err(StartError::StaticIsolated(settings.name));
            }
        };
        let shared = Shared::new(&settings);
        let delivery = Delivery::new(
            &settings,
            Arc::clone(&self.batches),
            Arc::clone(&shared),
            make,
        );
        let ending = Arc::clone(&shared);
        spawn(&settings.name, move || {
            // A panic of callmeter must not look like a running output.
            let run = std::panic::AssertUnwindSafe(move || delivery.run());
            if std::panic::catch_unwind(run).is_err() {
                ending.failed("the delivery thread panicked; this is a bug in callmeter");
            }
            ending.set_ended();
        })
        .map_err(|source| StartError::Thread {
            output: settings.name,
            source,
        })?;
        running.push(shared);
        Ok(())
    }

    /// The status of every output, in the order in which they were started.
    pub fn status(&self) -> Vec<OutputStatus> {
        lock(&self.running)
            .iter()
            .map(|shared| shared.status())
            .collect()
    }

    /// Stops one output and removes it. Returns false if it did not stop in time.
    pub fn stop(&self, name: &str, within: Duration) -> bool {
        let stopping = {
            let mut running = lock(&self.running);
            let (stopping, others) = running
                .drain(..)
                .partition::<Vec<_>, _>(|shared| shared.name() == name);
            *running = others;
            stopping
        };
        stop_all(&stopping, within).is_empty()
    }

    /// Stops and removes every output: what was accepted is flushed, then the instances end. Calls
    /// still in progress after half of the time are asked to return.
    ///
    /// Returns the outputs that did not stop in time. Their threads are still in a plugin, so the
    /// process has to end with [`exit_now`](crate::exit_now::exit_now).
    pub fn shutdown(&self, within: Duration) -> Vec<String> {
        let stopping = std::mem::take(&mut *lock(&self.running));
        stop_all(&stopping, within)
    }
}

impl std::fmt::Debug for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = lock(&self.running)
            .iter()
            .map(|shared| shared.name().to_owned())
            .collect();
        f.debug_struct("Outputs")
            .field("running", &names)
            .finish_non_exhaustive()
    }
}

fn stop_all(outputs: &[Arc<Shared>], within: Duration) -> Vec<String> {
    let now = Instant::now();
    let by = now + within;
    for shared in outputs {
        shared.stop(by);
    }
    let half = now + within / 2;
    let slow: Vec<_> = outputs
        .iter()
        .filter(|shared| !shared.wait_until_ended(half))
        .collect();
    for shared in &slow {
        shared.cancel();
    }
    let late = slow
        .into_iter()
        .filter(|shared| !shared.wait_until_ended(by));
    late.map(|shared| shared.name().to_owned()).collect()
}

fn lock(running: &Mutex<Vec<Arc<Shared>>>) -> MutexGuard<'_, Vec<Arc<Shared>>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    // Linux shows the first 15 bytes.
    std::thread::Builder::new()
        .name(format!("out {name}"))
        .spawn(run)
}

/// Tells the outputs about new batches, and watches for calls that do not return.
fn watch(ended: &Weak<()>, running: &Mutex<Vec<Arc<Shared>>>, batches: &dyn BatchLog) {
    let mut head = BatchSeq::START;
    let mut pace = WATCH;
    while ended.strong_count() > 0 {
        let last = batches.wait_beyond(head, pace);
        pace = if last > head { WATCH } else { REST };
        let outputs = lock(running).clone();
        for shared in outputs {
            if last > head {
                shared.notify();
            }
            shared.watch();
            if shared.in_call_for(Duration::ZERO) {
                pace = WATCH;
            }
            if shared.in_call_for(LONG_CALL) {
                shared.update_backlog(batches);
            }
        }
        head = last;
    }
}
