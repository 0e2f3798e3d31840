//! The functions that a plugin may call: the log, and whether the call should return.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use callmeter_error_chain::one_line;
use callmeter_plugin_abi::{self as abi, Str, level};

/// Where a plugin's log lines go.
pub(crate) trait LogSink: Send + Sync + 'static {
    /// Whether a line of this level would be written.
    fn enabled(&self, level: i32) -> bool;

    /// Writes a line: level, target, message.
    fn line(&self, level: i32, target: &str, message: &str);
}

/// A log line longer than this is cut.
const MAX_LINE: usize = 8 * 1024;

/// The host as one output's plugin sees it. Leaked, because a plugin's threads may use it for as
/// long as the process lives; instances of one output share it.
pub(crate) struct HostContext {
    table: abi::Host,
    cancelled: AtomicBool,
    log: Box<dyn LogSink>,
}

// SAFETY: `table.ctx` points to the context itself, everything else is `Sync` by itself.
unsafe impl Sync for HostContext {}
// SAFETY: as above.
unsafe impl Send for HostContext {}

impl HostContext {
    pub(crate) fn leak(log: impl LogSink) -> &'static Self {
        let table = abi::Host {
            struct_size: abi::size_u32::<abi::Host>(),
            abi_major: abi::ABI_MAJOR,
            abi_minor: abi::ABI_MINOR,
            features: 0,
            ctx: std::ptr::null_mut(),
            log: Some(log_line),
            log_enabled: Some(log_enabled),
            cancelled: Some(cancelled),
        };
        let context = Box::leak(Box::new(Self {
            table,
            cancelled: AtomicBool::new(false),
            log: Box::new(log),
        }));
        context.table.ctx = std::ptr::from_mut(context).cast();
        context
    }

    pub(crate) fn table(&self) -> &abi::Host {
        &self.table
    }

    /// The plugin's log, for lines of the host about the plugin.
    pub(crate) fn log(&self) -> &dyn LogSink {
        self.log.as_ref()
    }

    /// Whether the call in progress should give up.
    pub(crate) fn set_cancelled(&self, cancelled: bool) {
        self.cancelled.store(cancelled, Ordering::SeqCst);
    }
}

/// # Safety
/// `ctx` is the one of the table, or null.
unsafe fn context<'a>(ctx: *mut c_void) -> Option<&'a HostContext> {
    // SAFETY: the context is leaked and only ever shared.
    unsafe { ctx.cast::<HostContext>().as_ref() }
}

unsafe extern "C" fn log_line(ctx: *mut c_void, level: i32, target: Str, message: Str) {
    // A panic in here must not reach the plugin.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the plugin hands back the table's `ctx`, and texts that live for the call.
        let (context, target, message) = unsafe { (context(ctx), text(target), text(message)) };
        if let Some(context) = context {
            context
                .log
                .line(level.clamp(level::ERROR, level::TRACE), &target, &message);
        }
    }));
}

unsafe extern "C" fn log_enabled(ctx: *mut c_void, level: i32) -> i32 {
    let enabled = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the plugin hands back the table's `ctx`.
        unsafe { context(ctx) }.is_some_and(|context| context.log.enabled(level))
    }));
    i32::from(enabled.unwrap_or(false))
}

unsafe extern "C" fn cancelled(ctx: *mut c_void) -> i32 {
    // SAFETY: the plugin hands back the table's `ctx`.
    let context = unsafe { context(ctx) };
    i32::from(context.is_some_and(|context| context.cancelled.load(Ordering::SeqCst)))
}

/// A plugin's text, cut to a line's length, with invalid UTF-8 replaced.
///
/// # Safety
/// The text is live.
unsafe fn text(text: Str) -> String {
    if text.ptr.is_null() {
        return String::new();
    }
    // SAFETY: the caller vouches for it; the cut only shortens.
    let bytes = unsafe { std::slice::from_raw_parts(text.ptr.cast(), text.len.min(MAX_LINE)) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// Sends log lines to callmeter's log.
pub(crate) struct ToTracing {
    output: String,
}

impl ToTracing {
    pub(crate) fn new(output: &str) -> Self {
        Self {
            output: output.to_owned(),
        }
    }
}

impl LogSink for ToTracing {
    fn enabled(&self, level: i32) -> bool {
        tracing_enabled(level)
    }

    fn line(&self, level: i32, target: &str, message: &str) {
        let (output, target, message) = (&self.output, one_line(target), one_line(message));
        match level {
            ..=level::ERROR => tracing::error!(output, target, "{message}"),
            level::WARN => tracing::warn!(output, target, "{message}"),
            level::INFO => tracing::info!(output, target, "{message}"),
            level::DEBUG => tracing::debug!(output, target, "{message}"),
            _ => tracing::trace!(output, target, "{message}"),
        }
    }
}

fn tracing_enabled(level: i32) -> bool {
    match level {
        ..=level::ERROR => tracing::enabled!(tracing::Level::ERROR),
        level::WARN => tracing::enabled!(tracing::Level::WARN),
        level::INFO => tracing::enabled!(tracing::Level::INFO),
        level::DEBUG => tracing::enabled!(tracing::Level::DEBUG),
        _ => tracing::enabled!(tracing::Level::TRACE),
    }
}

/// The most detailed level that callmeter's log writes.
pub(crate) fn most_detailed() -> i32 {
    (level::ERROR..=level::TRACE)
        .rev()
        .find(|level| tracing_enabled(*level))
        .unwrap_or(level::ERROR)
}

/// Discards log lines.
pub(crate) struct Silent;

impl LogSink for Silent {
    fn enabled(&self, _: i32) -> bool {
        false
    }

    fn line(&self, _: i32, _: &str, _: &str) {}
}
