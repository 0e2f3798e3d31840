//! Reading faults from JSON or from a word on a command line.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::kinds::Faults;

/// Why faults are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultsError {
    /// There is no such fault, or it cannot have that value.
    #[error("fault {name}={value}: {reason}")]
    Unusable {
        /// The fault.
        name: String,
        /// The value.
        value: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// A value is out of bounds.
    #[error("fault {name}: {reason}")]
    OutOfBounds {
        /// The fault.
        name: &'static str,
        /// What it must be.
        reason: &'static str,
    },
}

impl Faults {
    /// Sets the faults that `changes` names and leaves the others as they are.
    /// `null` or `false` ends a fault, `true` starts it with its defaults, a
    /// number is its rate (or its only value).
    ///
    /// # Errors
    /// When a fault or one of its members does not exist or is out of bounds;
    /// nothing is changed then.
    pub fn merge(&mut self, changes: &Map<String, Value>) -> Result<(), FaultsError> {
        let mut merged = self.clone();
        for (name, value) in changes {
            merged = merged.with(name, value)?;
        }
        merged
            .check()
            .map_err(|(name, reason)| FaultsError::OutOfBounds { name, reason })?;
        *self = merged;
        Ok(())
    }

    /// Sets one fault from a word as people write it on a command line:
    /// `NAME` or `NAME=VALUE`, where the value is JSON or a bare word.
    ///
    /// # Errors
    /// As [`Faults::merge`].
    pub fn merge_word(&mut self, word: &str) -> Result<(), FaultsError> {
        let (name, value) = match word.split_once('=') {
            None => (word, Value::Bool(true)),
            Some((name, text)) => (
                name,
                serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
            ),
        };
        let mut changes = Map::new();
        changes.insert(name.trim().replace('-', "_"), value);
        self.merge(&changes)
    }

    fn with(&self, name: &str, value: &Value) -> Result<Self, FaultsError> {
        let as_given = self.replaced(name, value.clone());
        let short = match value {
            Value::Bool(true) => Some(Value::Object(Map::new())),
            Value::Bool(false) => Some(Value::Null),
            Value::Number(_) => Some(serde_json::json!({ "rate": value })),
            _ => None,
        };
        match (as_given, short) {
            (Ok(faults), _) => Ok(faults),
            (Err(error), None) => Err(unusable(name, value, &error)),
            (Err(error), Some(short)) => self
                .replaced(name, short)
                .map_err(|_| unusable(name, value, &error)),
        }
    }

    fn replaced(&self, name: &str, value: Value) -> Result<Self, serde_json::Error> {
        let mut all = serde_json::to_value(self)?;
        if let Value::Object(members) = &mut all {
            members.insert(name.to_owned(), value);
        }
        from_value(all)
    }
}

fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}

fn unusable(name: &str, value: &Value, error: &serde_json::Error) -> FaultsError {
    FaultsError::Unusable {
        name: name.to_owned(),
        value: value.to_string(),
        reason: error.to_string(),
    }
}

/// One line per fault, with an example, for a help text.
pub fn describe_faults() -> String {
    let mut text = String::new();
    for (example, meaning) in Faults::DESCRIPTIONS {
        let _ = writeln!(text, "  {example:<44} {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{RefusedLogin, Totals};

    fn words(words: &[&str]) -> Result<Faults, FaultsError> {
        let mut faults = Faults::default();
        for word in words {
            faults.merge_word(word)?;
        }
        Ok(faults)
    }

    #[test]
    fn words_set_one_fault_each() {
        let faults = words(&[
            "late=0.25",
            "html",
            "one-based-pages",
            "page_size_limit=100",
            "totals=absent",
            "refuse_login=security_exception",
            r#"throttle={"retry_after":2,"path":"/calls"}"#,
        ])
        .expect("usable");
        assert_eq!(faults.late.map(|late| late.rate), Some(0.25));
        assert!(faults.html.is_some() && faults.one_based_pages);
        assert_eq!(faults.page_size_limit, Some(100));
        assert_eq!(faults.totals, Some(Totals::Absent));
        assert_eq!(faults.refuse_login, Some(RefusedLogin::SecurityException));
        assert_eq!(faults.throttle.and_then(|fault| fault.retry_after), Some(2));
    }

    #[test]
    fn a_fault_ends_by_false_or_null() {
        let mut faults = words(&["html", "two_factor", "nan=0.5"]).expect("usable");
        let changes = serde_json::json!({"html": false, "two_factor": false, "nan": null});
        faults
            .merge(changes.as_object().expect("an object"))
            .expect("usable");
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn what_is_unusable_names_the_fault_and_changes_nothing() {
        let mut faults = words(&["html"]).expect("usable");
        let before = faults.clone();
        for bad in [
            "lat=1",
            "late=2",
            "totals=none",
            "server_error={\"status\":200}",
        ] {
            let error = faults.merge_word(bad).expect_err(bad).to_string();
            let name = bad.split('=').next().expect("a name");
            assert!(error.contains(name), "{error}");
            assert_eq!(faults, before);
        }
    }

    #[test]
    fn every_fault_is_described_by_an_example_that_works() {
        let mut faults = Faults::default();
        let Ok(Value::Object(all)) = serde_json::to_value(&faults) else {
            panic!("faults are an object");
        };
        for (example, _) in Faults::DESCRIPTIONS {
            let name = example.split('=').next().expect("a name");
            assert!(all.contains_key(name), "{name} is no fault");
            faults
                .merge_word(&example.replace('\'', ""))
                .expect(example);
        }
        assert_eq!(all.len(), Faults::DESCRIPTIONS.len());
    }
}
