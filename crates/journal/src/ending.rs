//! Ends the waits for a server that does not answer, when the program has to end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Whether a journal on a server was given up. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Ending(Arc<watch::Sender<bool>>);

impl Default for Ending {
    fn default() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }
}

impl Ending {
    /// Ends all waits now. True if this is the first time.
    pub(crate) fn give_up(&self) -> bool {
        !self.0.send_replace(true)
    }

    pub(crate) fn is_given_up(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the journal is given up.
    pub(crate) async fn given_up(&self) {
        let mut given_up = self.0.subscribe();
        // The sender is in `self`.
        let _ = given_up.wait_for(|given_up| *given_up).await;
    }

    /// Sleeps; ends soon when the journal is given up.
    pub(crate) fn sleep(&self, time: Duration) {
        const STEP: Duration = Duration::from_millis(100);
        let mut left = time;
        while !left.is_zero() && !self.is_given_up() {
            let step = left.min(STEP);
            std::thread::sleep(step);
            left -= step;
        }
    }
}
