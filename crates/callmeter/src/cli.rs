//! The command line. Flags have the names that Prometheus and its exporters use.

mod charges;
mod files;
mod parse;
mod period;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::civil::Date;

use crate::exit::EXIT_CODES;
use crate::logging::{LogFormat, LogLevel};

pub use charges::{ChargeGroup, ChargesArgs, ChargesFormat, RateArgs, RateFormat};
pub use files::{ConfigFileArg, JournalArg};
pub use period::PeriodArgs;

/// Prometheus exporter for HostedSuite and PortSIP PBX with exact call counters.
///
/// Polls every configured account in the background, stores every record in a journal, publishes
/// metrics on port 10177 and delivers every record to output plugins. The default command is `run`.
#[derive(Debug, Parser)]
#[command(
    name = "callmeter",
    version = crate::build::LONG,
    after_help = EXIT_CODES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    /// The command; `run` by default.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `run`, for `callmeter --config.file=…` without a command.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Poll, store, publish and deliver until stopped
    Run(RunArgs),
    /// Check a configuration and print every mistake with its place
    ///
    /// Secret files and plugin libraries must exist. Sends no request and opens no journal.
    CheckConfig(CheckConfigArgs),
    /// Run everything against a simulated HostedSuite and PortSIP PBX
    ///
    /// Starts the simulator, a webhook receiver and the exporter with both plugins in one process,
    /// and prints where to look. Needs no configuration and no network.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Read the calls of past days into the journal
    ///
    /// If an exporter runs, it reads the days, and goes on when this command is interrupted.
    /// Otherwise this command reads them. Days that were read already are skipped, so that an
    /// interrupted run continues where it stopped.
    Backfill(BackfillArgs),
    /// Inspect the journal
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Write journaled records to standard output or a file
    Export(ExportArgs),
    /// Rate the calls of the journal again, and compare with what was charged
    Charges(ChargesArgs),
    /// Show what a call costs by a rate deck, with every step
    Rate(RateArgs),
    /// Print the table of all metrics
    Metrics(MetricsArgs),
    /// Inspect output plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// List the batches that an output rejected, or deliver them again
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Ask a running exporter whether it is ready, such as for the health check of a container
    Healthcheck {
        /// Its address
        #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:10177")]
        address: String,
    },
    /// Write man pages, one for each command
    Man {
        /// The directory that receives them
        directory: PathBuf,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Flags of the log.
#[derive(Debug, Clone, Copy, Args)]
pub struct LogArgs {
    /// Write log lines of this level and above
    #[arg(long = "log.level", value_enum, value_name = "LEVEL", default_value_t = LogLevel::Info)]
    pub level: LogLevel,
    /// Format of log lines
    #[arg(long = "log.format", value_enum, value_name = "FORMAT", default_value_t = LogFormat::Logfmt)]
    pub format: LogFormat,
}

/// Flags of the web server.
#[derive(Debug, Clone, Args)]
pub struct WebArgs {
    /// Address to listen on; can be repeated
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = ":10177",
        value_parser = listen_address
    )]
    pub listen_address: Vec<String>,
    /// TLS, users and headers, in the file format that all Prometheus exporters share
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Path under which metrics are served
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        value_parser = telemetry_path
    )]
    pub telemetry_path: String,
    /// Maximum number of concurrent scrapes; 0 for no limit
    #[arg(long = "web.max-requests", value_name = "COUNT", default_value_t = 40)]
    pub max_requests: usize,
    /// Enable reloading with POST or PUT to /-/reload (SIGHUP always reloads)
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
}

/// Flags of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub config: ConfigFileArg,
    /// Use the sockets of systemd's socket activation instead of listening on addresses
    #[arg(long = "web.systemd-socket", conflicts_with = "listen_address")]
    pub systemd_socket: bool,
    /// Only check the configuration, like the command check-config
    #[arg(long = "config.check")]
    pub check: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub web: WebArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub log: LogArgs,
}

