//! The journal that a command line names.

use std::path::Path;

use callmeter_journal::Reader;

use crate::cli::JournalArg;
use crate::config::{self, JournalPlace};
use crate::exit::Failure;
use crate::pipeline::read_journal;

/// Opens the journal of the flags or of the configuration for reading.
pub(super) fn open(arg: &JournalArg) -> Result<Reader, Failure> {
    let place = match &arg.journal {
        Some(path) => file(path)?,
        None => configured(&arg.config.config_file)?,
    };
    read_journal(&place)
}

/// The journal in a file that the command line names.
pub(super) fn file(path: &Path) -> Result<JournalPlace, Failure> {
    let text = path.to_string_lossy();
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Err(Failure::usage(
            "name a journal on a server by a configuration: others see the command line, and with \
             it the password",
        ));
    }
    Ok(JournalPlace::File(path.to_owned()))
}

/// The journal of a configuration.
pub(super) fn configured(file: &Path) -> Result<JournalPlace, Failure> {
    Ok(config::load_for_stored_data(file)?.journal.place)
}
