-- What format 3 adds to format 2: how far each day of an account's calls has been read. A day is a
-- number of days since 1970-01-01 in the account's own calendar. Its row goes when nothing more is
-- expected of the day.

-- proven_at: when the last reading started that proved the day complete. stated: the rows that the
-- server counted in it. waiting: calls that had not settled, waits_until: when the first of them
-- does. asked: whether an operator asked for the day. page, page_rows, page_count: where a reading
-- was interrupted.
CREATE TABLE coverage (
    account INTEGER NOT NULL,
    day INTEGER NOT NULL,
    proven_at INTEGER,
    stated INTEGER,
    received INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    waits_until INTEGER,
    due_at INTEGER NOT NULL,
    asked INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    failure TEXT,
    page INTEGER,
    page_rows INTEGER,
    page_count INTEGER,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (account, day)
) WITHOUT ROWID;