/// A path that no other page has: `/` takes the place of the status page.
fn telemetry_path(text: &str) -> Result<String, String> {
    let is_taken = ["/config", "/sd", "/usage"].contains(&text)
        || text.starts_with("/-/")
        || text.starts_with("/api/");
    let is_unclear = text.contains("//") || text.split('/').any(|part| part == "." || part == "..");
    if !text.starts_with('/') {
        Err("it must start with a slash, such as /metrics".to_owned())
    } else if is_unclear {
        Err("clients change a path with // or a part that is . or ..".to_owned())
    } else if is_taken {
        Err("callmeter serves another page there".to_owned())
    } else if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte))
    {
        Err("use letters, digits and the characters / - . _ ~".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// `:PORT`, `HOST:PORT` or `[IPV6]:PORT`.
fn listen_address(text: &str) -> Result<String, String> {
    let teach = "write it like :10177, localhost:10177 or [::1]:10177";
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("it has no port; {teach}"));
    };
    if port.parse::<u16>().is_err() {
        return Err(format!("the port must be a number up to 65535; {teach}"));
    }
    let is_ipv6 = host.starts_with('[') && host.ends_with(']');
    if host.contains(':') && !is_ipv6 {
        return Err(format!("an IPv6 address needs brackets; {teach}"));
    }
    Ok(text.to_owned())
}

/// A factor of time.
#[cfg(feature = "demo")]
fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if speed.is_finite() && speed > 0.0 {
        Ok(speed)
    } else {
        Err("it must be above 0".to_owned())
    }
}

/// Flags of `check-config`.
#[derive(Debug, Clone, Args)]
pub struct CheckConfigArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub config: ConfigFileArg,
    /// The configuration file, as an argument
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The web configuration file, which is checked too
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
}

/// Flags of `demo`.
#[cfg(feature = "demo")]
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Directory of journal, CSV files and dead letters. By default, a temporary one that is
    /// removed at the end
    #[arg(long, value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
    /// How many times faster than real time the simulation runs
    #[arg(long, value_name = "FACTOR", default_value_t = 60.0, value_parser = speed)]
    pub speed: f64,
    /// Seed of the simulated world; the same seed gives the same calls
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Directory of the plugin libraries; by default, that of callmeter or
    /// of its package
    #[arg(long, value_name = "DIRECTORY")]
    pub plugins: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub web: WebArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub log: LogArgs,
}

/// Flags of `backfill`.
#[derive(Debug, Clone, Args)]
pub struct BackfillArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub config: ConfigFileArg,
    /// The account whose calls are read
    #[arg(long, value_name = "NAME")]
    pub account: String,
    /// First day, in the account's time zone, such as 2026-01-01
    #[arg(long, value_name = "DAY", value_parser = period::day)]
    pub from: Date,
    /// Last day, inclusive
    #[arg(long, value_name = "DAY", value_parser = period::day)]
    pub to: Date,
    /// Also read days that an earlier backfill has read
    #[arg(long)]
    pub again: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub log: LogArgs,
}

/// Commands on the journal.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Read the whole journal and report all damage
    Verify(JournalArg),
    /// Print its contents: records, time spans, sizes, and what each output has yet to deliver
    Stats(JournalArg),
    /// Copy it into a new file. The exporter may run meanwhile
    ///
    /// To restore the copy: stop the exporter, move the journal and the files beside it away, put
    /// the copy in its place, start the exporter.
    Backup {
        #[command(flatten)]
        #[expect(missing_docs, reason = "the type is documented")]
        journal: JournalArg,
        /// The new file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Copy it into another place: from a file to a server, or back
    ///
    /// Stop the exporter first: what it writes after the copy has begun is not in the copy. The
    /// copy has the same records, ids, totals and positions of outputs, which is checked at the
    /// end. If it is interrupted, the same command goes on. Nothing is overwritten.
    Copy(JournalCopyArgs),
}

