//! The mistakes and warnings of one file, collected while it is read.

use std::cell::RefCell;
use std::path::Path;

use serde_saphyr::Location;

use crate::problem::{Place, Problem};

/// The mistakes and warnings found so far.
pub struct Problems<'f> {
    /// The file as the user named it.
    pub file: &'f Path,
    /// Its content.
    pub text: &'f str,
    /// Whether the program will use what the file names, such as other files. The code that reads
    /// keys may leave out checks that only matter then.
    pub connects: bool,
    mistakes: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl<'f> Problems<'f> {
    /// None yet.
    pub fn new(file: &'f Path, text: &'f str) -> Self {
        Self {
            file,
            text,
            connects: true,
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// The mistakes and the warnings.
    pub fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.mistakes.into_inner(), self.warnings.into_inner())
    }

    /// Adds a mistake.
    pub fn mistake(
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
    pub fn warning(&self, at: Option<Location>, key: &str, message: impl Into<String>) {
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
