//! Restores the totals at a start: the last stored ones, plus the batches journaled after them.

use std::time::Instant;

use callmeter_journal::{BatchSeq, Journal};
use callmeter_meter::{Ledger, Limits};
use tracing::{info, warn};

use super::journal::journal_failure;
use crate::exit::Failure;

/// The ledger of everything in the journal.
///
/// # Errors
/// If the journal cannot be read, or contains a batch that cannot be counted.
pub(super) fn ledger(journal: &Journal, limits: Limits) -> Result<Ledger, Failure> {
    let start = Instant::now();
    let mut ledger = stored(journal, limits)?;
    let mut batches = 0_u64;
    let mut after = BatchSeq(ledger.applied_through());
    while let Some(batch) = journal.next_of_any(after).map_err(journal_failure)? {
        after = batch.meta.seq;
        // Batches missing before it were removed by retention.
        ledger.skip_before(after.0);
        ledger
            .apply(batch.meta.seq.0, batch.meta.stream, &batch.records)
            .map_err(|error| Failure::Journal(format!("batch {after}: {error}")))?;
        batches += 1;
    }
    info!(
        journal = %journal.path().display(),
        batches,
        last = after.0,
        milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        "journal opened, totals restored"
    );
    Ok(ledger)
}

/// The stored totals; empty ones if there are none that this version can read.
fn stored(journal: &Journal, limits: Limits) -> Result<Ledger, Failure> {
    let Some((seq, bytes)) = journal.latest_snapshot().map_err(journal_failure)? else {
        return Ok(Ledger::new(limits));
    };
    match Ledger::decode(&bytes, limits) {
        Ok(ledger) => Ok(ledger),
        Err(error) => {
            warn!(batch = seq.0, %error, "the stored totals cannot be read; counting the whole journal");
            Ok(Ledger::new(limits))
        }
    }
}
