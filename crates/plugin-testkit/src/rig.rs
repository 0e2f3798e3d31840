//! A small callmeter for tests: a batch log in memory, one output, and waits with a time limit.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use callmeter_plugin_host::{
    BatchLog, DeadLetters, Isolation, Limits, MemoryLog, OutputSettings, OutputStatus, Outputs,
    PluginSource, Scrub, Trust,
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
    /// Limits and times. The defaults wait far less than callmeter does.
    pub limits: Limits,
    /// Removes secrets from what the plugin says.
    pub scrub: Scrub,
}

impl RigOptions {
    /// Runs a library in this process. Dead letters go below `directory`.
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
            scrub: Scrub::default(),
        }
    }

    /// Sets the configuration.
    #[must_use]
    pub fn config(mut self, json: impl Into<String>) -> Self {
        self.config = json.into();
        self
    }

    /// Runs the plugin in a child process that this command starts.
    #[must_use]
    pub fn isolated(mut self, child_command: impl Into<OsString>) -> Self {
        self.isolation = Isolation::Process;
        self.child_command = vec![child_command.into()];
        self
    }

    /// The settings of an output for every stream.
    pub fn settings(self) -> OutputSettings {
        OutputSettings {
            name: OUTPUT.to_owned(),
            source: self.source,
            streams: Stream::ALL.to_vec(),
            config: self.config,
            isolation: self.isolation,
            dead_letters: DeadLetters::new(self.dead_letters, 1 << 30),
            limits: self.limits,
            child_command: self.child_command,
            scrub: self.scrub,
        }
    }
}

/// A running output.
#[derive(Debug)]
pub struct Rig {
    outputs: Outputs,
    batches: Arc<MemoryLog>,
    dead_letters: DeadLetters,
}

impl Rig {
    /// Starts an output for every stream with an empty batch log.
    ///
    /// # Panics
    /// If no thread can be started.
    pub fn start(options: RigOptions) -> Self {
        Self::start_over(Arc::default(), options)
    }

    /// Starts an output with the batch log of another rig.
    ///
    /// # Panics
    /// If no thread can be started.
    pub fn start_over(batches: Arc<MemoryLog>, options: RigOptions) -> Self {
        let settings = options.settings();
        let log: Arc<dyn BatchLog> = Arc::clone(&batches) as _;
        let outputs = Outputs::new(log).unwrap_or_else(|error| panic!("{error}"));
        outputs
            .start(&settings)
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            outputs,
            batches,
            dead_letters: settings.dead_letters,
        }
    }

    /// Appends a batch to the log.
    pub fn append(&self, stream: Stream, records: RecordBatch) {
        self.batches.append(stream, records);
    }

    /// The batch log, to start another rig with it.
    pub fn batches(&self) -> Arc<MemoryLog> {
        Arc::clone(&self.batches)
    }

    /// The output's dead letters.
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }

    /// The output's status.
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
            .all(|stream| self.batches.settled(OUTPUT, stream))
    }

    /// Waits until every batch is acknowledged. The error holds the status at the end of the time.
    pub fn settle(&self, within: Duration) -> Result<(), String> {
        self.wait(within, |_| self.settled())
    }

    /// Waits until the status is as wanted. The error holds the status at the end of the time.
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
                return Err(format!(
                    "not reached within {within:?}; the status is {status:#?}"
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The number of records delivered, over all streams.
    pub fn delivered(&self) -> u64 {
        self.status()
            .streams
            .iter()
            .map(|stream| stream.delivered)
            .sum()
    }

    /// Stops the output. Returns whether it stopped in time.
    pub fn stop(&self, within: Duration) -> bool {
        self.outputs.shutdown(within).is_empty()
    }
}
