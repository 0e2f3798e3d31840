//! The outputs of a running callmeter: one thread each, and a watchdog over all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::backlog::BatchSeq;
use callmeter_plugin_abi::level;

use crate::backlog::Backlog;
use crate::callbacks::{HostContext, ToTracing};
use crate::delivery::shared::Shared;
use crate::delivery::{Delivery, MakeSink};
use crate::file::PluginFile;
use crate::instance::Instance;
use crate::isolation::ChildMaker;
use crate::library::Plugin;
use crate::settings::{Isolation, OutputSettings, PluginSource};
use crate::sink::Sink;
use crate::status::{OutputStatus, PluginIdentity};

/// How often the watchdog looks while an output is in a call or may begin one.
const WATCH: Duration = Duration::from_millis(200);
/// How often it looks otherwise.
const REST: Duration = Duration::from_millis(500);
/// The lag of an output that is in a call for longer is looked up by the watchdog.
const LONG_CALL: Duration = Duration::from_secs(5);

/// Why an output cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name is in use.
    #[error("there is an output `{0}` already")]
    Duplicate(String),
    /// The system gives no thread.
    #[error("cannot start a thread for output {output}: {source}")]
    Thread {
        /// The output.
        output: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A plugin that is linked statically has no file that a child could load.
    #[error("output {0}: a statically linked plugin cannot be isolated")]
    StaticIsolated(String),
}

/// The running outputs. Dropping it does not stop them: see [`Outputs::shutdown`].
pub struct Outputs {
    backlog: Arc<dyn Backlog>,
    running: Arc<Mutex<Vec<Arc<Shared>>>>,
    /// Dropping it ends the watchdog.
    _alive: Arc<()>,
}

impl Outputs {
    /// No outputs yet, fed from `backlog`.
    pub fn new(backlog: Arc<dyn Backlog>) -> Result<Self, StartError> {
        let running = Arc::new(Mutex::new(Vec::new()));
        let alive = Arc::new(());
        let (watched, log, ended) = (
            Arc::clone(&running),
            Arc::clone(&backlog),
            Arc::downgrade(&alive),
        );
        spawn("watchdog", move || watch(&ended, &watched, log.as_ref())).map_err(|source| {
            StartError::Thread {
                output: "(watchdog)".to_owned(),
                source,
            }
        })?;
        Ok(Self {
            backlog,
            running,
            _alive: alive,
        })
    }

    /// Starts an output. It does not wait for the plugin: one that cannot be loaded is tried again
    /// and shows as down.
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
        let shared = Shared::new(
            &settings.name,
            settings.isolation,
            settings.limits,
            &settings.streams,
        );
        let delivery = Delivery::new(
            &settings,
            Arc::clone(&self.backlog),
            Arc::clone(&shared),
            make,
        );
        let ending = Arc::clone(&shared);
        spawn(&settings.name, move || {
            // A fault of our own must not look like an output that runs.
            let run = std::panic::AssertUnwindSafe(move || delivery.run());
            if std::panic::catch_unwind(run).is_err() {
                ending.failed("the delivery thread panicked: this is a fault in callmeter");
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

    /// What every output is doing, in the order in which they were started.
    pub fn status(&self) -> Vec<OutputStatus> {
        lock(&self.running)
            .iter()
            .map(|shared| shared.status())
            .collect()
    }

    /// Stops one output, as [`Outputs::shutdown`] does all. False if it did not end in time; it is
    /// forgotten all the same.
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

    /// Stops every output: nothing new is fed, what was accepted is flushed, instances end. Calls
    /// that still run after half of the time are asked to return. Returns the outputs that did not
    /// end in time: their threads are still in a plugin, so leave with `_exit`, not by unwinding.
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

/// Tells the outputs of new batches, and looks after calls that do not return.
fn watch(ended: &Weak<()>, running: &Mutex<Vec<Arc<Shared>>>, backlog: &dyn Backlog) {
    let mut head = BatchSeq::START;
    let mut pace = WATCH;
    while ended.strong_count() > 0 {
        let last = backlog.wait_beyond(head, pace);
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
                shared.update_lag(backlog);
            }
        }
        head = last;
    }
}

/// Makes instances in this process.
struct InProcess {
    source: PluginSource,
    name: String,
    config: String,
    host: &'static HostContext,
    /// Loaded once: the file is never loaded twice, and never unloaded.
    loaded: Mutex<Option<(Plugin, PluginIdentity)>>,
}

impl InProcess {
    fn new(settings: &OutputSettings) -> Self {
        Self {
            source: settings.source.clone(),
            name: settings.name.clone(),
            config: settings.config.clone(),
            host: HostContext::leak(ToTracing::new(&settings.name)),
            loaded: Mutex::new(None),
        }
    }
}

impl MakeSink for InProcess {
    fn make(&self, _: &Shared) -> Result<(Box<dyn Sink>, PluginIdentity), String> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let (plugin, identity) = match &*loaded {
            Some(known) => known.clone(),
            None => loaded.insert(load(&self.source, self.host)?).clone(),
        };
        drop(loaded);
        let instance = Instance::create(&plugin, self.host, &self.name, &self.config)?;
        Ok((Box::new(instance), identity))
    }
}

/// Checks and loads a plugin.
pub(crate) fn load(
    source: &PluginSource,
    host: &'static HostContext,
) -> Result<(Plugin, PluginIdentity), String> {
    let (plugin, path, sha256) = match source {
        PluginSource::Static(init) => {
            let plugin = Plugin::from_init(*init, host).map_err(|error| error.to_string())?;
            (plugin, String::new(), String::new())
        }
        PluginSource::File {
            path,
            sha256,
            trust,
        } => {
            let file = PluginFile::open(path, sha256.as_deref(), *trust)
                .map_err(|error| error.to_string())?;
            let unusual = file.unusual_dependencies();
            if !unusual.is_empty() {
                let text = format!(
                    "{} needs {}, which the dynamic linker looks for without any check",
                    path.display(),
                    unusual.join(", ")
                );
                host.log().line(level::WARN, "plugin-host", &text);
            }
            let plugin = Plugin::load(&file, host)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            (plugin, path.display().to_string(), file.sha256().to_owned())
        }
    };
    let identity = PluginIdentity {
        name: plugin.name.clone(),
        version: plugin.version.clone(),
        path,
        sha256,
    };
    Ok((plugin, identity))
}
