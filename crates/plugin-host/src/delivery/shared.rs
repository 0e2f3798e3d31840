//! What an output's thread shares with the rest of the program: its state, the plugin call in
//! progress, and the request to stop.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use callmeter_records::Stream;

use crate::settings::{Limits, OutputSettings, Scrub};
use crate::sink::Interrupt;
use crate::status::{LastError, OutputState, OutputStatus, PluginIdentity, StreamStatus};
use callmeter_records::BatchLog;

/// Shared by an output's thread, the watchdog and those that read its state.
pub(crate) struct Shared {
    name: String,
    path: PathBuf,
    limits: Limits,
    scrub: Scrub,
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    state: OutputState,
    plugin: Option<PluginIdentity>,
    last_error: Option<LastError>,
    instances: u64,
    retries: u64,
    /// Failures since the last progress.
    failures: u32,
    /// When the first of them was.
    failing_since: Option<Instant>,
    running: bool,
    streams: Vec<StreamStatus>,
    call: Option<PluginCall>,
    interrupt: Option<Arc<dyn Interrupt>>,
    /// The number of notifications of new batches so far.
    notified: u64,
    stop_by: Option<Instant>,
    ended: bool,
    /// Whether the first instance could be created, once that is known.
    created: Option<Result<(), String>>,
    /// Whether the output may be fed.
    admitted: bool,
}

/// A call into the plugin that has not returned.
struct PluginCall {
    operation: &'static str,
    since: Instant,
    cancelled: bool,
    killed: bool,
}

