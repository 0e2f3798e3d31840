//! Reading faults: a whole description, or a word on a command line.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::kinds::Faults;

/// Why a description of faults is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultsError {
    /// A member does not exist, or not with that value.
    #[error("fault {name}={value}: {reason}")]
    Unusable {
        /// The fault.
        name: String,
        /// What it was to be set to.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value lies out of its bounds.
    #[error("fault {name}: {reason}")]
    OutOfBounds {
        /// The fault.
        name: &'static str,
        /// What it may be.
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

/// What each fault does and an example of it, as `--help` shows it.
const DESCRIPTIONS: [(&str, &str); 23] = [
    (
        "late=0.05",
        "records appear up to {within_seconds: 3600} after the call's end",
    ),
    (
        "edits=0.1",
        "notes, flags, transfer and work times change up to {within_seconds: 3600} after the end",
    ),
    ("missing_numbers=0.01", "one duration of a record is absent"),
    ("misspelt_names=0.01", "one duration's name is misspelt"),
    ("nan=0.01", "one duration is a bare NaN"),
    (
        "repeats=0.5",
        "pages begin with the last record of the page before",
    ),
    (
        "shifts=0.5",
        "recent records ({recent_seconds: 600}) appear between two pages of a reading",
    ),
    (
        "one_based_pages",
        "pages count from 1; page 0 is answered as page 1",
    ),
    ("page_size_limit=100", "at most so many rows a page"),
    (
        "totals=absent",
        "call pages without totals; `zero` for totals of 0",
    ),
    ("ignore_dates", "the date filter of calls is ignored"),
    (
        "latency='{\"ms\":250,\"jitter_ms\":500}'",
        "a wait before the answer",
    ),
    (
        "stall='{\"seconds\":60,\"rate\":0.1}'",
        "a pause in the middle of the body",
    ),
    (
        "disconnect=0.1",
        "the connection is closed instead of an answer",
    ),
    (
        "truncate=0.1",
        "the connection is closed in the middle of the body",
    ),
    (
        "throttle='{\"retry_after\":2,\"rate\":0.2}'",
        "429, without retry_after no Retry-After",
    ),
    (
        "server_error='{\"status\":502,\"rate\":0.2}'",
        "a gateway's 5xx",
    ),
    ("html=0.1", "an HTML page with status 200"),
    (
        "echo='{\"encoding\":\"jsv\"}'",
        "an error that repeats the request, password included; jsv, json, url, base64",
    ),
    (
        "refuse_login=security_exception",
        "or not_authenticated, or unauthorized (PortSIP)",
    ),
    (
        "expire_tokens=0.1",
        "the PBX forgets the token that a request carries",
    ),
    ("two_factor", "the PBX asks for a second factor"),
    (
        "deck_changes=0.5",
        "a rate changes, comes or goes before the deck is read",
    ),
];

/// The faults by example, a line each, for a help text.
pub fn describe_faults() -> String {
    let mut text = String::new();
    for (example, meaning) in DESCRIPTIONS {
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
        for (example, _) in DESCRIPTIONS {
            let name = example.split('=').next().expect("a name");
            assert!(all.contains_key(name), "{name} is no fault");
            faults
                .merge_word(&example.replace('\'', ""))
                .expect(example);
        }
        assert_eq!(all.len(), DESCRIPTIONS.len());
    }
}
