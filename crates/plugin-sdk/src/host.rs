//! What a plugin can ask of callmeter: the log, and whether the call should return.

use std::ffi::c_void;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use callmeter_plugin_abi::{self as abi, Str, level};

/// callmeter, seen from a plugin. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Host {
    table: HostTable,
    instance: Arc<str>,
    interrupt: Arc<Interrupt>,
}

/// The host's table, copied: what an older host does not have is null.
#[derive(Clone, Copy)]
pub(crate) struct HostTable(abi::Host);

// SAFETY: the ABI promises that the functions may be called from any thread with `ctx`, and that
// both live until the process ends.
unsafe impl Send for HostTable {}
// SAFETY: as above.
unsafe impl Sync for HostTable {}

impl HostTable {
    /// Copies as much of the table as both sides know.
    ///
    /// # Safety
    /// `host` points to a table with a truthful `struct_size`.
    pub(crate) unsafe fn read(host: *const abi::Host) -> Self {
        let mut copy = abi::Host {
            struct_size: 0,
            abi_major: 0,
            abi_minor: 0,
            features: 0,
            ctx: std::ptr::null_mut(),
            log: None,
            log_enabled: None,
            cancelled: None,
        };
        // SAFETY: `struct_size` is the first member; the copy takes no more than either side has,
        // and every bit pattern that a host writes there is valid for the members.
        unsafe {
            let offered = (*host).struct_size as usize;
            let bytes = offered.min(size_of::<abi::Host>());
            std::ptr::copy_nonoverlapping(host.cast::<u8>(), (&raw mut copy).cast::<u8>(), bytes);
        }
        Self(copy)
    }

    pub(crate) fn major(&self) -> u16 {
        self.0.abi_major
    }

    pub(crate) fn log(&self, level: i32, target: &str, message: &str) {
        if let Some(log) = self.0.log {
            // SAFETY: the texts live for the call, the function and `ctx` for the process.
            unsafe { log(self.0.ctx, level, to_str(target), to_str(message)) }
        }
    }

    pub(crate) fn enabled(&self, level: i32) -> bool {
        // SAFETY: the function and `ctx` live for the process.
        self.0
            .log_enabled
            .is_none_or(|enabled| unsafe { enabled(self.0.ctx, level) != 0 })
    }

    fn cancelled(&self) -> bool {
        // SAFETY: the function and `ctx` live for the process.
        self.0
            .cancelled
            .is_some_and(|cancelled| unsafe { cancelled(self.0.ctx) != 0 })
    }
}

fn to_str(text: &str) -> Str {
    Str {
        ptr: text.as_ptr().cast(),
        len: text.len(),
    }
}

impl Host {
    pub(crate) fn new(table: HostTable, instance: &str, interrupt: Arc<Interrupt>) -> Self {
        Self {
            table,
            instance: instance.into(),
            interrupt,
        }
    }

    /// A host for unit tests: its log goes to stderr, and it never cancels.
    pub fn for_tests(instance: &str) -> Self {
        unsafe extern "C" fn log(_: *mut c_void, level: i32, target: Str, message: Str) {
            // SAFETY: `log` is only called by `HostTable::log`, with live texts.
            let (target, message) = unsafe {
                (
                    std::slice::from_raw_parts(target.ptr.cast::<u8>(), target.len),
                    std::slice::from_raw_parts(message.ptr.cast::<u8>(), message.len),
                )
            };
            eprintln!(
                "[{level}] {}: {}",
                String::from_utf8_lossy(target),
                String::from_utf8_lossy(message)
            );
        }
        let table = HostTable(abi::Host {
            struct_size: abi::size_u32::<abi::Host>(),
            abi_major: abi::ABI_MAJOR,
            abi_minor: abi::ABI_MINOR,
            features: 0,
            ctx: std::ptr::null_mut(),
            log: Some(log),
            log_enabled: None,
            cancelled: None,
        });
        Self::new(table, instance, Arc::new(Interrupt::default()))
    }

    /// Asks the call in progress to return, as callmeter does when it takes too long. For unit
    /// tests.
    pub fn cancel_for_tests(&self) {
        self.interrupt.raise();
    }

    /// The output's name in callmeter's configuration.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Logs a failure.
    pub fn error(&self, message: impl Display) {
        self.log(level::ERROR, message);
    }

    /// Logs something unusual.
    pub fn warn(&self, message: impl Display) {
        self.log(level::WARN, message);
    }

    /// Logs what an operator wants to see in normal operation.
    pub fn info(&self, message: impl Display) {
        self.log(level::INFO, message);
    }

    /// Logs what helps to find a bug.
    pub fn debug(&self, message: impl Display) {
        self.log(level::DEBUG, message);
    }

    fn log(&self, level: i32, message: impl Display) {
        if self.table.enabled(level) {
            self.table.log(level, &self.instance, &message.to_string());
        }
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn table(&self) -> HostTable {
        self.table
    }

    /// Whether the call in progress should return soon, because callmeter stops or the call takes
    /// too long. Check it in loops that wait.
    pub fn cancelled(&self) -> bool {
        self.interrupt.is_set() || self.table.cancelled()
    }

    /// Sleeps, but wakes up early when cancelled. Returns whether it slept the whole time.
    pub fn sleep(&self, time: Duration) -> bool {
        !self.cancelled() && self.interrupt.sleep(time) && !self.cancelled()
    }

    /// Calls `wake` from another thread whenever a call is asked to return, for a plugin that waits
    /// by other means (a channel, an async runtime).
    pub fn on_cancel(&self, wake: impl Fn() + Send + Sync + 'static) {
        let mut wakers = self
            .interrupt
            .wakers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        wakers.push(Box::new(wake));
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// The request to return, set by `cancel` and cleared when the next call begins.
#[derive(Default)]
pub(crate) struct Interrupt {
    set: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
    wakers: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl Interrupt {
    pub(crate) fn raise(&self) {
        {
            let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.set.store(true, Ordering::SeqCst);
            self.changed.notify_all();
        }
        for wake in &*self.wakers.lock().unwrap_or_else(PoisonError::into_inner) {
            wake();
        }
    }

    pub(crate) fn clear(&self) {
        self.set.store(false, Ordering::SeqCst);
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    fn sleep(&self, time: Duration) -> bool {
        let start = Instant::now();
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.is_set() {
                return false;
            }
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return true;
            }
            held = self
                .changed
                .wait_timeout(held, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Host, Interrupt};

    #[test]
    fn a_sleep_ends_when_cancelled() {
        let mut host = Host::for_tests("t");
        let interrupt = Arc::new(Interrupt::default());
        host.interrupt = Arc::clone(&interrupt);
        let start = Instant::now();
        let sleeper = std::thread::spawn(move || host.sleep(Duration::from_secs(10 * 60)));
        interrupt.raise();
        assert!(!sleeper.join().unwrap());
        assert!(start.elapsed() < Duration::from_secs(5 * 60));
    }

    #[test]
    fn a_sleep_that_nobody_cancels_runs_to_its_end() {
        assert!(Host::for_tests("t").sleep(Duration::from_millis(1)));
    }
}
