//! The runtime of an API's polls: one thread, apart from the threads of the web server.
//!
//! A request is a few steps of a few tasks: the poll, the connection, the timers. With several
//! threads, each of them wakes others to share these steps, and to wake a thread takes longer than
//! the steps do. Work that takes longer or waits runs on other threads (`blocking.rs`).

use tokio::runtime::{Builder, Runtime};

/// Threads for work that waits for the disk.
const MAX_BLOCKING_THREADS: usize = 64;

/// The runtime. Dropping it does not wait for work on other threads.
#[derive(Debug)]
pub(super) struct PollRuntime(Option<Runtime>);

impl PollRuntime {
    /// Starts its thread.
    ///
    /// # Errors
    /// If the system refuses to create a thread.
    pub(super) fn start() -> std::io::Result<Self> {
        // Not a runtime of the current thread, whose tasks could not read a slow file aside.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .enable_all()
            .thread_name("polls")
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs `start`, whose tasks run here.
    pub(super) fn enter(&self, start: impl FnOnce()) {
        let _entered = self.0.as_ref().map(Runtime::enter);
        start();
    }
}

impl Drop for PollRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
