//! Packs and unpacks batches.

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

use super::columns::ColumnWriter;
use super::{ipc, read_columns};

/// What a payload of packed columns starts with. Read as the length of an IPC batch it would be
/// beyond [`MAX_UNPACKED`].
const MARK: [u8; 4] = [b'c', b'm', 5, 0xff];

/// The most bytes of an unpacked batch: the length in a damaged file must not be allocated.
const MAX_UNPACKED: usize = 1 << 31;

/// Packs batches. Uses its buffers again for each.
#[derive(Default)]
pub(crate) struct Packer {
    columns: ColumnWriter,
    plain: Vec<u8>,
    /// Where a batch is compressed to. Only its beginning is used.
    compressed: Vec<u8>,
}

/// The most bytes that each buffer keeps for the next batch.
const KEPT: usize = 1 << 20;

impl Packer {
    /// Packs a batch.
    pub(crate) fn pack(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        self.plain.clear();
        self.columns.write(batch, &mut self.plain)?;
        if self.plain.len() > MAX_UNPACKED {
            return Err(ArrowError::IpcError(format!(
                "a batch of {} bytes is too large",
                self.plain.len()
            )));
        }
        let size = u32::try_from(self.plain.len())
            .map_err(|_| ArrowError::IpcError("a batch has too many bytes".to_owned()))?;
        let room = lz4_flex::block::get_maximum_output_size(self.plain.len());
        if self.compressed.len() < room {
            self.compressed.resize(room, 0);
        }
        let length = lz4_flex::block::compress_into(&self.plain, &mut self.compressed)
            .map_err(|error| ArrowError::IpcError(format!("cannot compress a batch: {error}")))?;
        let compressed = self.compressed.get(..length).unwrap_or_default();
        let packed = [&MARK[..], &size.to_le_bytes(), compressed].concat();
        for buffer in [&mut self.plain, &mut self.compressed] {
            buffer.truncate(KEPT);
            buffer.shrink_to(KEPT);
        }
        Ok(packed)
    }
}

/// Unpacks a batch. Never panics, whatever the bytes.
pub(crate) fn unpack(packed: &[u8], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    match packed.strip_prefix(&MARK) {
        Some(packed) => read_columns::read(&decompress(packed)?, schema),
        None => ipc::read(&decompress(packed)?, schema),
    }
}

fn decompress(packed: &[u8]) -> Result<Vec<u8>, ArrowError> {
    let broken = |what: &str| ArrowError::IpcError(what.to_owned());
    let (length, _) =
        lz4_flex::block::uncompressed_size(packed).map_err(|_| broken("the batch is truncated"))?;
    if length > MAX_UNPACKED {
        return Err(broken("the length of the batch is impossible"));
    }
    lz4_flex::block::decompress_size_prepended(packed)
        .map_err(|error| ArrowError::IpcError(format!("the batch cannot be decompressed: {error}")))
}

#[cfg(test)]
mod tests;
