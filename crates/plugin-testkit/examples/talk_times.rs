//! A useful plugin in less than 50 lines: who talked for how long, one line per call.

use std::fs::File;
use std::io::Write as _;

use callmeter_plugin_sdk::{
    Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin, Stream,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The file that lines are appended to.
    path: std::path::PathBuf,
}

struct TalkTimes(File);

impl OutputPlugin for TalkTimes {
    const NAME: &'static str = "talk-times";
    type Config = Config;

    fn create(_: Host, config: Config) -> Result<Self, Fatal> {
        Ok(Self(
            File::options()
                .append(true)
                .create(true)
                .open(config.path)?,
        ))
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        if batch.stream() != Stream::Calls {
            return Ok(());
        }
        let mut lines = Vec::new();
        for call in batch.calls()? {
            let talk = call.talk_ms().map_or("-".to_owned(), |ms| ms.to_string());
            writeln!(
                lines,
                "{} {} {talk}",
                call.sequence(),
                call.id().unwrap_or("-")
            )?;
        }
        Ok(self.0.write_all(&lines)?)
    }

    fn flush(&mut self, _: Deadline) -> Result<Durable, Fail> {
        self.0.sync_data()?;
        Ok(Durable::All)
    }
}

callmeter_plugin_sdk::export!(TalkTimes);
