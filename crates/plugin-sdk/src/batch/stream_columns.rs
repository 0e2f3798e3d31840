//! The columns of a stream.

use super::records;
use super::stream::Stream;

impl Stream {
    /// The names of the stream's columns that this SDK knows. None for [`Stream::Other`]. A host
    /// may send further columns.
    pub fn columns(self) -> impl Iterator<Item = &'static str> {
        records::columns(self).iter().map(|column| column.name)
    }
}
