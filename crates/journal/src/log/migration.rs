//! Converts the rows of a journal of the previous format.

use std::collections::HashMap;

use arrow_schema::SchemaRef;
use callmeter_records::{CallsView, CanonicalId, FieldHasher, Stream};

use crate::checksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::value::values;
use crate::error::Result;
use crate::log::batch_row::{BatchRow, COLUMNS};
use crate::log::keys::{BatchKeys, CallKey};
use crate::log::schema_ids::read_schema;
use crate::log::{codec, epochs, head};

/// From format 1 to 2: batches keep their ids, and keys get the canonical form of GUIDs.
pub(crate) fn to_format_2(transaction: &Connection) -> Result<()> {
    let sql = |source| transaction.failed("convert", source);
    // The ids of format 1 start with the id of the journal.
    let (journal, _) = head::read_head(transaction)?;
    epochs::write(transaction, 1, journal).map_err(sql)?;
    let mut schemas = HashMap::new();
    let mut after = 0;
    while let Some(batch) = next_calls(transaction, after).map_err(sql)? {
        after = batch.row.seq.to_sql();
        match canonical_keys(transaction, &mut schemas, &batch) {
            Ok(Some(keys)) => update_keys(transaction, batch.row, &keys).map_err(sql)?,
            Ok(None) => {}
            // Whoever reads the batch gets the error.
            Err(Damaged) => {
                tracing::warn!(batch = after, journal = %transaction.location(), "a damaged batch was not converted");
            }
        }
    }
    Ok(())
}

struct Batch {
    row: BatchRow,
    checksum: i64,
    keys: Vec<u8>,
    payload: Vec<u8>,
}

struct Damaged;

fn next_calls(conn: &Connection, after: i64) -> DatabaseResult<Option<Batch>> {
    conn.first(
        &format!(
            "SELECT {COLUMNS}, keys, payload FROM batches WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 1"
        ),
        values![Stream::Calls.code(), after],
        |row| {
            let (read, checksum) = BatchRow::read(row)?;
            Ok(Batch {
                row: read,
                checksum,
                keys: row.get(14)?,
                payload: row.get(15)?,
            })
        },
    )
}

/// The keys of a batch if an id in it is not in its canonical form.
fn canonical_keys(
    conn: &Connection,
    schemas: &mut HashMap<i64, SchemaRef>,
    batch: &Batch,
) -> Result<Option<BatchKeys>, Damaged> {
    let row = &batch.row;
    let is_intact = row.matches(batch.checksum)
        && checksum::blob(&batch.keys) == row.keys_checksum
        && checksum::blob(&batch.payload) == row.payload_checksum;
    let mut keys = BatchKeys::decode(&batch.keys)
        .filter(|_| is_intact)
        .ok_or(Damaged)?;
    let schema = match schemas.get(&row.schema) {
        Some(schema) => schema.clone(),
        None => read_schema(conn, row.schema).ok_or(Damaged)?,
    };
    let records = codec::unpack(&batch.payload, &schema).map_err(|_| Damaged)?;
    schemas.insert(row.schema, schema);
    let view = CallsView::new(&records).map_err(|_| Damaged)?;
    let mut hasher = FieldHasher::new();
    let mut changed = false;
    for (call, key) in view.rows().zip(&mut keys.rows) {
        let id = call.id();
        if id.is_some_and(|id| CanonicalId::new(id).as_bytes() != id.as_bytes()) {
            key.fingerprint = call.fingerprint(&mut hasher);
            key.hash = CallKey::hash_of(id, key.fingerprint);
            changed = true;
        }
    }
    Ok(changed.then_some(keys))
}

fn update_keys(conn: &Connection, mut row: BatchRow, keys: &BatchKeys) -> DatabaseResult<()> {
    let bytes = keys.encode();
    row.keys_checksum = checksum::blob(&bytes);
    conn.execute(
        "UPDATE batches SET keys = ?, keys_checksum = ?, checksum = ? WHERE seq = ?",
        values![&bytes, row.keys_checksum, row.checksum(), row.seq.to_sql()],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use callmeter_records::{Call, Reading};

    use super::*;
    use crate::ingest::classification::Classification;
    use crate::ingest::options::{PollOptions, Purpose};
    use crate::journal::{Journal, Options};
    use crate::sqlite::connection;

    #[test]
    fn keys_get_the_canonical_form_of_guids() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let poll = |ids: [&str; 2]| {
            let journal = Journal::open(&path, &Options::default()).unwrap();
            let options = PollOptions {
                purpose: Purpose::Regular,
                range: 0..10,
                settle: Duration::ZERO,
            };
            let mut session = journal.ingest_session("acme", options).unwrap();
            let mut page = session.page(0..10, 10).unwrap();
            let classes = ids.map(|id| {
                page.add(&Call {
                    id: Some(id),
                    start_time: Reading::Known(5),
                    duration_ms: Reading::Known(0),
                    ..Call::default()
                })
                .unwrap()
            });
            page.commit(None).unwrap();
            classes
        };
        poll(["0F8FAD5B-D9CB-469F-A165-70867728950E", "plain"]);
        // As format 1 had it: other keys, and no tables of format 2.
        let conn = connection::writer(&path, None, to_format_2).unwrap();
        let batch = next_calls(&conn, 0).unwrap().unwrap();
        let canonical = BatchKeys::decode(&batch.keys).unwrap();
        let mut keys = canonical.clone();
        keys.rows[0].hash = 1;
        keys.rows[0].fingerprint = 2;
        update_keys(&conn, batch.row, &keys).unwrap();
        conn.run(
            "DROP TABLE epochs; DROP TABLE retention; DROP TABLE coverage; DROP TABLE decks; PRAGMA user_version = 1",
        )
        .unwrap();
        drop(conn);
        assert_eq!(
            poll(["0f8fad5bd9cb469fa16570867728950e", "plain"]),
            [Classification::Known; 2]
        );
        let conn = connection::reader(&path).unwrap();
        let migrated = next_calls(&conn, 0).unwrap().unwrap();
        assert!(migrated.row.matches(migrated.checksum));
        assert_eq!(BatchKeys::decode(&migrated.keys), Some(canonical));
    }
}
