#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bytes;
mod de;
mod error;
mod key;
mod limits;
mod number;
mod raw;
mod scan;
mod ser;

use std::io::{Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use crate::de::Deserializer;
pub use crate::error::{Error, ErrorKind, Position, Result};
pub use crate::limits::Limits;
pub use crate::raw::Raw;
pub use crate::ser::Serializer;

/// Writes a value as JSV text.
///
/// Fails if the value's own `Serialize` fails, if a map's key is not a text, a number or a boolean,
/// or if there are more than 50 levels of lists and objects.
///
/// ```
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Query { client_id: Option<u32>, bill_hold: bool, password: String }
///
/// let query = Query { client_id: None, bill_hold: true, password: r#"a,"b""#.into() };
/// assert_eq!(jsv::to_string(&query)?, r#"{BillHold:True,Password:"a,""b"""}"#);
/// # Ok::<(), jsv::Error>(())
/// ```
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    let mut out = String::new();
    value.serialize(&mut Serializer::new(&mut out))?;
    Ok(out)
}

/// Writes a value as JSV text to a writer, in one piece. Fails like [`to_string`], before anything
/// is written, or if the writer fails.
pub fn to_writer<T: Serialize + ?Sized>(mut writer: impl Write, value: &T) -> Result<()> {
    let text = to_string(value)?;
    writer
        .write_all(text.as_bytes())
        .map_err(|error| Error::new(ErrorKind::Io(error)))
}

/// Reads a value from compact JSV text. Text without quotes, or in quotes without a quote inside,
/// can be borrowed.
///
/// The whole text must be one value, within [`Limits::DEFAULT`].
///
/// ```
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Balance<'a> { client_name: &'a str, num_mins: f64, balance: Option<f64> }
///
/// let text = r#"[{ClientName:"Acme, Inc.",NumMins:1E+2,Unknown:[{A:1}],Balance:}]"#;
/// let rows: Vec<Balance> = jsv::from_str(text)?;
/// assert_eq!((rows[0].client_name, rows[0].num_mins), ("Acme, Inc.", 100.0));
/// assert_eq!(rows[0].balance, None);
///
/// let error = jsv::from_str::<Vec<Balance>>("[{ClientName:Acme").err().unwrap();
/// assert_eq!(error.to_string(), "the text ends within an object at line 1 column 18 (byte 17)");
/// # Ok::<(), jsv::Error>(())
/// ```
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T> {
    Deserializer::from_str(text).whole()
}

/// Reads a value from bytes of compact JSV text, which must be UTF-8. Otherwise the same as
/// [`from_str`].
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T> {
    from_str(utf8(bytes)?)
}

/// Reads a reader to its end, and a value from its bytes. Fails like [`from_slice`], if the reader
/// fails, or if it returns more than [`Limits::DEFAULT`] allows.
pub fn from_reader<T: DeserializeOwned>(reader: impl Read) -> Result<T> {
    let limit = Limits::DEFAULT.bytes;
    let mut bytes = Vec::new();
    reader
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::Io(error)))?;
    if bytes.len() > limit {
        return Err(Error::new(ErrorKind::Limit("bytes", limit)));
    }
    from_slice(&bytes)
}

/// Reads a value from pretty-printed text, such as the samples on a service's metadata pages.
///
/// Blanks and line breaks around names, values and brackets are skipped. That is what makes it
/// lossy: leading and trailing blanks of unquoted text are gone, `Name: ` is null, and a bracket or
/// quote after blanks opens a list, an object or quoted text where compact text would go on.
/// Unquoted text cannot span lines. Text without blanks reads the same as with [`from_str`].
///
/// ```
/// let sample = "[\n  {\n    ClientId: String,\n    NumCalls: 0\n  }\n]";
/// let rows: Vec<std::collections::BTreeMap<String, String>> = jsv::from_str_pretty(sample)?;
/// assert_eq!(rows[0]["ClientId"], "String");
/// assert!(jsv::from_str::<Vec<std::collections::BTreeMap<String, String>>>(sample).is_err());
/// # Ok::<(), jsv::Error>(())
/// ```
pub fn from_str_pretty<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T> {
    Deserializer::from_str_pretty(text).whole()
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = memchr::memchr_iter(b'\n', valid).count() + 1;
        let start = memchr::memrchr(b'\n', valid).map_or(0, |end| end + 1);
        let place = Position {
            offset: valid.len(),
            line,
            column: valid.len() - start + 1,
        };
        Error::at(ErrorKind::NotUtf8, place)
    })
}
