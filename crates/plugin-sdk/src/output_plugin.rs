//! The trait that a plugin implements.

use crate::batch::Batch;
use crate::config::FromConfig;
use crate::host::Host;
use crate::outcome::{Deadline, Durable, Fail, Fatal, Outcome};

/// An output of callmeter.
///
/// Calls on one value never overlap. They may come from different threads over time, but never from
/// one that runs an async runtime: blocking is fine. A plugin that needs a runtime creates its own.
/// It must not change what belongs to the process (signal handlers, the working directory, the
/// environment, the locale), and it must not fork or exit.
///
/// Dropping the value ends the instance: join its threads there.
pub trait OutputPlugin: Sized + Send + 'static {
    /// The plugin's name, for people: letters, digits and `. _ + -`.
    const NAME: &'static str;

    /// A JSON Schema of [`OutputPlugin::Config`], shown by `callmeter plugin check`.
    const CONFIG_SCHEMA: Option<&'static str> = None;

    /// The type of the output's `config:`: any `Deserialize` type with the feature `serde`, or
    /// [`RawConfig`](crate::config::RawConfig).
    type Config: FromConfig;

    /// Checks a configuration: what its type and the schema cannot say. It opens no connection,
    /// writes nothing and does not wait: `callmeter check-config` calls it while another instance
    /// works.
    fn check(config: &Self::Config) -> Result<(), Fatal> {
        let _ = config;
        Ok(())
    }

    /// Creates an instance and checks its configuration in full. It does not wait for other
    /// systems, which may be available again when the first batch comes.
    fn create(host: Host, config: Self::Config) -> Result<Self, Fatal>;

    /// Takes a batch. `Ok` means accepted, perhaps only buffered. The batches of a stream come in
    /// order. The plugin may keep a batch and drop it later, on any thread.
    fn write(&mut self, batch: Batch) -> Outcome;

    /// Makes what was accepted durable: written and synced, or acknowledged by the receiver.
    /// Batches that are not durable are sent again after a restart.
    fn flush(&mut self, until: Deadline) -> Result<Durable, Fail>;
}
