//! The versions of the format, and what older ones have in another form.

use callmeter_records::CallField;

use super::bytes::{BlobError, Reader};
use super::histograms::{decode_histogram, one_row};
use crate::counted_call::{Count, UNKNOWN_ID};
use crate::folding::{Folded, Limits};
use crate::totals::AccountTotals;

pub(super) const VERSION: u64 = 5;
/// The first version. It has no count of calls of which it is unknown whether they were answered.
pub(super) const VERSION_WITHOUT_UNKNOWN: u64 = 1;
/// Versions up to this one have histograms by client and direction, without the times of answered
/// and unanswered calls, and nothing by hour or operator.
pub(super) const VERSION_BY_CLIENT: u64 = 2;
/// Versions up to this one have no charges.
pub(super) const VERSION_WITHOUT_CHARGES: u64 = 3;
/// Versions up to this one do not have the settings by which calls were counted.
pub(super) const VERSION_WITHOUT_SETTINGS: u64 = 4;

pub(super) fn decode_folded(input: &mut Reader<'_>, version: u64) -> Result<Folded, BlobError> {
    let mut folded = Folded::default();
    let calls = input.number()?;
    if version <= VERSION_BY_CLIENT {
        // Updates of histograms were counted on their own; nothing was about operators.
        input.number()?;
    }
    let others = match version {
        ..=VERSION_BY_CLIENT => 3,
        VERSION_WITHOUT_CHARGES => 4,
        _ => folded.0.len() - 1,
    };
    for (place, updates) in folded.0.iter_mut().enumerate() {
        *updates = match place {
            0 => calls,
            _ if place <= others => input.number()?,
            _ => 0,
        };
    }
    Ok(folded)
}

/// The rows of an older version: counters by client, center and direction, histograms by client and
/// direction.
pub(super) fn decode_rows_by_client(
    input: &mut Reader<'_>,
    totals: &mut AccountTotals,
    version: u64,
) -> Result<(), BlobError> {
    for _ in 0..input.length()? {
        let (client, center) = (input.label()?, input.label()?);
        let direction = input.direction()?;
        let created = input.signed_64()?;
        let row = totals.use_row((&client, &center, direction), created, 0, Limits::NONE);
        for count in [Count::Calls, Count::Unanswered, Count::Flagged] {
            totals.calls.add_count(row, count, input.number()?);
        }
        if version > VERSION_WITHOUT_UNKNOWN {
            let calls = input.number()?;
            totals.calls.add_count(row, Count::AnswerUnknown, calls);
        }
    }
    for _ in 0..input.length()? {
        let client = input.label()?;
        let direction = input.direction()?;
        let created = input.signed_64()?;
        let center = center_of(totals, &client);
        let mut times = one_row();
        for column in times.columns.iter_mut().take(CallField::ALL.len()) {
            decode_histogram(input, column, 0)?;
        }
        let row = totals.use_row((&client, &center, direction), created, 0, Limits::NONE);
        totals.calls.merge_times(row, &times, 0);
    }
    Ok(())
}

/// The center for figures of an older version, which had none: the client's only one, or unknown.
pub(super) fn center_of(totals: &AccountTotals, client: &str) -> String {
    let only = totals.calls.only_center(client);
    only.unwrap_or(UNKNOWN_ID).to_owned()
}
