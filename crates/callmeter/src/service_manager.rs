//! Tells systemd how the program is doing: starting, ready, reloading, stopping, alive. Without
//! systemd, all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::exit::Failure;

/// How much time a start asks for, and how often while it counts the journal.
const MORE_TIME: Duration = Duration::from_mins(1);
const ASK_AGAIN: Duration = Duration::from_secs(20);

/// Runs the first part of a start, which may take minutes, and asks for time as long as it runs.
pub(crate) async fn while_starting<T>(start: impl Future<Output = T>) -> T {
    let ask = async {
        loop {
            let micros = u32::try_from(MORE_TIME.as_micros()).unwrap_or(u32::MAX);
            tell(&[
                NotifyState::Status("counting the journal"),
                NotifyState::ExtendTimeoutUsec(micros),
            ]);
            tokio::time::sleep(ASK_AGAIN).await;
        }
    };
    tokio::select! {
        biased;
        started = start => started,
        () = ask => unreachable!("it asks forever"),
    }
}

/// The program does its work: the journal is counted, and the port answers.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload begins. [`ready`] ends it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "no time for the service manager"),
    }
}

/// The orderly shutdown begins.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("shutting down")]);
}

/// Feeds the watchdog twice in each of its intervals, if systemd set one, until it is dropped. If
/// the program's threads hang, nothing feeds it, and systemd restarts the program.
pub(crate) fn feed_watchdog() -> JoinSet<()> {
    let mut task = JoinSet::new();
    if let Some(interval) = sd_notify::watchdog_enabled() {
        task.spawn(async move {
            loop {
                tell(&[NotifyState::Watchdog]);
                tokio::time::sleep(interval / 2).await;
            }
        });
    }
    task
}

/// The sockets that systemd listens on for this program (`callmeter.socket`).
///
/// It changes the environment: call it before there are other threads.
///
/// # Errors
/// If there are none, or one is not a TCP socket.
pub(crate) fn sockets() -> Result<Vec<std::net::TcpListener>, Failure> {
    let mut passed = listenfd::ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..passed.len() {
        let socket = passed.take_tcp_listener(index).map_err(|error| {
            Failure::failed(format!(
                "--web.systemd-socket: {error}; callmeter.socket may list TCP addresses only"
            ))
        })?;
        sockets.extend(socket);
    }
    if sockets.is_empty() {
        return Err(Failure::failed(
            "--web.systemd-socket: systemd passed no socket; start callmeter.socket, or use --web.listen-address",
        ));
    }
    Ok(sockets)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify the service manager");
    }
}
