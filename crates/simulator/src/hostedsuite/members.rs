//! The members of a request, read as ServiceStack reads them: names ignore case, and an unusable
//! value is ignored in a body but refused in a query.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::ServiceError;

/// The members of a request, by their names in lower case.
#[derive(Debug, Default)]
pub(super) struct Members {
    values: BTreeMap<String, Member>,
}

#[derive(Debug)]
struct Member {
    name: String,
    value: Value,
    /// From a query or form, where a wrong type is an error.
    strict: bool,
}

/// A member of a query or form has a wrong type.
#[derive(Debug)]
pub(super) struct Unbindable;

impl Members {
    /// Reads a body and then the query, which takes precedence.
    pub(super) fn read(
        content_type: Option<&str>,
        body: &[u8],
        query: &str,
    ) -> Result<Self, ServiceError> {
        let mut members = Self::default();
        let media_type = content_type
            .and_then(|text| text.split(';').next())
            .map(|text| text.trim().to_ascii_lowercase());
        match media_type.as_deref() {
            Some("application/json") => members.read_json(body)?,
            Some("application/jsv" | "text/jsv") => members.read_jsv(body)?,
            Some("application/x-www-form-urlencoded") => members.read_pairs(body),
            // Any other body is silently ignored.
            _ => {}
        }
        members.read_pairs(query.as_bytes());
        Ok(members)
    }

    fn read_json(&mut self, body: &[u8]) -> Result<(), ServiceError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
            return Err(ServiceError::serialization());
        };
        for (name, value) in object {
            self.insert(name, value, false);
        }
        Ok(())
    }

    fn read_jsv(&mut self, body: &[u8]) -> Result<(), ServiceError> {
        if body.is_empty() {
            return Ok(());
        }
        let object: BTreeMap<String, Option<String>> =
            jsv::from_slice(body).map_err(|_| ServiceError::serialization())?;
        for (name, value) in object {
            self.insert(name, value.map_or(Value::Null, Value::String), false);
        }
        Ok(())
    }

    fn read_pairs(&mut self, text: &[u8]) {
        for (name, value) in url::form_urlencoded::parse(text) {
            self.insert(name.into_owned(), Value::String(value.into_owned()), true);
        }
    }

    fn insert(&mut self, name: String, value: Value, strict: bool) {
        let member = Member {
            name,
            value,
            strict,
        };
        self.values.insert(member.name.to_ascii_lowercase(), member);
    }

    fn get(&self, name: &str) -> Option<&Member> {
        self.values.get(&name.to_ascii_lowercase())
    }

    /// A text; numbers and truth values are returned as their text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match &self.get(name)?.value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    }

    /// A text that is present and not empty.
    pub(super) fn filter(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn truth(&self, name: &str) -> Result<bool, Unbindable> {
        self.read_as(name, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "t" | "y" | "on" => Some(true),
            "false" | "0" | "f" | "n" | "off" => Some(false),
            _ => None,
        })
        .map(Option::unwrap_or_default)
    }

    pub(super) fn number(&self, name: &str) -> Result<f64, Unbindable> {
        self.read_as(name, |text| {
            text.trim().replace(',', "").parse::<f64>().ok()
        })
        .map(Option::unwrap_or_default)
    }

    pub(super) fn integer(&self, name: &str) -> Result<i32, Unbindable> {
        self.read_as(name, |text| text.trim().parse::<i32>().ok())
            .map(Option::unwrap_or_default)
    }

    /// One of an enumeration's names, ignoring case, or its number.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Unbindable> {
        self.read_as(name, |text| {
            let named = choices
                .iter()
                .find(|(choice, _)| choice.eq_ignore_ascii_case(text));
            let numbered = || choices.get(text.parse::<usize>().ok()?);
            named.or_else(numbered).map(|(_, value)| *value)
        })
    }

    fn read_as<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Unbindable> {
        let Some(member) = self.get(name) else {
            return Ok(None);
        };
        let Some(text) = self.text(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        match read(&text) {
            None if member.strict => Err(Unbindable),
            value => Ok(value),
        }
    }

    /// The request as an error in debug mode repeats it.
    pub(super) fn repeat(&self) -> BTreeMap<&str, String> {
        (self.values.values())
            .filter_map(|member| Some((member.name.as_str(), self.text(&member.name)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &str) -> Members {
        Members::read(Some("application/json; charset=utf-8"), body.as_bytes(), "").expect("JSON")
    }

    #[test]
    fn names_and_choices_are_read_without_case() {
        let members = json(r#"{"clientID": "x", "SORTDIR": "desc", "page": "2", "billtalk": 1}"#);
        assert_eq!(members.text("ClientId").as_deref(), Some("x"));
        let choices = [("Asc", 'a'), ("Desc", 'd')];
        assert_eq!(members.choice("SortDir", &choices).ok(), Some(Some('d')));
        assert_eq!(members.integer("Page").ok(), Some(2));
        assert_eq!(members.truth("BillTalk").ok(), Some(true));
        assert_eq!(
            json(r#"{"SortDir": 1}"#).choice("SortDir", &choices).ok(),
            Some(Some('d'))
        );
    }

    #[test]
    fn a_wrong_type_is_ignored_in_a_body_and_refused_in_a_query() {
        let body = json(r#"{"Page": "two", "BillTalk": "perhaps", "CallRounding": "NextHour"}"#);
        assert_eq!(body.integer("Page").ok(), Some(0));
        assert_eq!(body.truth("BillTalk").ok(), Some(false));
        assert!(matches!(
            body.choice("CallRounding", &[("None", 0)]),
            Ok(None)
        ));

        let query = Members::read(None, b"", "Page=two&BillTalk=perhaps").expect("a query");
        assert!(query.integer("Page").is_err() && query.truth("BillTalk").is_err());
    }

    #[test]
    fn the_query_wins_and_other_bodies_are_no_bodies() {
        let body = br#"{"Page": 1, "ClientId": "x"}"#;
        let members = Members::read(Some("application/json"), body, "page=3").expect("both");
        assert_eq!(members.integer("Page").ok(), Some(3));
        assert_eq!(members.text("clientid").as_deref(), Some("x"));

        let members = Members::read(Some("text/plain"), body, "").expect("no body");
        assert_eq!(members.text("ClientId"), None);
    }

    #[test]
    fn jsv_and_json_say_the_same() {
        let jsv = br#"{Page:4,CustomerName:"Acme, ""the"" one",ClientId:}"#;
        let members = Members::read(Some("text/jsv"), jsv, "").expect("JSV");
        assert_eq!(members.integer("Page").ok(), Some(4));
        assert_eq!(
            members.text("CustomerName").as_deref(),
            Some("Acme, \"the\" one")
        );
        assert_eq!(members.text("ClientId"), None);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for body in ["\u{feff}{}", "[1]", "{", "nonsense"] {
            let read = Members::read(Some("application/json"), body.as_bytes(), "");
            assert!(read.is_err(), "{body}");
        }
    }
}
