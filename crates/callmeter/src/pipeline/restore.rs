//! Restores the totals at a start: the last stored ones, plus the batches journaled after them.

use std::time::Instant;

use callmeter_journal::{BatchSeq, Journal, JournalError};
use callmeter_meter::{Ledger, Limits};
use callmeter_records::Stream;
use tracing::{info, warn};

use super::journal::journal_failure;
use crate::exit::Failure;

/// The ledger of everything in the journal.
///
/// # Errors
/// If the journal cannot be read, or contains a batch that cannot be counted.
pub(super) fn ledger(journal: &Journal, limits: Limits) -> Result<Ledger, Failure> {
    let start = Instant::now();
    let (mut ledger, settings_stored) = stored(journal, limits)?;
    let mut batches = 0_u64;
    let mut after = BatchSeq(ledger.applied_through());
    while let Some(batch) = journal.next_of_any(after).map_err(journal_failure)? {
        if batch.meta.seq.0 > after.0 + 1
            && let Some(newer) = stored_beyond(journal, after, limits).map_err(journal_failure)?
        {
            // Another instance has stored newer totals, and retention has deleted what they count.
            ledger = newer;
            after = BatchSeq(ledger.applied_through());
            continue;
        }
        after = batch.meta.seq;
        // Batches missing before it were removed by retention.
        ledger.skip_before(after.0);
        ledger
            .apply(batch.meta.seq.0, batch.meta.stream, &batch.records)
            .map_err(|error| Failure::Journal(format!("batch {after}: {error}")))?;
        batches += 1;
    }
    let last = journal.last_sequence(Stream::Calls);
    ledger.skip_calls_through(last.map_err(journal_failure)?);
    // The batches above were counted by the settings before. If this process is killed, what it
    // counts has to be counted by its settings again.
    if ledger.set_limits(limits) || !settings_stored {
        let through = BatchSeq(ledger.applied_through());
        match journal.store_snapshot(through, &ledger.encode()) {
            // The instance that works on the journal stores them.
            Ok(()) | Err(JournalError::LeaseLost { .. }) => {}
            Err(error) => return Err(journal_failure(error)),
        }
    }
    info!(
        journal = %journal.location(),
        batches,
        last = after.0,
        milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        "journal opened, totals restored"
    );
    Ok(ledger)
}

/// The last stored totals, if they have counted more than the batches up to `after`.
///
/// # Errors
/// If the journal cannot be read.
pub(super) fn stored_beyond(
    journal: &Journal,
    after: BatchSeq,
    limits: Limits,
) -> Result<Option<Ledger>, JournalError> {
    let Some((seq, bytes)) = journal.latest_snapshot()? else {
        return Ok(None);
    };
    match Ledger::decode(&bytes, limits) {
        Ok(ledger) if ledger.applied_through() > after.0 => Ok(Some(ledger)),
        Ok(_) => Ok(None),
        Err(error) => {
            warn!(batch = seq.0, %error, "the stored totals cannot be read");
            Ok(None)
        }
    }
}

