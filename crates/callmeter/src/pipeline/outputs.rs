//! Starts and stops outputs as the configuration asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callmeter_journal::{JournalError, Start};
use callmeter_plugin_host::{
    DeadLetters, Isolation, Limits, OutputSettings, PluginSource, Prepared, Scrub, StartError,
    Trust,
};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::charging;
use crate::config::{self, Charging, Config, Output, OutputFrom};
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
    /// The plugin does not accept the output's settings.
    #[error("output {output}: {reason}")]
    Refused {
        /// The output.
        output: String,
        /// What the plugin says.
        reason: String,
    },
    /// The journal cannot store the cursors of the outputs.
    #[error("outputs: {0}")]
    Journal(#[source] Box<JournalError>),
    /// The output's thread cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The work panicked.
    #[error("outputs: {0}")]
    Broken(String),
}

/// Time for a plugin to accept its settings during a reload.
const CREATE: Duration = Duration::from_secs(20);
/// Time for reading the secrets of all outputs again before other work goes on.
const READ_SECRETS: Duration = Duration::from_secs(2);
/// Time for an output to flush when it is replaced or removed while the program runs.
const EXCHANGE: Duration = Duration::from_secs(10);
/// The size of the dead letters of one output; beyond it the output waits until some are removed.
const MAX_DEAD_LETTERS: u64 = 1 << 30;

/// The outputs as they were last configured.
#[derive(Debug, Default)]
pub(super) struct ConfiguredOutputs {
    running: BTreeMap<String, Configured>,
    /// The secrets being read again.
    reading: Option<JoinHandle<Read>>,
    /// Whose cursors are in the journal.
    owners: Option<CursorOwners>,
}

/// All outputs and entries of `charges` of the configuration, whichever instance works on them:
/// their cursors are set together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CursorOwners {
    outputs: Vec<Output>,
    charges: Vec<Charging>,
}

impl CursorOwners {
    /// Those of a configuration.
    pub(super) fn of(config: &Config) -> Self {
        Self {
            outputs: config.outputs.clone(),
            charges: config.charges.clone(),
        }
    }
}

/// The outputs that are wanted, and why a secret of one of them cannot be read.
type Read = (BTreeMap<String, Configured>, Option<OutputsError>);

/// An output with its secrets read.
#[derive(Clone, PartialEq)]
struct Configured {
    output: Output,
    /// The configuration that the plugin gets. It holds secrets and is never shown. Or why a secret
    /// cannot be read: then the output is down.
    config: Result<String, String>,
}

impl std::fmt::Debug for Configured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configured")
            .field("output", &self.output.name)
            .finish_non_exhaustive()
    }
}

/// What becomes of an output that has no first instance: a secret cannot be read, or the plugin
/// does not accept its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfRefused {
    /// It is down and tries again: the program starts, and other outputs must run.
    KeepTrying,
    /// Nothing changes: the outputs of before go on.
    Undo,
}

impl ConfiguredOutputs {
    /// Starts and stops outputs so that these, and no others, run. If it fails, the outputs of
    /// before run on, untouched; with [`IfRefused::KeepTrying`], an output whose secrets cannot be
    /// read keeps none of the others from running.
    pub(super) async fn set(
        &mut self,
        app: &AppContext,
        outputs: &[Output],
        owners: CursorOwners,
        if_refused: IfRefused,
    ) -> Result<(), OutputsError> {
        let (reader, outputs) = (app.clone(), outputs.to_vec());
        let read = move |before: &BTreeMap<String, Configured>| {
            let (wanted, failure) = configure_all(&reader, &outputs, before);
            match failure {
                Some(error) if if_refused == IfRefused::Undo => Err(error),
                failure => Ok((wanted, failure)),
            }
        };
        self.change(app, read, owners, if_refused).await
    }

