//! Copies a journal into another one, whichever engines they have.
//!
//! Batches are copied in steps, each a transaction. All other tables follow in the last one. Until
//! then the head row of the copy says that it is not finished: nothing else opens it, and another
//! copy of the same journal goes on where the first one ended.

use std::path::Path;

use callmeter_records::{BatchSeq, Stream};

use crate::database::connection::{Access, Connection};
use crate::database::error::{DatabaseError, DatabaseResult};
use crate::database::row::Row;
use crate::database::value::{Value, values};
use crate::error::{JournalError, Result};
use crate::leases::round;
use crate::location::Location;
use crate::log::head::{self, UNFINISHED};
use crate::log::reader::Reader;
use crate::log::source::Source;
use crate::maintenance::compare;
use crate::postgres::settings::PostgresJournal;
use crate::sqlite::lock::Lock;

const COPY: &str = "copy";

/// The batches that one transaction copies.
const STEP: i64 = 64;

/// What a copy contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The last batch in it.
    pub head: BatchSeq,
    /// Its batches, those included that an earlier run had copied.
    pub batches: u64,
    /// Its records by stream.
    pub records: Vec<(Stream, u64)>,
    /// Its accounts.
    pub accounts: u64,
    /// Its cursors: the outputs with each of their streams.
    pub cursors: u64,
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
    Bytes,
}

use Kind::{Bytes, Int, Text};

