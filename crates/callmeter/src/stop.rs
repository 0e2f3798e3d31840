//! Telling tasks to end, and waiting for it.

use tokio::sync::watch;

/// Tells every [`Stop`] made of it to end, at the latest when it is dropped.
#[derive(Debug)]
pub struct StopSender(watch::Sender<bool>);

/// Hears of the end.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A sender with its first listener.
pub fn stop() -> (StopSender, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSender(sender), Stop(receiver))
}

impl StopSender {
    /// Says that it is time to end.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it is time to end.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when it is time to end.
    pub async fn stopped(&mut self) {
        // An error means that the sender is gone, which says the same.
        let _sender_gone = self.0.wait_for(|stopped| *stopped).await;
    }

    /// The future's result, or nothing when it is time to end before.
    pub async fn unless_stopped<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopped() => None,
            value = future => Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_sender_stops_as_well() {
        let (sender, mut stop) = stop();
        assert!(!stop.is_stopped());
        assert_eq!(stop.unless_stopped(async { 1 }).await, Some(1));
        drop(sender);
        assert!(stop.is_stopped());
        assert_eq!(
            stop.unless_stopped(std::future::pending::<()>()).await,
            None
        );
    }

    #[tokio::test]
    async fn every_listener_hears_of_it() {
        let (sender, mut stop) = stop();
        let mut other = stop.clone();
        sender.stop();
        stop.stopped().await;
        other.stopped().await;
        assert!(other.is_stopped());
    }
}
