-- What format 4 adds to format 3: what is left of the rates and the billing settings in batches that
-- retention has deleted. It is the start from which the rate deck of any later batch is known.

-- One row for an account. rates: the rates, packed like a batch; has_rates, has_billing: whether a
-- batch of rates, or of billing settings, was deleted. currency: the last one that was known.
CREATE TABLE decks (
    account INTEGER PRIMARY KEY,
    has_rates INTEGER NOT NULL,
    has_billing INTEGER NOT NULL,
    currency TEXT,
    schema INTEGER NOT NULL,
    rates BLOB NOT NULL,
    checksum INTEGER NOT NULL
);
