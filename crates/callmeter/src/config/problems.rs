//! The mistakes and warnings of one file, collected while it is read.

use std::cell::RefCell;
use std::path::Path;

use serde_saphyr::Location;

use super::problem::{Place, Problem};

/// The mistakes and warnings found so far.
pub(crate) struct Problems<'f> {
    /// The file as the user named it.
    pub(crate) file: &'f Path,
    /// Its content.
    pub(crate) text: &'f str,
    /// Whether the program polls and delivers, for which secrets and plugins must be there.
    pub(crate) connects: bool,
    mistakes: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl<'f> Problems<'f> {
    pub(crate) fn new(file: &'f Path, text: &'f str) -> Self {
        Self {
            file,
            text,
            connects: true,
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// The mistakes and the warnings.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.mistakes.into_inner(), self.warnings.into_inner())
    }

    /// Adds a mistake.
    pub(crate) fn mistake(
        &self,
        at: Option<Location>,
        key: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let problem = self.problem(at, key, message.into(), hint);
        self.mistakes.borrow_mut().push(problem);
    }

    /// Adds a warning.
    pub(crate) fn warning(&self, at: Option<Location>, key: &str, message: impl Into<String>) {
        let problem = self.problem(at, key, message.into(), None);
        self.warnings.borrow_mut().push(problem);
    }

    fn problem(
        &self,
        at: Option<Location>,
        key: &str,
        message: String,
        hint: Option<String>,
    ) -> Problem {
        Problem {
            file: self.file.to_path_buf(),
            place: at.and_then(Place::of),
            key: key.to_owned(),
            message,
            hint,
        }
    }
}
