//! The table `schemas`: Arrow schemas, each once.

use arrow_schema::SchemaRef;
use callmeter_records::Stream;

use crate::checksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::value::values;
use crate::log::codec;

/// The id of the schema that this program writes for a stream; stores it if it is new.
pub(crate) fn schema_id(conn: &Connection, stream: Stream) -> DatabaseResult<i64> {
    let message = codec::pack_schema(&stream.schema());
    let known = conn.first(
        "SELECT id FROM schemas WHERE message = ?",
        values![&message],
        |row| row.get(0),
    )?;
    if let Some(id) = known {
        return Ok(id);
    }
    let id = conn.only(
        "SELECT coalesce(max(id), 0) + 1 FROM schemas",
        values![],
        |row| row.get(0),
    )?;
    conn.execute(
        "INSERT INTO schemas (id, stream, message, checksum) VALUES (?, ?, ?, ?)",
        values![id, stream.code(), &message, checksum::blob(&message)],
    )?;
    Ok(id)
}

/// A stored schema; `None` if it is missing or damaged.
pub(crate) fn read_schema(conn: &Connection, id: i64) -> Option<SchemaRef> {
    let message: Vec<u8> = conn
        .first(
            "SELECT message FROM schemas WHERE id = ?",
            values![id],
            |row| row.get(0),
        )
        .ok()??;
    codec::unpack_schema(&message).ok()
}
