//! Flags that name the configuration and the journal.

use std::path::PathBuf;

use clap::Args;

/// The configuration file.
#[derive(Debug, Clone, Args)]
pub struct ConfigFileArg {
    /// The configuration file (YAML)
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "callmeter.yml",
        env = "CALLMETER_CONFIG_FILE"
    )]
    pub config_file: PathBuf,
}

/// The journal, directly or from the configuration.
#[derive(Debug, Clone, Args)]
pub struct JournalArg {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub config: ConfigFileArg,
    /// The journal file, instead of the one in the configuration
    #[arg(long = "journal", value_name = "FILE")]
    pub journal: Option<PathBuf>,
}
