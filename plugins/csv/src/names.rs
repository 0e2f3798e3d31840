//! The names of the files: stream, period, and a number if a period has several files.

use std::path::Path;

use callmeter_plugin_sdk::batch::Timestamp;
use callmeter_plugin_sdk::{Batch, Stream};

use crate::config::Rotate;

/// The extension of a file that is being written.
pub(crate) const PARTIAL: &str = ".partial";

/// The extension of a compressed file.
pub(crate) const PACKED: &str = ".gz";

/// The stream's name, even for a stream that the SDK does not know.
pub(crate) fn stream(batch: &Batch) -> String {
    match batch.stream() {
        Stream::Other(kind) => {
            let name = batch.schema_name().split('/').next().unwrap_or_default();
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if !name.is_empty() && name.len() <= 64 && name.chars().all(plain) {
                name.to_owned()
            } else {
                format!("stream{kind}")
            }
        }
        known => known.name().to_owned(),
    }
}

/// The period of a time, as used in file names. Later periods sort after earlier ones.
pub(crate) fn period(rotate: Rotate, time: Timestamp) -> String {
    let (year, month, day) = time.date();
    match rotate {
        Rotate::Never => String::new(),
        Rotate::Daily => format!("{year:04}-{month:02}-{day:02}"),
        Rotate::Hourly => {
            let hour = time.seconds().rem_euclid(86_400) / 3600;
            format!("{year:04}-{month:02}-{day:02}T{hour:02}")
        }
    }
}

/// `acme-calls-2026-08-06.csv`, `acme-calls-2026-08-06.002.csv`.
pub(crate) fn file(prefix: &str, stream: &str, period: &str, part: u32) -> String {
    let dash = if period.is_empty() { "" } else { "-" };
    if part <= 1 {
        format!("{prefix}{stream}{dash}{period}.csv")
    } else {
        format!("{prefix}{stream}{dash}{period}.{part:03}.csv")
    }
}

/// Whether no file in the directory has the name, in any of its forms.
pub(crate) fn is_free(directory: &Path, name: &str) -> std::io::Result<bool> {
    for suffix in ["", PACKED, PARTIAL] {
        if directory.join(format!("{name}{suffix}")).try_exists()? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        let time = Timestamp::from_micros(1_772_354_700_000_000);
        assert_eq!(period(Rotate::Daily, time), "2026-03-01");
        assert_eq!(period(Rotate::Hourly, time), "2026-03-01T08");
        assert_eq!(file("", "calls", "2026-03-01", 1), "calls-2026-03-01.csv");
        assert_eq!(
            file("acme-", "calls", "2026-03-01", 12),
            "acme-calls-2026-03-01.012.csv"
        );
        assert_eq!(file("", "rates", "", 1), "rates.csv");
    }
}
