-- What format 2 adds to format 1. It also compares GUIDs as ids whatever their spelling: the keys of
-- batches are of their canonical form.

-- The ids of batches: those of batch `first` and later start with `epoch`, up to the next row. Each
-- process that appends draws an epoch, so that a restored backup does not give ids out again.
CREATE TABLE epochs (
    first INTEGER PRIMARY KEY,
    epoch BLOB NOT NULL,
    checksum INTEGER NOT NULL
);

-- One row: the clock at the last decision of retention; jumped_at: the clock when it was first seen
-- far from that.
CREATE TABLE retention (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    decided_at INTEGER NOT NULL,
    jumped_at INTEGER,
    checksum INTEGER NOT NULL
);
