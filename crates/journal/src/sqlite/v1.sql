-- The journal, format 1. Times are UTC microseconds, days UTC days since 1970-01-01. Every row has
-- a checksum of its other columns (checksum.rs): SQLite checks the structure of its pages, not the
-- values.

-- One row, the head: the journal's random id, and the number of the next batch.
CREATE TABLE journal (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL,
    next_batch INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);

-- The sequence of the next record of each stream.
CREATE TABLE streams (
    stream INTEGER PRIMARY KEY,
    next_sequence INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);

-- The state of each account. horizon: the earliest start time that polls still ask for.
-- forgotten_before: retention may have deleted counted calls that started before this.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    watermark INTEGER,
    page_base INTEGER,
    horizon INTEGER,
    forgotten_before INTEGER,
    checksum INTEGER NOT NULL
);

-- Arrow schemas as IPC messages, each once.
CREATE TABLE schemas (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    message BLOB NOT NULL,
    checksum INTEGER NOT NULL
);

-- The records. keys: for calls, the keys that known ids are loaded from (keys.rs); last_day: the
-- last day in them. The large columns are last, so that the others are read without them.
CREATE TABLE batches (
    seq INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    account INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    min_start INTEGER,
    max_start INTEGER,
    last_day INTEGER,
    keys_checksum INTEGER NOT NULL,
    payload_checksum INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    keys BLOB NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX batches_by_stream ON batches (stream);
CREATE INDEX batches_by_time ON batches (observed_at);
CREATE INDEX batches_by_day ON batches (account, last_day) WHERE last_day IS NOT NULL;

-- The latest version of each record of the streams that are journaled on change.
CREATE TABLE latest (
    account INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    key TEXT NOT NULL,
    fingerprint INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    row INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (account, stream, key)
) WITHOUT ROWID;

-- How far each output has acknowledged each stream: the batch, and the sequence of its last record.
-- lost: records that retention deleted before the output acknowledged them.
CREATE TABLE cursors (
    output TEXT NOT NULL,
    stream INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (output, stream)
) WITHOUT ROWID;

-- Snapshots of the totals after all batches up to seq.
CREATE TABLE snapshots (
    seq INTEGER PRIMARY KEY,
    data BLOB NOT NULL,
    checksum INTEGER NOT NULL
);
