//! The text formats of request and answer bodies.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::strip_bom;
use crate::fold_names::{FoldNames, from_json};
use crate::windows_1252::text_of;

/// The format of requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON.
    #[default]
    Json,
    /// JSV, the text format of ServiceStack: smaller.
    Jsv,
}

impl Format {
    /// The format of an answer: the one that its content type names, or else `asked`.
    pub fn of_answer(headers: &HeaderMap, asked: Self) -> Self {
        let named = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        if named.contains("jsv") {
            Self::Jsv
        } else if named.contains("json") {
            Self::Json
        } else {
            asked
        }
    }

    /// Reads a value. Member names match without case, and a byte order mark is skipped. The error
    /// says what is wrong and where, without any of the text.
    pub fn read<T: DeserializeOwned>(self, body: &Bytes) -> Result<T, String> {
        match self {
            Self::Json => from_json(body).map_err(|error| json_problem(&error)),
            Self::Jsv => read_jsv(body).ok_or_else(|| "not the described JSV".to_owned()),
        }
    }

    /// Writes a value; `None` when the format cannot hold it.
    pub(crate) fn write<T: Serialize + ?Sized>(self, value: &T) -> Option<String> {
        match self {
            Self::Json => serde_json::to_string(value).ok(),
            Self::Jsv => jsv::to_string(value).ok(),
        }
    }

    /// The content type of a request.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Jsv => "text/jsv",
        }
    }
}

fn read_jsv<T: DeserializeOwned>(body: &Bytes) -> Option<T> {
    let body = strip_bom(body);
    let text = text_of(&body);
    let mut reader = jsv::Deserializer::from_str(&text);
    let value = T::deserialize(FoldNames(&mut reader)).ok()?;
    reader.end().ok()?;
    Some(value)
}

/// What is wrong with a JSON text and where. The messages of serde quote values, so they are not
/// used.
fn json_problem(error: &serde_json::Error) -> String {
    use serde_json::error::Category;

    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Eof => format!("the JSON text ends early, at line {line} column {column}"),
        Category::Syntax => format!("not JSON at line {line} column {column}"),
        Category::Data => format!("a value of the wrong kind at line {line} column {column}"),
        Category::Io => "cannot be read".to_owned(),
    }
}
