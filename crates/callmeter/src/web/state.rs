//! What the web server reads of the program, and how it requests a reload.

use std::sync::Arc;

use arc_swap::ArcSwap;
use callmeter_meter::Meter;
use tokio::sync::{mpsc, oneshot};

use crate::cli::WebArgs;
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::status::StatusStore;
use prometheus_web_config::Access;

/// What the web server needs of the program. It only changes something through [`Reload`].
#[derive(Debug, Clone)]
pub struct WebState {
    /// Totals and gauges.
    pub meter: Arc<Meter>,
    /// The registry, with the counter of requests.
    pub metrics: SelfMetrics,
    /// The status of everything.
    pub status: Arc<StatusStore>,
    /// Removes secrets from what is shown.
    pub redactor: Arc<SecretRedactor>,
    /// The redacted configuration as YAML.
    pub config_page: Arc<ArcSwap<String>>,
    /// Whether OpenMetrics responses contain `_created` samples.
    pub created_lines: bool,
    /// The access rules.
    pub access: Arc<Access>,
    /// Requests a reload of the configuration.
    pub reload: Reload,
    /// The flags.
    pub args: WebArgs,
}

/// A request to reload the configuration. The result contains the error text.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Requests reloads of the configuration.
#[derive(Debug, Clone)]
pub struct Reload(mpsc::Sender<ReloadRequest>);

impl Reload {
    /// A sender and the receiver of its requests.
    pub fn channel() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }

    /// Requests a reload and waits for the result.
    ///
    /// # Errors
    /// With the reasons why the new configuration was rejected.
    pub async fn reload(&self) -> Result<(), String> {
        let (request, result) = oneshot::channel();
        let shutting_down = || "callmeter is shutting down".to_owned();
        self.0.send(request).await.map_err(|_| shutting_down())?;
        result.await.unwrap_or_else(|_| Err(shutting_down()))
    }
}