impl Shared {
    pub(crate) fn new(settings: &OutputSettings) -> Arc<Self> {
        Arc::new(Self {
            name: settings.name.clone(),
            path: settings.source.path().to_owned(),
            limits: settings.limits,
            scrub: settings.scrub.clone(),
            inner: Mutex::new(Inner {
                state: OutputState::Starting,
                plugin: None,
                last_error: None,
                instances: 0,
                retries: 0,
                failures: 0,
                failing_since: None,
                running: false,
                streams: settings
                    .streams
                    .iter()
                    .map(|stream| StreamStatus::new(*stream))
                    .collect(),
                call: None,
                interrupt: None,
                notified: 0,
                stop_by: None,
                ended: false,
                created: None,
                admitted: false,
            }),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn status(&self) -> OutputStatus {
        let inner = self.lock();
        let call = inner
            .call
            .as_ref()
            .map(|call| (call.operation, call.since.elapsed()));
        let hung = call.is_some_and(|(_, time)| time > self.limits.call_timeout);
        let waits_long = inner.state == OutputState::Retrying
            && inner
                .failing_since
                .is_some_and(|since| since.elapsed() > self.limits.down_after);
        let fails = inner.failures >= self.limits.failures_until_down;
        OutputStatus {
            name: self.name.clone(),
            state: if hung { OutputState::Hung } else { inner.state },
            up: inner.running && !hung && !fails && !waits_long,
            path: self.path.clone(),
            plugin: inner.plugin.clone(),
            last_error: inner.last_error.clone(),
            call,
            restarts: inner.instances.saturating_sub(1),
            retries: inner.retries,
            streams: inner.streams.clone(),
        }
    }

    /// The text of a plugin without secrets.
    pub(crate) fn scrub(&self, text: &str) -> String {
        self.scrub.scrub(text)
    }

    // ---- for the output's thread

    pub(crate) fn set_state(&self, state: OutputState) {
        let mut inner = self.lock();
        // What happens while it stops is still "stopping".
        if inner.stop_by.is_none() || state == OutputState::Stopped {
            inner.state = state;
        }
    }

    pub(crate) fn instance_made(&self, plugin: PluginIdentity) {
        let mut inner = self.lock();
        inner.plugin = Some(plugin);
        inner.instances += 1;
        inner.running = true;
    }

    pub(crate) fn instance_ended(&self) {
        let mut inner = self.lock();
        inner.running = false;
        inner.interrupt = None;
    }

    pub(crate) fn set_interrupt(&self, interrupt: Arc<dyn Interrupt>) {
        self.lock().interrupt = Some(interrupt);
    }

    /// Records a failure and returns how many there were in a row.
    pub(crate) fn failed(&self, text: &str) -> u32 {
        let text = self.scrub(text);
        tracing::warn!(output = self.name, "{text}");
        let mut inner = self.lock();
        inner.failures = inner.failures.saturating_add(1);
        inner.failing_since.get_or_insert_with(Instant::now);
        inner.last_error = Some(LastError {
            text,
            at: SystemTime::now(),
        });
        inner.failures
    }

    pub(crate) fn retried(&self) {
        self.lock().retries += 1;
    }

    /// Ends the row of failures, because something became durable.
    pub(crate) fn progressed(&self) {
        let mut inner = self.lock();
        inner.failures = 0;
        inner.failing_since = None;
    }

    pub(crate) fn update_stream(&self, stream: Stream, update: impl FnOnce(&mut StreamStatus)) {
        if let Some(status) = self
            .lock()
            .streams
            .iter_mut()
            .find(|status| status.stream == stream)
        {
            update(status);
        }
    }

    /// Reads from the journal what the output has yet to acknowledge. Returns whether that could be
    /// read.
    pub(crate) fn update_backlog(&self, batches: &dyn BatchLog) -> bool {
        let streams: Vec<_> = self
            .lock()
            .streams
            .iter()
            .map(|status| status.stream)
            .collect();
        let mut is_read = true;
        for stream in streams {
            match batches.backlog(&self.name, stream) {
                Ok(backlog) => self.update_stream(stream, |status| status.backlog = backlog),
                Err(error) => {
                    is_read = false;
                    tracing::debug!(output = self.name, "{error}");
                }
            }
        }
        is_read
    }

    /// Whether the journal had nothing for the output when it was read last.
    pub(crate) fn is_caught_up(&self) -> bool {
        let inner = self.lock();
        inner
            .streams
            .iter()
            .all(|status| status.backlog.records == 0)
    }

    /// How long a call may take before it is asked to return.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.limits.call_timeout
    }

    /// Whether a plugin call has been in progress for this long.
    pub(crate) fn in_call_for(&self, time: Duration) -> bool {
        self.lock()
            .call
            .as_ref()
            .is_some_and(|call| call.since.elapsed() >= time)
    }

    /// Runs a call into the plugin while the watchdog watches it.
    pub(crate) fn call<T>(&self, operation: &'static str, call: impl FnOnce() -> T) -> T {
        self.lock().call = Some(PluginCall {
            operation,
            since: Instant::now(),
            cancelled: false,
            killed: false,
        });
        let answer = call();
        self.lock().call = None;
        answer
    }

    /// The time by which the output must have stopped, if it is to stop.
    pub(crate) fn stop_by(&self) -> Option<Instant> {
        self.lock().stop_by
    }

    /// Waits. Returns early, and false, when the output is to stop.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut inner = self.lock();
        loop {
            if inner.stop_by.is_some() {
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            inner = self.wait(inner, left);
        }
    }

    /// The number of notifications so far.
    pub(crate) fn notified(&self) -> u64 {
        self.lock().notified
    }

    /// Waits until there are more than `seen` notifications, the output is to stop, or the time is
    /// over.
    pub(crate) fn wait_for_notify(&self, seen: u64, time: Duration) {
        let end = Instant::now() + time;
        let mut inner = self.lock();
        while inner.notified == seen && inner.stop_by.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            inner = self.wait(inner, left);
        }
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>, time: Duration) -> MutexGuard<'a, Inner> {
        self.changed
            .wait_timeout(inner, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    pub(crate) fn set_created(&self, created: Result<(), String>) {
        self.lock().created = Some(created);
        self.changed.notify_all();
    }

    /// Waits until the output may be fed. Returns false if it is to stop instead.
    pub(crate) fn wait_until_admitted(&self) -> bool {
        let mut inner = self.lock();
        while !inner.admitted && inner.stop_by.is_none() {
            inner = self
                .changed
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        inner.stop_by.is_none()
    }

    pub(crate) fn set_ended(&self) {
        let mut inner = self.lock();
        inner.state = OutputState::Stopped;
        inner.running = false;
        inner.ended = true;
        self.changed.notify_all();
    }

    // ---- for other threads

    pub(crate) fn admit(&self) {
        self.lock().admitted = true;
        self.changed.notify_all();
    }

    /// Waits until it is known whether the first instance could be created. `None` if that takes
    /// too long.
    pub(crate) fn wait_until_created(&self, by: Instant) -> Option<Result<(), String>> {
        let mut inner = self.lock();
        loop {
            if inner.created.is_some() {
                return inner.created.clone();
            }
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() || inner.ended {
                return None;
            }
            inner = self.wait(inner, left);
        }
    }

    /// Tells the output's thread that there may be new batches.
    pub(crate) fn notify(&self) {
        self.lock().notified += 1;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self, by: Instant) {
        let mut inner = self.lock();
        if inner.stop_by.is_none() {
            inner.stop_by = Some(by);
            inner.state = OutputState::Stopping;
        }
        self.changed.notify_all();
    }

    /// Asks the call in progress to return.
    pub(crate) fn cancel(&self) {
        let interrupt = self.lock().interrupt.clone();
        if let Some(interrupt) = interrupt {
            interrupt.cancel();
        }
    }

    /// Ends the instance by force, if that is possible.
    pub(crate) fn kill(&self) -> bool {
        let interrupt = self.lock().interrupt.clone();
        interrupt.is_some_and(|interrupt| interrupt.kill())
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits until the output's thread has ended. Returns whether it has.
    pub(crate) fn wait_until_ended(&self, by: Instant) -> bool {
        let mut inner = self.lock();
        while !inner.ended {
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            inner = self.wait(inner, left);
        }
        true
    }

    /// Asks a call that takes too long to return, and later ends it by force where that is
    /// possible. The watchdog calls this.
    pub(crate) fn watch(&self) {
        let mut inner = self.lock();
        let interrupt = inner.interrupt.clone();
        let Some(call) = inner.call.as_mut() else {
            return;
        };
        let (time, operation) = (call.since.elapsed(), call.operation);
        let cancel = time > self.limits.call_timeout && !call.cancelled;
        let kill = time > self.limits.call_timeout + self.limits.kill_after && !call.killed;
        call.cancelled |= cancel;
        call.killed |= kill;
        if !cancel && !kill {
            return;
        }
        if cancel {
            let text = format!(
                "{operation} has not returned for {} s; callmeter asks it to return",
                time.as_secs()
            );
            tracing::warn!(output = self.name, "{text}");
            inner.last_error = Some(LastError {
                text,
                at: SystemTime::now(),
            });
        }
        drop(inner);
        let Some(interrupt) = interrupt else { return };
        if kill && interrupt.kill() {
            tracing::error!(
                output = self.name,
                "{operation} did not return; its process was killed"
            );
        } else if cancel {
            // On another thread, because the plugin's `cancel` may hang as well. If no thread can
            // be started, the call goes on until it is killed.
            let _ = std::thread::Builder::new().spawn(move || interrupt.cancel());
        }
    }
}