/// Flags of `journal copy`.
#[derive(Debug, Clone, Args)]
pub struct JournalCopyArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub from: CopyFromArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub to: CopyToArgs,
}

/// The journal that is copied.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct CopyFromArgs {
    /// The file of the journal that is copied
    #[arg(long = "from", value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// The configuration whose journal is copied
    #[arg(long = "from-config", value_name = "FILE")]
    pub from_config: Option<PathBuf>,
}

/// Where the copy is made.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct CopyToArgs {
    /// The new file
    #[arg(long = "to", value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// The configuration that names the place of the copy, such as a server
    #[arg(long = "to-config", value_name = "FILE")]
    pub to_config: Option<PathBuf>,
}

/// The step of an export.
fn step(text: &str) -> Result<std::time::Duration, String> {
    let step = crate::config::parse_duration(text)?;
    if step < std::time::Duration::from_secs(1) {
        return Err(format!("{text:?} is shorter than 1s"));
    }
    Ok(step)
}

/// How records are written by `export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A header line, then a line per record
    Csv,
    /// A JSON object per line
    Ndjson,
    /// Counters with timestamps, for `promtool tsdb create-blocks-from openmetrics`
    Openmetrics,
}

/// Flags of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub journal: JournalArg,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
    pub period: PeriodArgs,
    /// Format of the records
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ExportFormat::Csv)]
    pub format: ExportFormat,
    /// Stream of the records
    #[arg(long, value_enum, value_name = "STREAM", default_value_t = StreamArg::Calls)]
    pub stream: StreamArg,
    /// Only this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// The step between samples of the openmetrics format, 5m by default, at least 1s. Prometheus
    /// shows a value for five minutes
    #[arg(long, value_name = "DURATION", value_parser = step)]
    pub step: Option<std::time::Duration>,
    /// In the openmetrics format, also write flagged calls and the seconds of clients
    #[arg(long)]
    pub details: bool,
    /// In the openmetrics format, also write the histograms of answer and abandon
    #[arg(long)]
    pub buckets: bool,
    /// The file to write; standard output by default
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
    /// What calls cost
    Charges,
}

/// Flags of `metrics`.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// Format of the table
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
    /// Describe a library and check whether it loads
    Check {
        /// The library
        path: PathBuf,
    },
    /// List the configured outputs and describe their libraries
    List(ConfigFileArg),
    /// Check that a plugin keeps the rules, whatever its language
    ///
    /// Feeds the library what callmeter may send: every stream, empty and large batches, columns
    /// of nulls, unknown columns, repeated batches, a stop in the middle. Each check starts the
    /// plugin in a process of its own with an empty directory, for which `{directory}` stands.
    Test {
        /// The library
        path: PathBuf,
        /// The plugin's settings as JSON, such as '{"path": "{directory}/lines"}'
        #[arg(long, value_name = "JSON", default_value = "{}")]
        config: String,
        /// The file or directory that the plugin writes, such as '{directory}/lines': check that
        /// the id of every call is in it
        #[arg(long, value_name = "PATH")]
        written: Option<String>,
    },
}

/// Commands on dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List the rejected batches with the reasons
    List(DeadLettersArgs),
    /// Deliver the rejected batches again
    Replay(DeadLettersArgs),
}

/// Flags of the `dead-letters` commands.
#[derive(Debug, Clone, Args)]
pub struct DeadLettersArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the type is documented")]
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
    fn a_telemetry_path_has_a_slash_and_is_not_taken() {
        for path in ["/metrics", "/", "/probe/all", "/configured"] {
            assert_eq!(telemetry_path(path).as_deref(), Ok(path));
        }
        for path in [
            "",
            "metrics",
            "/-/healthy",
            "/api/v1/status",
            "/{a}",
            "/*rest",
            "/a?b",
        ] {
            assert!(telemetry_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_demo_is_listed_only_with_its_feature() {
        let demo = Cli::command().find_subcommand("demo").is_some();
        assert_eq!(demo, cfg!(feature = "demo"));
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
