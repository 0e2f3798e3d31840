//! The command line: flags named as Prometheus users know them, help texts that teach.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::civil::Date;

use crate::exit::EXIT_CODES;
use crate::logging::{LogFormat, LogLevel};

/// Prometheus exporter for HostedSuite and PortSIP PBX with exact call counters.
///
/// Polls every configured account in the background, keeps what it saw in a journal, publishes
/// metrics on port 10177 and hands every record to output plugins. Without a command it runs.
#[derive(Debug, Parser)]
#[command(
    name = "callmeter",
    version = crate::build::LONG,
    after_help = EXIT_CODES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    /// What to do; `run` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `run`, for `callmeter --config.file=…` without a command.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Poll, journal, publish and deliver until told to stop
    Run(RunArgs),
    /// Read a configuration, print every mistake with its place, and end
    ///
    /// Secret files and plugin libraries must be there; no API is asked and no journal is opened.
    CheckConfig(CheckConfigArgs),
    /// Run everything against a simulated HostedSuite and PortSIP PBX
    ///
    /// Starts the simulator, a webhook receiver and the exporter with both plugins in one process,
    /// and prints where to look. Needs no configuration and no network.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Read the calls of past days into the journal
    ///
    /// Days already read are not asked again, so an interrupted run continues where it stopped.
    /// The running exporter holds the journal: stop it first, start it after.
    Backfill(BackfillArgs),
    /// Look into the journal
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Write journaled records to standard output or a file
    Export(ExportArgs),
    /// Print the table of all metrics
    Metrics(MetricsArgs),
    /// Look at output plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look at, or deliver again, the batches that an output refused
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where the configuration is.
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

/// How the log is written.
#[derive(Debug, Clone, Copy, Args)]
pub struct LogArgs {
    /// Write log lines of this level and above
    #[arg(long = "log.level", value_enum, value_name = "LEVEL", default_value_t = LogLevel::Info)]
    pub level: LogLevel,
    /// How a log line is written
    #[arg(long = "log.format", value_enum, value_name = "FORMAT", default_value_t = LogFormat::Logfmt)]
    pub format: LogFormat,
}

/// Flags of the web server.
#[derive(Debug, Clone, Args)]
pub struct WebArgs {
    /// Address to listen on; may be given several times
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = ":10177"
    )]
    pub listen_address: Vec<String>,
    /// TLS, users and headers, in the file format that all Prometheus exporters share
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Path under which metrics are served
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics"
    )]
    pub telemetry_path: String,
    /// Scrapes answered at the same time; 0 for no limit
    #[arg(long = "web.max-requests", value_name = "COUNT", default_value_t = 40)]
    pub max_requests: usize,
    /// Allow reloading by POST or PUT to /-/reload (SIGHUP always reloads)
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
}

/// Flags of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub config: ConfigFileArg,
    /// Only check the configuration and end, like the command check-config
    #[arg(long = "config.check")]
    pub check: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub web: WebArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub log: LogArgs,
}

/// Flags of `check-config`.
#[derive(Debug, Clone, Args)]
pub struct CheckConfigArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub config: ConfigFileArg,
    /// The configuration file, as an argument
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Flags of `demo`.
#[cfg(feature = "demo")]
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Where journal, CSV files and dead letters go; kept. Without it a temporary directory is used and removed
    #[arg(long, value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
    /// How many times faster than the real day the simulated one runs
    #[arg(long, value_name = "FACTOR", default_value_t = 60.0)]
    pub speed: f64,
    /// Seed of the simulated world; the same seed gives the same calls
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Directory of the plugin libraries; the program's own when left out
    #[arg(long, value_name = "DIRECTORY")]
    pub plugins: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub web: WebArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub log: LogArgs,
}

/// Flags of `backfill`.
#[derive(Debug, Clone, Args)]
pub struct BackfillArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub config: ConfigFileArg,
    /// The account whose calls are read
    #[arg(long, value_name = "NAME")]
    pub account: String,
    /// First day, in the account's time zone, such as 2026-01-01
    #[arg(long, value_name = "DAY")]
    pub from: Date,
    /// Last day, itself included
    #[arg(long, value_name = "DAY")]
    pub to: Date,
    /// Rest after each request, so that the API stays free for others
    #[arg(long, value_name = "DURATION", default_value = "200ms", value_parser = crate::config::parse_duration)]
    pub pause: std::time::Duration,
    /// Read days again that an earlier backfill has read
    #[arg(long)]
    pub again: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub log: LogArgs,
}

/// Which journal: by configuration or directly.
#[derive(Debug, Clone, Args)]
pub struct JournalArg {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub config: ConfigFileArg,
    /// The journal file, instead of the configuration's
    #[arg(long = "journal", value_name = "FILE")]
    pub journal: Option<PathBuf>,
}

/// Commands on the journal.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Read all of it and report every damage
    Verify(JournalArg),
    /// Print what it holds: rows, spans of time, bytes, what each output still owes
    Stats(JournalArg),
}

/// How records are written by `export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A header line, then a line per record
    Csv,
    /// A JSON object a line
    Ndjson,
    /// Counters with timestamps, for `promtool tsdb create-blocks-from openmetrics`
    Openmetrics,
}

/// Flags of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub journal: JournalArg,
    /// First day (UTC) or time, such as 2026-01-01 or 2026-01-01T06:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// End, itself excluded
    #[arg(long, value_name = "TIME")]
    pub to: String,
    /// How records are written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ExportFormat::Csv)]
    pub format: ExportFormat,
    /// Which records
    #[arg(long, value_enum, value_name = "STREAM", default_value_t = StreamArg::Calls)]
    pub stream: StreamArg,
    /// Only this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// The step between samples of the openmetrics format
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = crate::config::parse_duration)]
    pub step: std::time::Duration,
    /// The file to write; standard output when left out
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// A stream on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StreamArg {
    /// Calls
    Calls,
    /// Allowance balances
    Balances,
    /// Call rates
    Rates,
    /// Billing settings and balance
    Billing,
}

/// Flags of `metrics`.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// How the table is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = MetricsFormat::Text)]
    pub format: MetricsFormat,
}

/// How the table of metrics is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MetricsFormat {
    /// Lines for the terminal
    Text,
    /// A Markdown page
    Markdown,
}

/// Commands on plugins.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Say what a library is, and whether it would load
    Check {
        /// The library
        path: PathBuf,
    },
    /// List the configured outputs with what their libraries are
    List(ConfigFileArg),
}

/// Commands on dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List the refused batches with their reasons
    List(DeadLettersArgs),
    /// Offer the refused batches to the output again
    Replay(DeadLettersArgs),
}

/// Flags of the `dead-letters` commands.
#[derive(Debug, Clone, Args)]
pub struct DeadLettersArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type says it")]
    pub config: ConfigFileArg,
    /// Only this output
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_command() {
        let cli = Cli::try_parse_from([
            "callmeter",
            "--config.file=a.yml",
            "--web.listen-address=:1",
            "--web.listen-address=:2",
        ])
        .unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.run.config.config_file, PathBuf::from("a.yml"));
        assert_eq!(cli.run.web.listen_address, [":1", ":2"]);
    }
}
