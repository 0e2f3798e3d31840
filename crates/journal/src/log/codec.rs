//! The bytes of a batch: an Arrow IPC record batch, compressed with LZ4.
//!
//! The schema is stored once, in the table `schemas`. The whole message is compressed instead of
//! each buffer (the option that IPC has): a batch of a few records becomes half as large, because
//! its header is mostly zeros, and a batch is used where it was decompressed.
//!
//! Layout before compression: the length of the header as `u32` little-endian, the header (a
//! flatbuffer `Message`), zeros up to a multiple of 64, the body.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::root_as_message;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_schema::{ArrowError, Schema, SchemaRef};

/// The most bytes of an unpacked batch: the length in a damaged file must not be allocated.
const MAX_UNPACKED: usize = 1 << 31;

/// Packs batches. Reuses its buffers.
#[derive(Default)]
pub(crate) struct Packer {
    context: IpcWriteContext,
    plain: Vec<u8>,
}

impl Packer {
    /// Packs a batch.
    pub(crate) fn pack(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let (dictionaries, encoded) = IpcDataGenerator::default().encode(
            batch,
            &mut DictionaryTracker::new(true),
            &IpcWriteOptions::default(),
            &mut self.context,
        )?;
        if !dictionaries.is_empty() {
            return Err(ArrowError::IpcError(
                "dictionary arrays cannot be stored".to_owned(),
            ));
        }
        let header = u32::try_from(encoded.ipc_message.len())
            .map_err(|_| ArrowError::IpcError("the header is too long".to_owned()))?;
        self.plain.clear();
        self.plain.extend_from_slice(&header.to_le_bytes());
        self.plain.extend_from_slice(&encoded.ipc_message);
        self.plain.resize(self.plain.len().next_multiple_of(64), 0);
        self.plain.extend_from_slice(&encoded.arrow_data);
        if self.plain.len() > MAX_UNPACKED {
            return Err(ArrowError::IpcError(format!(
                "a batch of {} bytes is too large",
                self.plain.len()
            )));
        }
        Ok(lz4_flex::block::compress_prepend_size(&self.plain))
    }
}

/// Unpacks a batch. Never panics, whatever the bytes.
pub(crate) fn unpack(packed: &[u8], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let broken = |what: &str| ArrowError::IpcError(what.to_owned());
    let (length, _) =
        lz4_flex::block::uncompressed_size(packed).map_err(|_| broken("the batch is truncated"))?;
    if length > MAX_UNPACKED {
        return Err(broken("the length of the batch is impossible"));
    }
    let plain = lz4_flex::block::decompress_size_prepended(packed).map_err(|error| {
        ArrowError::IpcError(format!("the batch cannot be decompressed: {error}"))
    })?;
    let (header, rest) = plain
        .split_first_chunk::<4>()
        .ok_or_else(|| broken("the batch has no header"))?;
    let header = usize::try_from(u32::from_le_bytes(*header))
        .map_err(|_| broken("the header is too long"))?;
    let message = rest
        .get(..header)
        .ok_or_else(|| broken("the header is truncated"))?;
    let message = root_as_message(message)
        .map_err(|error| ArrowError::IpcError(format!("the header cannot be decoded: {error}")))?;
    let version = message.version();
    let batch = message
        .header_as_record_batch()
        .ok_or_else(|| broken("the header does not describe a batch"))?;
    let body = (4 + header).next_multiple_of(64);
    if body > plain.len() {
        return Err(broken("the body is truncated"));
    }
    // The only copy: the header is read from `plain`, the body needs its own aligned buffer.
    let body = Buffer::from(plain.get(body..).unwrap_or_default());
    RecordBatchDecoder::try_new(&body, batch, Arc::clone(schema), &HashMap::new(), &version)?
        .read_record_batch()
}

/// Encodes a schema as an IPC message.
pub(crate) fn pack_schema(schema: &Schema) -> Vec<u8> {
    IpcDataGenerator::default()
        .schema_to_bytes_with_dictionary_tracker(
            schema,
            &mut DictionaryTracker::new(true),
            &IpcWriteOptions::default(),
        )
        .ipc_message
}

/// Decodes an IPC message of a schema.
pub(crate) fn unpack_schema(message: &[u8]) -> Result<SchemaRef, ArrowError> {
    let message = root_as_message(message)
        .map_err(|error| ArrowError::IpcError(format!("the schema cannot be decoded: {error}")))?;
    let schema = message
        .header_as_schema()
        .ok_or_else(|| ArrowError::IpcError("the message does not describe a schema".to_owned()))?;
    arrow_ipc::convert::try_fb_to_schema(schema).map(Arc::new)
}
