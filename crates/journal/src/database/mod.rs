//! What the journal needs of a database: connections, values and rows, whichever engine it has.

mod advice;
pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod row;
pub(crate) mod upsert;
pub(crate) mod value;
