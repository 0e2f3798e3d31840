//! The outputs of a running callmeter: one thread each, and a watchdog over all of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use callmeter_records::BatchSeq;

use crate::delivery::shared::Shared;
use crate::delivery::{Delivery, Down, MakeSink};
use crate::in_process::InProcess;
use crate::isolation::ChildMaker;
use crate::settings::{Isolation, OutputSettings, PluginSource};
use crate::status::OutputStatus;
use callmeter_records::BatchLog;

/// Time between two checks of the watchdog while an output is in a call or may start one.
const WATCH: Duration = Duration::from_millis(200);
/// The longest time between two checks otherwise. A call that begins then is seen long before it
/// takes too long.
const REST: Duration = Duration::from_secs(5);
/// How long an output whose instance was ended by force may take to notice.
const AFTER_KILL: Duration = Duration::from_secs(2);
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
    known: Arc<Mutex<Known>>,
    signals: Arc<Signals>,
}

/// What the watchdog is told.
#[derive(Default)]
struct Signals {
    /// There is another output.
    changed: AtomicBool,
    /// It is to end.
    ended: AtomicBool,
}

impl Signals {
    fn any(&self) -> bool {
        self.changed.load(Ordering::SeqCst) || self.ended.load(Ordering::SeqCst)
    }
}

/// The outputs whose threads may be in a plugin. The watchdog watches all of them.
#[derive(Default)]
struct Known {
    running: Vec<Arc<Shared>>,
    /// Prepared and not yet admitted, or stopped and not yet ended.
    aside: Vec<Arc<Shared>>,
}

/// An output whose first instance is being created, and which is not fed yet. Dropping it ends it.
pub struct Prepared {
    shared: Arc<Shared>,
    admitted: bool,
}

impl Prepared {
    /// The output's name.
    pub fn name(&self) -> &str {
        self.shared.name()
    }

    /// Waits until the first instance is created.
    ///
    /// # Errors
    /// If it cannot be created, with the reason; or if that takes too long.
    pub fn created(&self, within: Duration) -> Result<(), String> {
        let created = self.shared.wait_until_created(Instant::now() + within);
        created.unwrap_or_else(|| {
            Err(format!(
                "no instance was created within {} s",
                within.as_secs()
            ))
        })
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.admitted {
            self.shared.stop(Instant::now());
            self.shared.cancel();
        }
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Prepared")
            .field(&self.shared.name())
            .finish()
    }
}

impl Outputs {
    /// Makes an empty set of outputs, which read from `batches`.
    pub fn new(batches: Arc<dyn BatchLog>) -> Result<Self, StartError> {
        let known = Arc::new(Mutex::new(Known::default()));
        let signals = Arc::new(Signals::default());
        let (watched, log, told) = (
            Arc::clone(&known),
            Arc::clone(&batches),
            Arc::clone(&signals),
        );
        spawn("watchdog", move || watch(&told, &watched, log.as_ref())).map_err(|source| {
            StartError::Thread {
                output: "(watchdog)".to_owned(),
                source,
            }
        })?;
        Ok(Self {
            batches,
            known,
            signals,
        })
    }

    /// Starts an output without waiting for its plugin. If the plugin cannot be loaded, the output
    /// is down and tries again.
    pub fn start(&self, settings: &OutputSettings) -> Result<(), StartError> {
        let prepared = self.prepare(settings)?;
        self.admit(prepared)
    }

    /// Creates the first instance of an output, on the output's own thread, and does not feed it
    /// before [`Outputs::admit`]. An output of the same name may be running.
    pub fn prepare(&self, settings: &OutputSettings) -> Result<Prepared, StartError> {
        let make: Box<dyn MakeSink> = match (settings.isolation, &settings.source) {
            (Isolation::None, _) => Box::new(InProcess::new(settings)),
            (Isolation::Process, PluginSource::File { .. }) => Box::new(ChildMaker::new(settings)),
            (Isolation::Process, PluginSource::Static(_)) => {
                return Err(StartError::StaticIsolated(settings.name.clone()));
            }
        };
        self.spawn(settings, make)
    }

    /// Prepares an output that cannot run, so that its state and `reason` are shown like those of
    /// any other output that is down.
    pub fn prepare_down(
        &self,
        settings: &OutputSettings,
        reason: String,
    ) -> Result<Prepared, StartError> {
        self.spawn(settings, Box::new(Down(reason)))
    }

