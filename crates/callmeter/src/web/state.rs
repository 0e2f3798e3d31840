//! The web server: metrics, status page, health, reload.
//!
//! Nothing here waits for an upstream API, a disk or a plugin: handlers read the published snapshot, the registry and a copy of the
//! status. What clients may take is bounded: connections and patience in `server`, scrapes at one time in `metrics`.

mod access;
mod listen;
mod metrics;
mod page;
mod routes;
mod server;
mod stall;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use callmeter_meter::Meter;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::cli::WebArgs;
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::status::StatusStore;
use crate::stop::Stop;

pub use access::{Access, AccessError};
pub use listen::{ListenError, bind};

/// What the server needs of the program. It changes nothing there but by [`Reload`].
#[derive(Debug, Clone)]
pub struct WebState {
    /// Totals and gauges.
    pub meter: Arc<Meter>,
    /// The registry, and the counter of requests.
    pub metrics: SelfMetrics,
    /// How everything stands.
    pub status: Arc<StatusStore>,
    /// Removes secrets from what is shown.
    pub redactor: Arc<SecretRedactor>,
    /// The redacted configuration as YAML.
    pub config_page: Arc<ArcSwap<String>>,
    /// Whether OpenMetrics answers carry `_created` samples.
    pub created_lines: bool,
    /// Who may ask.
    pub access: Arc<Access>,
    /// How to have the configuration read again.
    pub reload: Reload,
    /// The flags.
    pub args: WebArgs,
}

/// A wish to read the configuration again; the answer is the error's text.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Asks the program to read its configuration again.
#[derive(Debug, Clone)]
pub struct Reload(mpsc::Sender<ReloadRequest>);

impl Reload {
    /// The asking and the answering end.
    pub fn channel() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }

    /// Asks, and waits for the outcome.
    ///
    /// # Errors
    /// With the reasons for which the new configuration was not taken.
    pub async fn reload(&self) -> Result<(), String> {
        let (answer, outcome) = oneshot::channel();
        let ending = || "the program is ending".to_owned();
        self.0.send(answer).await.map_err(|_| ending())?;
        outcome.await.unwrap_or_else(|_| Err(ending()))
    }
}

/// Serves until told to stop, then lets requests under way finish.
///
/// # Errors
/// Never while it serves; connections that fail are their own matter.
pub async fn serve(listener: TcpListener, state: WebState, stop: Stop) -> std::io::Result<()> {
    let access = Arc::clone(&state.access);
    let app = routes::router(state);
    server::serve(listener, app, access, server::Bounds::default(), stop).await
}
