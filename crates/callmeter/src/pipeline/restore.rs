//! The totals at a start: the last that were kept, and what was journaled after them, counted again.

use std::time::Instant;

use callmeter_journal::{BatchSeq, Journal};
use callmeter_meter::{Ledger, Limits};
use tracing::{info, warn};

use super::journal_failure;
use crate::exit::Failure;

/// The ledger of everything that the journal holds.
///
/// # Errors
/// When the journal cannot be read or holds a batch that cannot be counted.
pub(super) fn ledger(journal: &Journal, limits: Limits) -> Result<Ledger, Failure> {
    let begun = Instant::now();
    let mut ledger = kept(journal, limits)?;
    let mut batches = 0_u64;
    let mut after = BatchSeq(ledger.applied_through());
    while let Some(batch) = journal.next_of_any(after).map_err(journal_failure)? {
        after = batch.meta.seq;
        // What is missing before it was removed by retention.
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
        milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "journal opened, totals counted"
    );
    Ok(ledger)
}

/// The totals that were kept; empty ones when there are none that this program reads.
fn kept(journal: &Journal, limits: Limits) -> Result<Ledger, Failure> {
    let Some((seq, bytes)) = journal.latest_snapshot().map_err(journal_failure)? else {
        return Ok(Ledger::new(limits));
    };
    match Ledger::decode(&bytes, limits) {
        Ok(ledger) => Ok(ledger),
        Err(error) => {
            warn!(batch = seq.0, %error, "kept totals are not usable; counting the whole journal");
            Ok(Ledger::new(limits))
        }
    }
}
