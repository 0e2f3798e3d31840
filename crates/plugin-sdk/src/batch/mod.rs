//! A batch of records, read in place from Arrow memory without an Arrow library.
//!
//! [`Batch::calls`] and its siblings return rows with one accessor per column. [`Batch::rows`] and
//! [`Batch::columns`] reach every column by name, including those added after the SDK was built.

mod column;
mod data_type;
mod error;
mod import;
#[cfg(feature = "serde")]
mod json;
mod owned;
mod records;
mod resolve;
mod row;
mod rows;
mod schema;
mod stream;
mod stream_columns;
mod typed_column;
mod value;

pub use column::{Column, List, Struct, Value};
pub use data_type::{DataType, Field, TimeUnit};
pub use error::BatchError;
pub(crate) use import::SchemaCache;
pub use owned::Batch;
#[doc(hidden)]
pub use records::described;
pub use records::{Balance, Billing, Call, Charge, Interaction, PreviousCall, Rate};
pub use row::{Row, Rows};
pub use rows::{Of, Typed};
pub use stream::Stream;
pub use typed_column::{Ints, Lists, Texts, Times, Truths};
pub use value::{Decimal, Timestamp};
