//! callmeter's journal: every record, watermark and cursor, in one durable log.