    /// Makes the outputs those that `read` returns.
    async fn change(
        &mut self,
        app: &AppContext,
        read: impl FnOnce(&BTreeMap<String, Configured>) -> Result<Read, OutputsError> + Send + 'static,
        owners: CursorOwners,
        if_refused: IfRefused,
    ) -> Result<(), OutputsError> {
        let before = std::mem::take(&mut self.running);
        let app = app.clone();
        // Who works on what changes more often, and also while the journal cannot be reached.
        let are_set = self.owners.as_ref() == Some(&owners);
        let (running, owners, result) = tokio::task::spawn_blocking(move || {
            let new_owners = (!are_set).then_some(&owners);
            let result = read(&before).and_then(|(wanted, failure)| {
                exchange(&app, &before, &wanted, new_owners, if_refused)?;
                Ok((wanted, failure))
            });
            match result {
                Ok((running, failure)) => (running, owners, Ok(failure)),
                Err(error) => (before, owners, Err(error)),
            }
        })
        .await
        .map_err(|error| OutputsError::Broken(error.to_string()))?;
        self.running = running;
        if result.is_ok() {
            self.owners = Some(owners);
        }
        result?.map_or(Ok(()), Err)
    }

    /// Restarts the outputs whose secrets have changed. One whose secrets cannot be read, or whose
    /// plugin does not accept them, runs on with the earlier ones.
    pub(super) async fn follow_secrets(&mut self, app: &AppContext) -> Result<(), OutputsError> {
        let outputs: Vec<_> = self
            .running
            .values()
            .map(|configured| configured.output.clone())
            .collect();
        if !outputs
            .iter()
            .any(|output| config::has_plugin_secrets(&output.config))
        {
            return Ok(());
        }
        // A file may be on a mount that hangs: then nothing else waits for it, and it is not read
        // twice at once.
        let reading = self.reading.get_or_insert_with(|| {
            let (app, running) = (app.clone(), self.running.clone());
            tokio::task::spawn_blocking(move || configure_all(&app, &outputs, &running))
        });
        let Ok(read) = tokio::time::timeout(READ_SECRETS, reading).await else {
            return Ok(());
        };
        self.reading = None;
        let (read, failure) = read.map_err(|error| OutputsError::Broken(error.to_string()))?;
        // A reload may have come between.
        let outputs_of = |all: &BTreeMap<String, Configured>| {
            let outputs = all.values().map(|one| one.output.clone());
            outputs.collect::<Vec<_>>()
        };
        if let Some(owners) = self.owners.clone()
            && outputs_of(&read) == outputs_of(&self.running)
            && read != self.running
        {
            let known = move |_: &BTreeMap<_, _>| Ok((read, None));
            self.change(app, known, owners, IfRefused::Undo).await?;
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Reads the secrets of outputs. One whose secrets cannot be read keeps those that it runs with, if
/// it has any.
fn configure_all(
    app: &AppContext,
    outputs: &[Output],
    running: &BTreeMap<String, Configured>,
) -> Read {
    let mut failure = None;
    let mut configure_one = |output: &Output| {
        configure(app, output).unwrap_or_else(|reason| {
            failure.get_or_insert_with(|| OutputsError::Secret {
                output: output.name.clone(),
                reason: reason.clone(),
            });
            let runs = |one: &&Configured| one.output == *output && one.config.is_ok();
            let running = running.get(&output.name).filter(runs);
            running.cloned().unwrap_or_else(|| Configured {
                output: output.clone(),
                config: Err(reason),
            })
        })
    };
    let outputs = outputs.iter();
    let configured = outputs.map(|output| (output.name.clone(), configure_one(output)));
    let configured = configured.collect();
    (configured, failure)
}

fn configure(app: &AppContext, output: &Output) -> Result<Configured, String> {
    let mut read = |source: &config::SecretSource| {
        app.redactor
            .read(source)
            .map(|secret| secret.expose().to_owned())
    };
    let config = config::resolve_plugin_secrets(&output.config, &mut read)?;
    Ok(Configured {
        output: output.clone(),
        config: Ok(serde_json::Value::Object(config).to_string()),
    })
}

/// Replaces the running outputs by the wanted ones. First comes everything that can fail; then the
/// outputs that were removed or changed stop, and the new ones start.
fn exchange(
    app: &AppContext,
    running: &BTreeMap<String, Configured>,
    wanted: &BTreeMap<String, Configured>,
    owners: Option<&CursorOwners>,
    if_refused: IfRefused,
) -> Result<(), OutputsError> {
    let stays = |name: &String, configured: &Configured| running.get(name) == Some(configured);
    let mut prepared = Vec::new();
    for (name, configured) in wanted {
        if !stays(name, configured) {
            prepared.push(prepare(app, configured)?);
        }
    }
    if if_refused == IfRefused::Undo {
        // They are created at the same time.
        let by = Instant::now() + CREATE;
        let is_down = |name: &str| wanted.get(name).is_some_and(|one| one.config.is_err());
        for prepared in prepared.iter().filter(|one| !is_down(one.name())) {
            prepared
                .created(by.saturating_duration_since(Instant::now()))
                .map_err(|reason| OutputsError::Refused {
                    output: prepared.name().to_owned(),
                    reason,
                })?;
        }
    }
    match owners {
        Some(owners) => set_cursors(app, owners)?,
        None if app.journal.is_shared() => {
            let starting = prepared.iter().filter_map(|one| wanted.get(one.name()));
            starting
                .map(|one| &one.output)
                .try_for_each(|output| add_cursors(app, output))?;
        }
        None => {}
    }

    let stopping: Vec<String> = running
        .keys()
        .filter(|name| {
            wanted
                .get(*name)
                .is_none_or(|configured| !stays(name, configured))
        })
        .cloned()
        .collect();
    for name in app.outputs.stop(&stopping, EXCHANGE) {
        warn!(
            output = name,
            "the output did not stop in time; its next instance gets the last batches again"
        );
    }
    for prepared in prepared {
        let name = prepared.name().to_owned();
        app.outputs.admit(prepared)?;
        info!(output = name, "output starts");
    }
    Ok(())
}

/// Makes the cursors in the journal those of the configured outputs and streams, so that retention
/// waits for no others.
fn set_cursors(
    app: &AppContext,
    CursorOwners { outputs, charges }: &CursorOwners,
) -> Result<(), OutputsError> {
    let charges = charging::cursors(&app.journal, charges)
        .map_err(|source| OutputsError::Journal(Box::new(source)))?;
    let mut cursors: Vec<_> = charges
        .iter()
        .map(|(name, stream, from)| (name.as_str(), *stream, *from))
        .collect();
    for output in outputs {
        let from = start_of(output);
        let streams = output.streams.iter();
        cursors.extend(streams.map(|stream| (output.name.as_str(), *stream, from)));
    }
    let removed = app
        .journal
        .set_outputs(&cursors)
        .map_err(|source| OutputsError::Journal(Box::new(source)))?;
    for cursor in removed {
        info!(
            output = cursor.output,
            stream = cursor.stream.name(),
            "the output no longer gets this stream; its cursor in the journal was removed"
        );
    }
    Ok(())
}

/// Adds the cursors that an output lacks: an instance without one of its streams removes the cursor
/// of that.
fn add_cursors(app: &AppContext, output: &Output) -> Result<(), OutputsError> {
    for stream in &output.streams {
        app.journal
            .register_output(&output.name, *stream, start_of(output))
            .map_err(|source| OutputsError::Journal(Box::new(source)))?;
    }
    Ok(())
}

fn start_of(output: &Output) -> Start {
    match output.from {
        OutputFrom::Oldest => Start::Oldest,
        OutputFrom::Now => Start::Newest,
    }
}

fn prepare(app: &AppContext, configured: &Configured) -> Result<Prepared, StartError> {
    let redactor = Arc::clone(&app.redactor);
    let settings = OutputSettings {
        config: configured.config.clone().unwrap_or_default(),
        scrub: Scrub::new(move |text| redactor.scrub(text)),
        ..plugin_settings(&configured.output)
    };
    match &configured.config {
        Ok(_) => app.outputs.prepare(&settings),
        Err(reason) => app.outputs.prepare_down(&settings, reason.clone()),
    }
}

/// The settings of an output, without its configuration.
pub(crate) fn plugin_settings(output: &Output) -> OutputSettings {
    OutputSettings {
        name: output.name.clone(),
        source: PluginSource::File {
            path: std::path::absolute(&output.plugin).unwrap_or_else(|_| output.plugin.clone()),
            sha256: output.sha256.clone(),
            trust: Trust::default(),
        },
        streams: output.streams.clone(),
        config: String::new(),
        isolation: match output.isolation {
            config::Isolation::Process => Isolation::Process,
            config::Isolation::None => Isolation::None,
        },
        dead_letters: dead_letters(output),
        limits: Limits::default(),
        child_command: Vec::new(),
        scrub: Scrub::default(),
    }
}

/// The dead letters of an output.
pub(crate) fn dead_letters(output: &Output) -> DeadLetters {
    DeadLetters::new(&output.dead_letters, MAX_DEAD_LETTERS)
}
