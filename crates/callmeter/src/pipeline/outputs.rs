//! Starts and stops outputs as the configuration asks.

use std::collections::BTreeMap;
use std::time::Duration;

use callmeter_journal::{JournalError, Start};
use callmeter_plugin_host::{
    DeadLetters, Isolation, Limits, OutputSettings, PluginSource, StartError, Trust,
};
use tracing::{info, warn};

use crate::config::{self, Output, OutputFrom};
use crate::context::AppContext;

/// Why the configured outputs cannot run.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    /// A secret of an output's configuration cannot be read.
    #[error("output {output}: {reason}")]
    Secret {
        /// The output.
        output: String,
        /// The key and the reason.
        reason: String,
    },
    /// The journal cannot store the output's cursor.
    #[error("output {output}: {source}")]
    Journal {
        /// The output.
        output: String,
        /// The journal's error.
        source: Box<JournalError>,
    },
    /// The output's thread cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The work panicked.
    #[error("outputs: {0}")]
    Broken(String),
}

/// Time for an output to flush when it is replaced or removed while the program runs.
const EXCHANGE: Duration = Duration::from_secs(10);
/// The size of the dead letters of one output; beyond it the output waits until some are removed.
const MAX_DEAD_LETTERS: u64 = 1 << 30;

/// The outputs as they were last configured.
#[derive(Debug, Default)]
pub(super) struct ConfiguredOutputs {
    running: BTreeMap<String, Configured>,
}

/// An output with its secrets read.
#[derive(Clone, PartialEq)]
struct Configured {
    output: Output,
    /// The configuration that the plugin gets. It holds secrets and is never shown.
    config: String,
}

impl std::fmt::Debug for Configured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configured")
            .field("output", &self.output.name)
            .finish_non_exhaustive()
    }
}

impl ConfiguredOutputs {
    /// Starts and stops outputs so that these, and no others, run.
    pub(super) async fn set(
        &mut self,
        app: &AppContext,
        outputs: &[Output],
    ) -> Result<(), OutputsError> {
        // The configuration is checked in full before the first change.
        let mut wanted = BTreeMap::new();
        for output in outputs {
            let configured = configure(app, output)?;
            wanted.insert(output.name.clone(), configured);
        }
        let before = std::mem::take(&mut self.running);
        let app = app.clone();
        let (running, result) = tokio::task::spawn_blocking(move || {
            let mut running = before;
            let result = exchange(&app, &mut running, wanted);
            (running, result)
        })
        .await
        .map_err(|error| OutputsError::Broken(error.to_string()))?;
        self.running = running;
        result
    }
}

fn configure(app: &AppContext, output: &Output) -> Result<Configured, OutputsError> {
    let mut read = |source: &config::SecretSource| {
        app.redactor
            .read(source)
            .map(|secret| secret.expose().to_owned())
    };
    let config = config::resolve_plugin_secrets(&output.config, &mut read).map_err(|reason| {
        OutputsError::Secret {
            output: output.name.clone(),
            reason,
        }
    })?;
    Ok(Configured {
        output: output.clone(),
        config: serde_json::Value::Object(config).to_string(),
    })
}

/// Stops the outputs that were removed or changed, then starts the new ones.
fn exchange(
    app: &AppContext,
    running: &mut BTreeMap<String, Configured>,
    wanted: BTreeMap<String, Configured>,
) -> Result<(), OutputsError> {
    let stopping: Vec<String> = running
        .iter()
        .filter(|(name, configured)| wanted.get(*name) != Some(*configured))
        .map(|(name, _)| name.clone())
        .collect();
    for name in stopping {
        running.remove(&name);
        if !app.outputs.stop(&name, EXCHANGE) {
            warn!(
                output = name,
                "the output did not stop in time; its next instance gets the last batches again"
            );
        }
    }
    remove_cursors(app, &wanted)?;
    for (name, configured) in wanted {
        if running.contains_key(&name) {
            continue;
        }
        start(app, &configured)?;
        info!(output = name, plugin = %configured.output.plugin.display(), "output starts");
        running.insert(name, configured);
    }
    Ok(())
}

/// Removes the cursors of outputs that are no longer configured, so that retention does not wait
/// for them.
fn remove_cursors(
    app: &AppContext,
    wanted: &BTreeMap<String, Configured>,
) -> Result<(), OutputsError> {
    let failed = |output: &str| {
        let output = output.to_owned();
        move |source: JournalError| OutputsError::Journal {
            output,
            source: Box::new(source),
        }
    };
    let mut gone: Vec<String> = app
        .journal
        .cursors()
        .map_err(failed("(all)"))?
        .into_iter()
        .map(|cursor| cursor.output)
        .filter(|output| !wanted.contains_key(output))
        .collect();
    gone.dedup();
    for output in gone {
        app.journal
            .remove_output(&output)
            .map_err(failed(&output))?;
        info!(
            output,
            "the output is no longer configured; its cursor in the journal was removed"
        );
    }
    Ok(())
}

fn start(app: &AppContext, configured: &Configured) -> Result<(), OutputsError> {
    let output = &configured.output;
    for stream in &output.streams {
        let from = match output.from {
            OutputFrom::Oldest => Start::Oldest,
            OutputFrom::Now => Start::Newest,
        };
        app.journal
            .register_output(&output.name, *stream, from)
            .map_err(|source| OutputsError::Journal {
                output: output.name.clone(),
                source: Box::new(source),
            })?;
    }
    app.outputs.start(OutputSettings {
        name: output.name.clone(),
        source: PluginSource::File {
            path: std::path::absolute(&output.plugin).unwrap_or_else(|_| output.plugin.clone()),
            sha256: output.sha256.clone(),
            trust: Trust::default(),
        },
        streams: output.streams.clone(),
        config: configured.config.clone(),
        isolation: match output.isolation {
            config::Isolation::Process => Isolation::Process,
            config::Isolation::None => Isolation::None,
        },
        dead_letters: dead_letters(output),
        limits: Limits::default(),
        child_command: Vec::new(),
    })?;
    Ok(())
}

/// The dead letters of an output.
pub(crate) fn dead_letters(output: &Output) -> DeadLetters {
    DeadLetters::new(&output.dead_letters, MAX_DEAD_LETTERS)
}
