//! Reloads the configuration: applies a new one completely, or leaves everything as it is.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tracing::{error, info, warn};

use crate::config::{self, Config, Loaded};
use crate::pipeline::Pipeline;
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::sources::Supervisor;
use crate::status::StatusStore;
use callmeter_error_chain::chain;

/// The configuration in effect, and what shows it.
pub(crate) struct Reloader {
    loaded: Loaded,
    config_page: Arc<ArcSwap<String>>,
    metrics: SelfMetrics,
    status: Arc<StatusStore>,
    redactor: Arc<SecretRedactor>,
}

impl Reloader {
    /// Shows the configuration that the program started with.
    pub(crate) fn new(
        loaded: Loaded,
        metrics: &SelfMetrics,
        status: &Arc<StatusStore>,
        redactor: &Arc<SecretRedactor>,
    ) -> Self {
        let reloader = Self {
            loaded,
            config_page: Arc::default(),
            metrics: metrics.clone(),
            status: Arc::clone(status),
            redactor: Arc::clone(redactor),
        };
        reloader.show();
        reloader
    }

    /// The configuration in effect.
    pub(crate) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// What runs, in one line.
    pub(crate) fn summary(&self) -> String {
        self.loaded.config.summary()
    }

    /// The text of the page `/config`, always of the configuration in effect.
    pub(crate) fn config_page(&self) -> Arc<ArcSwap<String>> {
        Arc::clone(&self.config_page)
    }

    /// Reads the file again and applies it.
    ///
    /// # Errors
    /// With the reasons why the configuration was rejected. The old one stays in effect.
    pub(crate) async fn reload(
        &mut self,
        pipeline: &mut Pipeline,
        supervisor: &mut Supervisor,
    ) -> Result<(), String> {
        match self.apply(pipeline, supervisor).await {
            Ok(()) => {
                self.show();
                info!(config = %self.loaded.file.display(), "configuration reloaded");
                Ok(())
            }
            Err(reason) => {
                let reason = self.redactor.scrub(&reason);
                error!(
                    reason,
                    "configuration not reloaded; the old one stays in effect"
                );
                self.metrics.config_reload_successful.set(0);
                self.status.config_rejected(reason.clone());
                Err(reason)
            }
        }
    }

    async fn apply(
        &mut self,
        pipeline: &mut Pipeline,
        supervisor: &mut Supervisor,
    ) -> Result<(), String> {
        let file = self.loaded.file.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&file))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let new = &loaded.config;
        check_restart_keys(new, &self.loaded.config)?;
        let changes = supervisor
            .plan(&pipeline.part(new).accounts)
            .map_err(|error| chain(&error))?;
        // Outputs first: they can fail, accounts cannot any more.
        pipeline
            .set_outputs(new)
            .await
            .map_err(|error| chain(&error))?;
        pipeline.set_wanted(new);
        pipeline.set_retention(new);
        pipeline.set_view(new);
        supervisor.apply(changes).await;
        pipeline.show_accounts(new);
        self.loaded = loaded;
        Ok(())
    }

    /// Shows the configuration in effect: on its page, in status, metrics and log.
    fn show(&self) {
        let metrics = &self.metrics;
        metrics.config_reload_successful.set(1);
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds since 1970 are far below 2^53"
        )]
        metrics
            .config_reload_timestamp
            .set(Timestamp::now().as_second() as f64);
        let warnings: Vec<String> = self
            .loaded
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect();
        for warning in &warnings {
            warn!(warning, "configuration");
        }
        self.status.config_loaded(warnings);
        let page = config::redacted(&self.loaded.text)
            .unwrap_or_else(|error| format!("# cannot be shown: {error}\n"));
        self.config_page.store(Arc::new(self.redactor.scrub(&page)));
    }
}

/// Rejects changes of keys that take effect only when the program starts.
fn check_restart_keys(new: &Config, old: &Config) -> Result<(), String> {
    let (new_metrics, old_metrics) = (&new.metrics, &old.metrics);
    for (key, changed) in [
        (
            old.journal.place.key(),
            new.journal.place != old.journal.place,
        ),
        (
            "metrics.max_label_sets",
            new_metrics.max_label_sets != old_metrics.max_label_sets,
        ),
        (
            "metrics.created_timestamps",
            new_metrics.created_timestamps != old_metrics.created_timestamps,
        ),
        (
            "metrics.short_abandon",
            new_metrics.short_abandon != old_metrics.short_abandon,
        ),
        (
            "metrics.answered_by",
            new_metrics.answered_by != old_metrics.answered_by,
        ),
    ] {
        if changed {
            return Err(format!(
                "a change of {key} takes effect only at a start; restart callmeter, or undo the change"
            ));
        }
    }
    Ok(())
}