/// The stored totals. Without usable ones, empty totals if the journal still has all batches.
///
/// An older version of callmeter stored fewer figures. If the journal has all batches, they are
/// counted again. Otherwise the stored totals are kept, and the new figures start at 0.
///
/// Also returns whether the journal holds the settings by which they were counted.
fn stored(journal: &Journal, limits: Limits) -> Result<(Ledger, bool), Failure> {
    let first = journal
        .next_of_any(BatchSeq::START)
        .map_err(journal_failure)?
        .map_or(journal.head().0 + 1, |batch| batch.meta.seq.0);
    if let Some((seq, bytes)) = journal.latest_snapshot().map_err(journal_failure)? {
        match Ledger::decode(&bytes, limits) {
            Ok(_) if first == 1 && Ledger::is_outdated(&bytes) => {
                info!("totals of an older version; counting the whole journal");
            }
            Ok(ledger) => {
                if Ledger::is_outdated(&bytes) {
                    warn!(
                        first,
                        "totals of an older version, and retention has removed old batches: \
                         totals are kept, figures that they do not have start at 0"
                    );
                }
                let settings_stored = Ledger::has_settings(&bytes);
                return Ok((ledger, settings_stored));
            }
            Err(error) => {
                warn!(batch = seq.0, %error, "the stored totals cannot be read; counting the whole journal");
            }
        }
    }
    if first > 1 {
        return Err(Failure::Journal(format!(
            "journal {}: the stored totals cannot be read, and retention has removed the batches before {first}: \
             counters would decrease; restore a backup of the journal, or move it away to start counting from zero",
            journal.location()
        )));
    }
    Ok((Ledger::new(limits), false))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use callmeter_journal::{Options, RetentionPolicy};
    use callmeter_records::Billing;

    use super::*;

    #[test]
    fn totals_that_would_decrease_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
        journal
            .record_billing("pbx", 1, &Billing::default())
            .unwrap();
        journal.store_snapshot(journal.head(), b"damaged").unwrap();
        // All batches are there: they are counted.
        assert!(ledger(&journal, Limits::default()).is_ok());
        journal.store_snapshot(journal.head(), b"damaged").unwrap();
        let policy = RetentionPolicy {
            keep: Some(Duration::ZERO),
            ..RetentionPolicy::default()
        };
        assert_eq!(journal.retain(&policy, 2).unwrap().batches, 1);
        let refused = ledger(&journal, Limits::default()).unwrap_err();
        assert!(
            refused.to_string().contains("restore a backup"),
            "{refused}"
        );
    }

    /// After a kill, the calls that are not in the stored totals must be counted by the settings of
    /// the process that was killed.
    #[test]
    fn the_settings_that_calls_are_counted_by_are_stored_before_the_first_call() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
        for short_abandon_ms in [5_000, 5_000, 30_000] {
            let limits = Limits {
                short_abandon_ms,
                ..Limits::default()
            };
            ledger(&journal, limits).unwrap();
            let (_, bytes) = journal.latest_snapshot().unwrap().unwrap();
            let mut stored = Ledger::decode(&bytes, Limits::default()).unwrap();
            assert!(!stored.set_limits(limits));
        }
    }

    /// Totals that an older version stored, with one account and one call of one client.
    fn old_totals(batches: u8) -> Vec<u8> {
        let mut bytes = b"CMtr".to_vec();
        bytes.extend([2, 15, 6, batches, 0, 1, 4]);
        bytes.extend(b"acme");
        bytes.extend([
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, b'c', 1, b'z', 0, 10, 1, 0, 0, 0,
        ]);
        bytes.extend([0, 0, 0, 0, 0]);
        let sum = xxhash_rust::xxh3::xxh3_64(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    #[test]
    fn an_upgrade_counts_again_what_the_journal_has_and_keeps_the_totals_of_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
        journal
            .record_billing("pbx", 1, &Billing::default())
            .unwrap();
        let head = journal.head();
        let calls = |ledger: &mut Ledger| {
            ledger.configure("acme", callmeter_meter::Api::HostedSuite);
            let labels = r#"account="acme",client_id="c",center_id="z",direction="incoming""#;
            let snapshot = ledger.snapshot();
            snapshot.find(callmeter_meter::FamilyId::Calls, labels)
        };
        let bytes = old_totals(u8::try_from(head.0).unwrap());
        journal.store_snapshot(head, &bytes).unwrap();
        // The journal has all batches, and no call in them.
        let mut counted = ledger(&journal, Limits::default()).unwrap();
        assert_eq!(calls(&mut counted), None);
        journal.store_snapshot(head, &bytes).unwrap();
        let policy = RetentionPolicy {
            keep: Some(Duration::ZERO),
            ..RetentionPolicy::default()
        };
        assert_eq!(journal.retain(&policy, 2).unwrap().batches, 1);
        let mut kept = ledger(&journal, Limits::default()).unwrap();
        assert_eq!(calls(&mut kept), Some(1));
    }
}
