//! Stops tasks, and lets them wait for it.

use tokio::sync::watch;

/// Stops the holders of every [`Stop`] that belongs to it. Dropping it stops them too.
#[derive(Debug)]
pub struct StopSender(watch::Sender<bool>);

/// Tells a task when to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A sender and its first receiver. Clone the receiver for more.
pub fn stop() -> (StopSender, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSender(sender), Stop(receiver))
}

impl StopSender {
    /// Stops all receivers.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it is time to stop.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it is time to stop.
    pub async fn stopped(&mut self) {
        // An error means that the sender was dropped, which has the same meaning.
        let _sender_gone = self.0.wait_for(|stopped| *stopped).await;
    }

    /// The result of the future; `None` if it is time to stop first.
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
    async fn every_receiver_is_stopped() {
        let (sender, mut stop) = stop();
        let mut other = stop.clone();
        sender.stop();
        stop.stopped().await;
        other.stopped().await;
        assert!(other.is_stopped());
    }
}