/// A table: its name, and its columns.
struct Table(&'static str, &'static [(&'static str, Kind)]);

const BATCHES: Table = Table(
    "batches",
    &[
        ("seq", Int),
        ("stream", Int),
        ("account", Int),
        ("schema", Int),
        ("rows", Int),
        ("first_sequence", Int),
        ("observed_at", Int),
        ("min_start", Int),
        ("max_start", Int),
        ("last_day", Int),
        ("keys_checksum", Int),
        ("payload_checksum", Int),
        ("checksum", Int),
        ("keys", Bytes),
        ("payload", Bytes),
    ],
);

/// All other tables but `journal`, which is the last one to be written.
const OTHERS: [Table; 10] = [
    Table(
        "streams",
        &[("stream", Int), ("next_sequence", Int), ("checksum", Int)],
    ),
    Table(
        "accounts",
        &[
            ("id", Int),
            ("name", Text),
            ("watermark", Int),
            ("page_base", Int),
            ("horizon", Int),
            ("forgotten_before", Int),
            ("checksum", Int),
        ],
    ),
    Table(
        "schemas",
        &[
            ("id", Int),
            ("stream", Int),
            ("message", Bytes),
            ("checksum", Int),
        ],
    ),
    Table(
        "latest",
        &[
            ("account", Int),
            ("stream", Int),
            ("key", Text),
            ("fingerprint", Int),
            ("revision", Int),
            ("batch", Int),
            ("row", Int),
            ("checksum", Int),
        ],
    ),
    Table(
        "cursors",
        &[
            ("output", Text),
            ("stream", Int),
            ("batch", Int),
            ("sequence", Int),
            ("lost", Int),
            ("checksum", Int),
        ],
    ),
    Table(
        "snapshots",
        &[("seq", Int), ("data", Bytes), ("checksum", Int)],
    ),
    Table(
        "epochs",
        &[("first", Int), ("epoch", Bytes), ("checksum", Int)],
    ),
    Table(
        "retention",
        &[
            ("one", Int),
            ("decided_at", Int),
            ("jumped_at", Int),
            ("checksum", Int),
        ],
    ),
    Table(
        "coverage",
        &[
            ("account", Int),
            ("day", Int),
            ("proven_at", Int),
            ("stated", Int),
            ("received", Int),
            ("waiting", Int),
            ("waits_until", Int),
            ("due_at", Int),
            ("asked", Int),
            ("failures", Int),
            ("failure", Text),
            ("page", Int),
            ("page_rows", Int),
            ("page_count", Int),
            ("checksum", Int),
        ],
    ),
    Table(
        "decks",
        &[
            ("account", Int),
            ("has_rates", Int),
            ("has_billing", Int),
            ("currency", Text),
            ("schema", Int),
            ("rates", Bytes),
            ("checksum", Int),
        ],
    ),
];

impl Table {
    fn columns(&self) -> String {
        let names: Vec<&str> = self.1.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    fn insert(&self) -> String {
        let places = vec!["?"; self.1.len()].join(", ");
        format!(
            "INSERT INTO {} ({}) VALUES ({places})",
            self.0,
            self.columns()
        )
    }

    /// Stores a row of the same table of another journal.
    fn store(&self, to: &Connection, insert: &str, row: &Row<'_>) -> Result<(), CopyError> {
        let values: DatabaseResult<Vec<Value<'_>>> = self
            .1
            .iter()
            .enumerate()
            .map(|(column, (_, kind))| {
                Ok(match kind {
                    Int => row.get::<Option<i64>>(column)?.into(),
                    Text => row.get::<Option<&str>>(column)?.into(),
                    Bytes => row.get::<Option<&[u8]>>(column)?.into(),
                })
            })
            .collect();
        to.execute(insert, &values?).map_err(CopyError::Write)?;
        Ok(())
    }
}

/// Which of the two journals failed.
enum CopyError {
    Read(DatabaseError),
    Write(DatabaseError),
}

impl From<DatabaseError> for CopyError {
    fn from(source: DatabaseError) -> Self {
        Self::Read(source)
    }
}

impl Reader {
    /// Copies the journal, as it is now, into the file `to`, which must not exist or be an
    /// unfinished copy of this journal. `progress` gets the copied batches and all batches. The
    /// copy is finished when it has the same rows: batches, ids, cursors, totals, everything.
    ///
    /// # Errors
    /// If one of the two cannot be read or written. Copying again goes on.
    pub fn copy_to_file(&mut self, to: &Path, progress: impl FnMut(u64, u64)) -> Result<Copied> {
        let _lock = Lock::acquire(to)?;
        let path = to.to_owned();
        let page_limit = None;
        self.copy_to(&Source::File { path, page_limit }, progress)
    }

    /// Like [`Reader::copy_to_file`], into an empty schema on a server.
    pub fn copy_to_server(
        &mut self,
        to: &PostgresJournal,
        progress: impl FnMut(u64, u64),
    ) -> Result<Copied> {
        self.copy_to(&Source::server(to), progress)
    }

    /// Who works on the journal now: the processes that have locked its file, or the instances on
    /// its server. A copy has what is stored when it begins.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn used_by(&self) -> Result<Vec<String>> {
        match self.location() {
            Location::File(path) => Ok(Lock::holder_of(path).into_iter().collect()),
            Location::Server(_) => work_on(&self.conn),
        }
    }

    fn copy_to(&mut self, to: &Source, mut progress: impl FnMut(u64, u64)) -> Result<Copied> {
        let to = to.writer()?;
        self.snapshot(|reader| {
            let (id, next_batch) = head::read_head(&reader.conn)?;
            begin(&to, id)?;
            let all = reader.count_batches()?;
            loop {
                let (rows, before) = reader.copy_step(&to)?;
                progress((before + rows).min(all), all);
                if rows == 0 {
                    break;
                }
            }
            reader.copy_rest(&to, id, next_batch)
        })?
    }

    fn count_batches(&self) -> Result<u64> {
        self.conn
            .only("SELECT count(*) FROM batches", values![], |row| {
                row.get::<i64>(0)
            })
            .map(i64::cast_unsigned)
            .map_err(|source| self.sql(source))
    }

    /// Copies the next batches; returns how many, and how many there were before.
    fn copy_step(&self, to: &Connection) -> Result<(u64, u64)> {
        let write = |source| to.failed(COPY, source);
        let transaction = to.begin(Access::Write).map_err(write)?;
        let (last, before): (i64, i64) = transaction
            .only(
                "SELECT coalesce(max(seq), 0), count(*) FROM batches",
                values![],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(write)?;
        let insert = BATCHES.insert();
        let mut rows = 0;
        self.conn
            .for_each(
                &format!(
                    "SELECT {} FROM batches WHERE seq > ? ORDER BY seq LIMIT ?",
                    BATCHES.columns()
                ),
                values![last, STEP],
                |row| {
                    rows += 1;
                    BATCHES.store(&transaction, &insert, row)
                },
            )
            .map_err(|error| self.copy_error(to, error))?;
        transaction.commit().map_err(write)?;
        Ok((rows, before.cast_unsigned()))
    }

    /// Copies all other tables, and finishes the copy if it is equal.
    fn copy_rest(&self, to: &Connection, id: [u8; 8], next_batch: i64) -> Result<Copied> {
        let write = |source| to.failed(COPY, source);
        let oldest = self.oldest()?.map_or(next_batch, BatchSeq::to_sql);
        let transaction = to.begin(Access::Write).map_err(write)?;
        for table in &OTHERS {
            let name = table.0;
            transaction
                .execute(&format!("DELETE FROM {name}"), values![])
                .map_err(write)?;
            let insert = table.insert();
            self.conn
                .for_each(
                    &format!("SELECT {} FROM {name}", table.columns()),
                    values![],
                    |row| table.store(&transaction, &insert, row),
                )
                .map_err(|error| self.copy_error(to, error))?;
        }
        // What retention has deleted since an earlier run.
        transaction
            .execute("DELETE FROM batches WHERE seq < ?", values![oldest])
            .map_err(write)?;
        let same = |table: &str| compare::rows_of(table, &self.conn, &transaction);
        let batches = same(BATCHES.0)?;
        let (mut accounts, mut cursors) = (0, 0);
        for table in &OTHERS {
            let rows = same(table.0)?;
            match table.0 {
                "accounts" => accounts = rows,
                "cursors" => cursors = rows,
                _ => {}
            }
        }
        let records = compare::records(&transaction)?;
        head::write_head(&transaction, id, next_batch).map_err(write)?;
        transaction.commit().map_err(write)?;
        Ok(Copied {
            head: BatchSeq::from_sql(next_batch - 1),
            batches,
            records,
            accounts,
            cursors,
        })
    }

    fn copy_error(&self, to: &Connection, error: CopyError) -> JournalError {
        match error {
            CopyError::Read(source) => self.sql(source),
            CopyError::Write(source) => to.failed(COPY, source),
        }
    }
}

/// The names of the instances that work on a journal on a server.
fn work_on(conn: &Connection) -> Result<Vec<String>> {
    match conn.location() {
        Location::File(_) => Ok(Vec::new()),
        Location::Server(_) => round::live_names(conn).map_err(|source| conn.failed(COPY, source)),
    }
}

/// Marks a new journal as an unfinished copy of the journal with this id.
fn begin(to: &Connection, id: [u8; 8]) -> Result<()> {
    let write = |source| to.failed(COPY, source);
    let transaction = to.begin(Access::Write).map_err(write)?;
    let (own, next_batch) = head::read_any_head(&transaction)?;
    let batches: i64 = transaction
        .only(
            "SELECT (SELECT count(*) FROM batches) + (SELECT count(*) FROM accounts)
             + (SELECT count(*) FROM cursors)",
            values![],
            |row| row.get(0),
        )
        .map_err(write)?;
    let journal = || to.location().clone();
    let instances = work_on(&transaction)?;
    if !instances.is_empty() {
        return Err(JournalError::CopyInUse {
            journal: journal(),
            instances: instances.join(", "),
        });
    }
    let is_new = next_batch == 1 && batches == 0;
    let goes_on = next_batch == UNFINISHED && own == id;
    if !is_new && !goes_on {
        return Err(if own == id {
            JournalError::CopyExists {
                journal: journal(),
                head: BatchSeq::from_sql(next_batch - 1),
            }
        } else {
            JournalError::NotEmpty { journal: journal() }
        });
    }
    head::write_head(&transaction, id, UNFINISHED).map_err(write)?;
    transaction.commit().map_err(write)
}
