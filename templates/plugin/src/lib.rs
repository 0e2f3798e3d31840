//! An output plugin for callmeter: one line for each call.

use std::fs::File;
use std::io::Write as _;

use callmeter_plugin_sdk::{Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin, Stream};

/// What `config:` of the output holds.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file that lines are appended to.
    path: std::path::PathBuf,
}

/// The running plugin.
pub struct Plugin(File);

impl OutputPlugin for Plugin {
    const NAME: &'static str = "{{project-name}}";
    type Config = Config;

    fn create(_: Host, config: Config) -> Result<Self, Fatal> {
        Ok(Self(File::options().append(true).create(true).open(config.path)?))
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        if batch.stream() == Stream::Calls {
            for call in batch.calls()? {
                writeln!(self.0, "{} {:?}", call.id().unwrap_or("-"), call.talk_ms())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, _: Deadline) -> Result<Durable, Fail> {
        self.0.sync_data()?;
        Ok(Durable::All)
    }
}

callmeter_plugin_sdk::export!(Plugin);
