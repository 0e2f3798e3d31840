//! The rules of one reading of the file.

use std::path::Path;
use std::sync::Arc;

use crate::error::AccessError;
use crate::file::{Files, Settings};
use crate::tls;
use crate::turns::Turns;

/// One reading of the file.
pub(crate) struct Rules {
    pub(crate) settings: Settings,
    /// A check that goes on does not keep those of a later file waiting.
    pub(crate) turns: Arc<Turns>,
    /// The TLS configuration; `None` for plain HTTP.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// Of all files that were read, to detect changes.
    digest: u64,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // They contain hashes of passwords.
        f.write_str("Rules")
    }
}

/// Checks a web configuration file, and the files that it names. Returns warnings.
///
/// # Errors
/// If the file cannot be read or is not valid.
pub fn check(file: &Path) -> Result<Vec<String>, AccessError> {
    Rules::read(file).map(|rules| rules.settings.warnings)
}

impl Rules {
    pub(crate) fn open_to_all() -> Self {
        Self {
            settings: Settings::default(),
            turns: Turns::on_half_of_the_cores(),
            tls: None,
            digest: 0,
        }
    }

    pub(crate) fn read(file: &Path) -> Result<Self, AccessError> {
        let mut files = Files::default();
        let mut settings = Settings::read(file, &mut files)?;
        let mut warnings = std::mem::take(&mut settings.warnings);
        let tls = match &settings.tls {
            Some(settings) => Some(tls::server_config(settings, &mut files, &mut warnings)?),
            None => None,
        };
        settings.warnings = warnings;
        Ok(Self {
            settings,
            turns: Turns::on_half_of_the_cores(),
            tls,
            digest: files.digest(),
        })
    }

    /// A digest of the content of all files.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// What is accepted but has no full effect.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.settings.warnings
    }

    /// `new` in the place of these rules in a running server.
    ///
    /// # Errors
    /// If the file leaves out what protects the server, as one does that is not finished.
    pub(crate) fn replaced_by(&self, new: Self) -> Result<Box<Self>, AccessError> {
        let lost = self.settings.protection.lost_in(&new.settings.protection);
        if lost.is_empty() {
            return Ok(Box::new(new));
        }
        Err(AccessError::Unprotected {
            file: new.settings.file.display().to_string(),
            keys: lost.join("; "),
        })
    }
}
