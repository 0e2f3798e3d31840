//! The configuration file: from YAML to a validated [`Config`], or to errors that name file, line,
//! column and key of every mistake.

mod accounts;
mod checker;
mod hostedsuite;
mod link;
mod model;
mod outputs;
mod plugin_secrets;
mod portsip;
mod problem;
mod raw;
mod read;
mod redact;
mod secret;
mod values;

use std::path::{Path, PathBuf};

use serde_saphyr::Spanned;

pub use model::{
    Account, Api, Balances, Billing, Calls, Clients, Config, Format, HostedSuite, Isolation,
    Journal, Link, Metrics, Output, OutputFrom, PortSip, Rates, Rounding, Tls,
};
pub use plugin_secrets::resolve as resolve_plugin_secrets;
pub use problem::{ConfigError, Place, Problem};
pub use redact::redacted;
pub use secret::SecretSource;
pub use values::{format_duration, format_size, parse_duration, parse_size};

use checker::{Checker, DAY};

/// A configuration with what came along when it was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is allowed but unwise.
    pub warnings: Vec<Problem>,
    /// The file's own text, from which the page `/config` is made.
    pub text: String,
    /// The file.
    pub file: PathBuf,
}

/// Reads and validates a configuration file.
///
/// # Errors
/// With every mistake that one reading can find. Secret files and plugin libraries must be there.
pub fn load(file: &Path) -> Result<Loaded, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        ConfigError::whole(
            file,
            format!("cannot read the configuration: {error}"),
            Some("name it by --config.file".to_owned()),
        )
    })?;
    let (config, warnings) = parse(file, &text)?;
    Ok(Loaded {
        config,
        warnings,
        text,
        file: file.to_path_buf(),
    })
}

fn parse(file: &Path, text: &str) -> Result<(Config, Vec<Problem>), ConfigError> {
    let raw = read::parse(file, text)?;
    let mut check = Checker::new(file);
    let accounts = accounts::accounts(&mut check, raw.accounts.as_ref());
    let journal = journal(&mut check, raw.journal.as_ref());
    let outputs = outputs::outputs(&mut check, raw.outputs.as_ref(), journal.as_ref());
    let metrics = metrics(&mut check, raw.metrics.as_ref());
    let (problems, warnings) = check.finish();
    match journal {
        Some(journal) if problems.is_empty() => {
            let config = Config {
                accounts,
                journal,
                outputs,
                metrics,
            };
            Ok((config, warnings))
        }
        _ => Err(ConfigError::new(problems)),
    }
}

fn journal(check: &mut Checker<'_>, raw: Option<&Spanned<raw::Journal>>) -> Option<Journal> {
    let teach = "the file in which every record is kept, such as /var/lib/callmeter/journal.db";
    let Some(Spanned {
        value: raw,
        referenced: at,
        ..
    }) = raw
    else {
        check.problem(
            None,
            "journal",
            "is missing",
            Some(format!("set journal.path: {teach}")),
        );
        return None;
    };
    let keep = check.duration(
        "journal.keep",
        raw.keep.as_ref(),
        90 * DAY,
        DAY..=36_525 * DAY,
    );
    let max_bytes = check.size(
        "journal.max_bytes",
        raw.max_bytes.as_ref(),
        10 << 30,
        16 << 20..=1 << 50,
    );
    let drop_undelivered = check.boolean(
        "journal.drop_undelivered",
        raw.drop_undelivered.as_ref(),
        false,
    );
    let path = check.required(*at, "journal.path", raw.path.as_ref(), teach)?;
    Some(Journal {
        path: check.path(path),
        keep,
        max_bytes,
        drop_undelivered,
    })
}

fn metrics(check: &mut Checker<'_>, raw: Option<&raw::Metrics>) -> Metrics {
    let max = raw.and_then(|raw| raw.max_label_sets.as_ref());
    let max = check.number("metrics.max_label_sets", max, 20_000, 1..=2_000_000);
    Metrics {
        max_label_sets: usize::try_from(max).unwrap_or(usize::MAX),
        created_timestamps: check.boolean(
            "metrics.created_timestamps",
            raw.and_then(|raw| raw.created_timestamps.as_ref()),
            false,
        ),
    }
}

#[cfg(test)]
mod tests;