    fn spawn(
        &self,
        settings: &OutputSettings,
        make: Box<dyn MakeSink>,
    ) -> Result<Prepared, StartError> {
        let shared = Shared::new(settings);
        let delivery = Delivery::new(
            settings,
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
            output: settings.name.clone(),
            source,
        })?;
        lock(&self.known).aside.push(Arc::clone(&shared));
        self.signals.changed.store(true, Ordering::SeqCst);
        self.batches.wake();
        Ok(Prepared {
            shared,
            admitted: false,
        })
    }

    /// Feeds a prepared output from now on.
    pub fn admit(&self, mut prepared: Prepared) -> Result<(), StartError> {
        // Its thread may take a while. Until then it would seem to have nothing to do.
        prepared.shared.update_backlog(self.batches.as_ref());
        let mut known = lock(&self.known);
        let name = prepared.shared.name();
        if known.running.iter().any(|shared| shared.name() == name) {
            return Err(StartError::Duplicate(name.to_owned()));
        }
        prepared.admitted = true;
        let shared = Arc::clone(&prepared.shared);
        known.aside.retain(|other| !Arc::ptr_eq(other, &shared));
        shared.admit();
        known.running.push(shared);
        Ok(())
    }

    /// The status of every output, in the order in which they were started.
    pub fn status(&self) -> Vec<OutputStatus> {
        lock(&self.known)
            .running
            .iter()
            .map(|shared| shared.status())
            .collect()
    }

    /// Stops these outputs and removes them. Instances that do not end in time are ended by force
    /// where that is possible. Returns the outputs that did not stop even so: their threads are
    /// still in a plugin.
    pub fn stop(&self, names: &[String], within: Duration) -> Vec<String> {
        let stopping = {
            let mut known = lock(&self.known);
            let (stopping, others) = std::mem::take(&mut known.running)
                .into_iter()
                .partition::<Vec<_>, _>(|shared| names.iter().any(|name| name == shared.name()));
            known.running = others;
            known.aside.extend(stopping.iter().cloned());
            stopping
        };
        stop_all(&stopping, within)
    }

    /// Stops and removes every output: what was accepted is flushed, then the instances end. Calls
    /// still in progress after half of the time are asked to return, and those that still are at
    /// its end are ended by force where that is possible.
    ///
    /// Returns the outputs that did not stop even so, including those that were stopped before.
    /// Their threads are still in a plugin, so the process has to end with
    /// [`exit_now`](crate::exit_now::exit_now).
    pub fn shutdown(&self, within: Duration) -> Vec<String> {
        let stopping = {
            let mut known = lock(&self.known);
            let mut stopping = std::mem::take(&mut known.running);
            stopping.append(&mut known.aside);
            stopping
        };
        stop_all(&stopping, within)
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.signals.ended.store(true, Ordering::SeqCst);
        self.batches.wake();
    }
}

impl std::fmt::Debug for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = lock(&self.known)
            .running
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
    let late: Vec<_> = slow
        .into_iter()
        .filter(|shared| !shared.wait_until_ended(by))
        .collect();
    for shared in &late {
        if shared.kill() {
            let output = shared.name();
            tracing::error!(
                output,
                "the output did not stop in time; its process was killed"
            );
        }
    }
    let by = Instant::now() + AFTER_KILL;
    let late = late
        .into_iter()
        .filter(|shared| !shared.wait_until_ended(by));
    late.map(|shared| shared.name().to_owned()).collect()
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    // Linux shows the first 15 bytes.
    std::thread::Builder::new()
        .name(format!("out {name}"))
        .spawn(run)
}

/// Tells the outputs about new batches, and watches for calls that do not return.
fn watch(told: &Signals, known: &Mutex<Known>, batches: &dyn BatchLog) {
    let mut head = BatchSeq::START;
    let mut pace = WATCH;
    loop {
        let last = batches.wait_beyond(head, pace, &|| told.any());
        if told.ended.load(Ordering::SeqCst) {
            return;
        }
        let is_changed = told.changed.swap(false, Ordering::SeqCst);
        let outputs: Vec<_> = {
            let mut known = lock(known);
            known.aside.retain(|shared| !shared.has_ended());
            known.running.iter().chain(&known.aside).cloned().collect()
        };
        let shortest = outputs.iter().map(|shared| shared.call_timeout() / 2).min();
        pace = if last > head || is_changed {
            WATCH
        } else {
            shortest.unwrap_or(REST).clamp(WATCH, REST)
        };
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
