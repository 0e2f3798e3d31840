//! The table `schemas`: Arrow schemas, each once.

use arrow_schema::SchemaRef;
use callmeter_records::Stream;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::log::codec;
use crate::sqlite::checksum;

/// The id of the schema that this program writes for a stream; stores it if it is new.
pub(crate) fn schema_id(conn: &Connection, stream: Stream) -> rusqlite::Result<i64> {
    let message = codec::pack_schema(&stream.schema());
    let known = conn
        .query_row(
            "SELECT id FROM schemas WHERE message = ?",
            [&message],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    conn.execute(
        "INSERT INTO schemas (stream, message, checksum) VALUES (?, ?, ?)",
        params![stream.code(), message, checksum::blob(&message)],
    )?;
    Ok(conn.last_insert_rowid())
}

/// A stored schema; `None` if it is missing or damaged.
pub(crate) fn read_schema(conn: &Connection, id: i64) -> Option<SchemaRef> {
    let message: Vec<u8> = conn
        .query_row("SELECT message FROM schemas WHERE id = ?", [id], |row| {
            row.get(0)
        })
        .ok()?;
    codec::unpack_schema(&message).ok()
}
