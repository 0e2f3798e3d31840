//! Records in, totals out: callmeter's ledger and its immutable snapshot.
