-- The journal on PostgreSQL: the tables of sqlite/v1.sql to v4.sql, whose comments say what the
-- columns are. Texts that come from an API are bytes: a text of PostgreSQL cannot have a zero.

-- Says that the schema is a journal, and its format.
CREATE TABLE callmeter_journal (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    format BIGINT NOT NULL
);

CREATE TABLE journal (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    id BYTEA NOT NULL,
    next_batch BIGINT NOT NULL,
    checksum BIGINT NOT NULL
);

CREATE TABLE streams (
    stream BIGINT PRIMARY KEY,
    next_sequence BIGINT NOT NULL,
    checksum BIGINT NOT NULL
);

CREATE TABLE accounts (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    watermark BIGINT,
    page_base BIGINT,
    horizon BIGINT,
    forgotten_before BIGINT,
    checksum BIGINT NOT NULL
);

CREATE TABLE schemas (
    id BIGINT PRIMARY KEY,
    stream BIGINT NOT NULL,
    message BYTEA NOT NULL,
    checksum BIGINT NOT NULL
);

CREATE TABLE batches (
    seq BIGINT PRIMARY KEY,
    stream BIGINT NOT NULL,
    account BIGINT NOT NULL,
    schema BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    first_sequence BIGINT NOT NULL,
    observed_at BIGINT NOT NULL,
    min_start BIGINT,
    max_start BIGINT,
    last_day BIGINT,
    keys_checksum BIGINT NOT NULL,
    payload_checksum BIGINT NOT NULL,
    checksum BIGINT NOT NULL,
    keys BYTEA NOT NULL,
    payload BYTEA NOT NULL
);
-- Both are packed already.
ALTER TABLE batches ALTER COLUMN keys SET STORAGE EXTERNAL;
ALTER TABLE batches ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE INDEX batches_by_stream ON batches (stream, seq);
CREATE INDEX batches_by_time ON batches (observed_at);
CREATE INDEX batches_by_day ON batches (account, last_day) WHERE last_day IS NOT NULL;

-- A key may be longer than a B-tree allows.
CREATE TABLE latest (
    account BIGINT NOT NULL,
    stream BIGINT NOT NULL,
    key BYTEA NOT NULL,
    fingerprint BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    batch BIGINT NOT NULL,
    row BIGINT NOT NULL,
    checksum BIGINT NOT NULL
);
CREATE INDEX latest_by_account ON latest (account, stream);
CREATE INDEX latest_by_key ON latest USING hash (key);

CREATE TABLE cursors (
    output TEXT COLLATE "C" NOT NULL,
    stream BIGINT NOT NULL,
    batch BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    lost BIGINT NOT NULL,
    checksum BIGINT NOT NULL,
    PRIMARY KEY (output, stream)
);

CREATE TABLE snapshots (
    seq BIGINT PRIMARY KEY,
    data BYTEA NOT NULL,
    checksum BIGINT NOT NULL
);

CREATE TABLE epochs (
    first BIGINT PRIMARY KEY,
    epoch BYTEA NOT NULL,
    checksum BIGINT NOT NULL
);

CREATE TABLE retention (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    decided_at BIGINT NOT NULL,
    jumped_at BIGINT,
    checksum BIGINT NOT NULL
);

CREATE TABLE coverage (
    account BIGINT NOT NULL,
    day BIGINT NOT NULL,
    proven_at BIGINT,
    stated BIGINT,
    received BIGINT NOT NULL,
    waiting BIGINT NOT NULL,
    waits_until BIGINT,
    due_at BIGINT NOT NULL,
    asked BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    failure BYTEA,
    page BIGINT,
    page_rows BIGINT,
    page_count BIGINT,
    checksum BIGINT NOT NULL,
    PRIMARY KEY (account, day)
);

CREATE TABLE decks (
    account BIGINT PRIMARY KEY,
    has_rates BIGINT NOT NULL,
    has_billing BIGINT NOT NULL,
    currency BYTEA,
    schema BIGINT NOT NULL,
    rates BYTEA NOT NULL,
    checksum BIGINT NOT NULL
);

-- The instances that share the work: when each ends if it says nothing more, the leases that it
-- wants, with zeros between them, and what it says of its work. Times are UTC microseconds by the
-- server's clock.
CREATE TABLE instances (
    id BYTEA PRIMARY KEY,
    name TEXT NOT NULL,
    wanted BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    state BYTEA NOT NULL DEFAULT ''
);

-- Who works on what. The epoch is another one whenever a lease is taken, also by its old holder.
CREATE TABLE leases (
    name TEXT COLLATE "C" PRIMARY KEY,
    holder BYTEA NOT NULL,
    epoch BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
