//! A small callmeter: a backlog in memory, one output, and waits with an end.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use callmeter_plugin_host::{
    Backlog, DeadLetters, Isolation, Limits, MemoryBacklog, OutputSettings, OutputStatus, Outputs,
    PluginSource, Trust,
};
use callmeter_records::Stream;

/// The name of a rig's output.
const OUTPUT: &str = "rig";

/// How a rig runs its plugin.
#[derive(Debug, Clone)]
pub struct RigOptions {
    /// The plugin.
    pub source: PluginSource,
    /// Its configuration as JSON.
    pub config: String,
    /// Where it runs.
    pub isolation: Isolation,
    /// The command of the child, for [`Isolation::Process`].
    pub child_command: Vec<OsString>,
    /// Where dead letters go.
    pub dead_letters: PathBuf,
    /// Bounds and times; the defaults here wait far less than callmeter's own.
    pub limits: Limits,
}

impl RigOptions {
    /// A library in this process. Dead letters go below `directory`.
    pub fn library(path: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        let source = PluginSource::File {
            path: path.into(),
            sha256: None,
            trust: Trust::Development,
        };
        Self {
            source,
            config: "{}".to_owned(),
            isolation: Isolation::None,
            child_command: Vec::new(),
            dead_letters: directory.into().join("dead-letters"),
            limits: Limits {
                retry_least: Duration::from_millis(10),
                retry_most: Duration::from_millis(100),
                linger: Duration::from_millis(10),
                ..Limits::default()
            },
        }
    }

    /// With this configuration.
    #[must_use]
    pub fn config(mut self, json: impl Into<String>) -> Self {
        self.config = json.into();
        self
    }

    /// In a child that this command runs.
    #[must_use]
    pub fn isolated(mut self, child_command: impl Into<OsString>) -> Self {
        self.isolation = Isolation::Process;
        self.child_command = vec![child_command.into()];
        self
    }
}

/// A running output.
#[derive(Debug)]
pub struct Rig {
    outputs: Outputs,
    backlog: Arc<MemoryBacklog>,
    dead_letters: DeadLetters,
}

impl Rig {
    /// Starts an output for every stream over a backlog of its own.
    ///
    /// # Panics
    /// If the system gives no thread.
    pub fn start(options: RigOptions) -> Self {
        Self::start_over(Arc::default(), options)
    }

    /// Starts an output over a backlog that another rig left.
    ///
    /// # Panics
    /// If the system gives no thread.
    pub fn start_over(backlog: Arc<MemoryBacklog>, options: RigOptions) -> Self {
        let dead_letters = DeadLetters::new(options.dead_letters, 1 << 30);
        let settings = OutputSettings {
            name: OUTPUT.to_owned(),
            source: options.source,
            streams: Stream::ALL.to_vec(),
            config: options.config,
            isolation: options.isolation,
            dead_letters: dead_letters.clone(),
            limits: options.limits,
            child_command: options.child_command,
        };
        let log: Arc<dyn Backlog> = Arc::clone(&backlog) as _;
        let outputs = Outputs::new(log).unwrap_or_else(|error| panic!("{error}"));
        outputs
            .start(settings)
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            outputs,
            backlog,
            dead_letters,
        }
    }

    /// Appends a batch to the backlog.
    pub fn append(&self, stream: Stream, records: RecordBatch) {
        self.backlog.append(stream, records);
    }

    /// The backlog, to start another rig over.
    pub fn backlog(&self) -> Arc<MemoryBacklog> {
        Arc::clone(&self.backlog)
    }

    /// The output's dead letters.
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }

    /// What the output is doing.
    ///
    /// # Panics
    /// After [`Rig::stop`].
    pub fn status(&self) -> OutputStatus {
        let status = self.outputs.status().pop();
        status.unwrap_or_else(|| panic!("the rig was stopped"))
    }

    /// Whether every batch is acknowledged.
    pub fn settled(&self) -> bool {
        Stream::ALL
            .into_iter()
            .all(|stream| self.backlog.settled(OUTPUT, stream))
    }

    /// Waits until every batch is acknowledged; the error says how it stands instead.
    pub fn settle(&self, within: Duration) -> Result<(), String> {
        self.wait(within, |_| self.settled())
    }

    /// Waits until the status is as wanted; the error says how it stands instead.
    pub fn wait(
        &self,
        within: Duration,
        mut wanted: impl FnMut(&OutputStatus) -> bool,
    ) -> Result<(), String> {
        let end = Instant::now() + within;
        loop {
            let status = self.status();
            if wanted(&status) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("after {within:?} it stands so: {status:#?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The sum of a counter over all streams.
    pub fn delivered(&self) -> u64 {
        self.status()
            .streams
            .iter()
            .map(|stream| stream.delivered)
            .sum()
    }

    /// Stops the output; whether it ended in time.
    pub fn stop(&self, within: Duration) -> bool {
        self.outputs.shutdown(within).is_empty()
    }
}
