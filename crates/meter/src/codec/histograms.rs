//! The histograms of a row.

use super::bytes::{BlobError, Reader, Writer};
use crate::histogram::{BUCKETS, HistogramColumn};
use crate::native_buckets::LAST_INDEX;
use crate::table::{CallTimes, Columns as _};

/// One row of zeros, to be read into.
pub(super) fn one_row() -> CallTimes {
    let mut times = CallTimes::default();
    times.push();
    times
}

pub(super) fn encode_histogram(out: &mut Writer, column: &HistogramColumn, place: usize) {
    let Some(row) = column.row(place) else { return };
    for count in row.buckets {
        out.number(*count);
    }
    out.signed(row.sum_ms);
    out.length(column.native_raw(place).count());
    for (index, count) in column.native_raw(place) {
        out.signed(index.into());
        out.number(count);
    }
}

pub(super) fn decode_histogram(
    input: &mut Reader<'_>,
    column: &mut HistogramColumn,
    place: usize,
) -> Result<(), BlobError> {
    for bucket in 0..BUCKETS {
        column.add_classic(place, bucket, input.number()?);
    }
    column.add_sum(place, input.signed()?);
    for _ in 0..input.length()? {
        let index = i16::try_from(input.signed()?).map_err(|_| BlobError::Damaged)?;
        if index > LAST_INDEX {
            return Err(BlobError::Damaged);
        }
        column.add_native(place, index, input.number()?);
    }
    Ok(())
}
