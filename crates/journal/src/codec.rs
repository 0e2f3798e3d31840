//! A batch as bytes: an Arrow IPC record batch, packed as a whole with LZ4.
//!
//! The schema is not in it: it stands once in the table `schemas`. Packing the whole message rather than each buffer
//! (which IPC can do too) makes a batch of a few records half as large, for its header is mostly zeros, and lets a
//! read batch lie where it was unpacked.
//!
//! Layout after unpacking: the header's length as `u32` little-endian, the header (a flatbuffer `Message`), zeros up
//! to a multiple of 64, the body.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::root_as_message;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_schema::{ArrowError, Schema, SchemaRef};

/// More than this is never unpacked: a length that a damaged file claims must not become an allocation.
const MAX_UNPACKED: usize = 1 << 31;

/// Packs batches; keeps its buffers from one to the next.
#[derive(Default)]
pub(crate) struct Packer {
    context: IpcWriteContext,
    plain: Vec<u8>,
}

impl Packer {
    /// The bytes of `batch`.
    pub(crate) fn pack(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let (dictionaries, encoded) = IpcDataGenerator::default().encode(
            batch,
            &mut DictionaryTracker::new(true),
            &IpcWriteOptions::default(),
            &mut self.context,
        )?;
        if !dictionaries.is_empty() {
            return Err(ArrowError::IpcError(
                "dictionaries are not stored".to_owned(),
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
                "{} bytes are too many for a batch",
                self.plain.len()
            )));
        }
        Ok(lz4_flex::block::compress_prepend_size(&self.plain))
    }
}

/// The batch of packed bytes. Never panics, whatever the bytes.
pub(crate) fn unpack(packed: &[u8], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let broken = |what: &str| ArrowError::IpcError(what.to_owned());
    let (length, _) =
        lz4_flex::block::uncompressed_size(packed).map_err(|_| broken("the batch is cut short"))?;
    if length > MAX_UNPACKED {
        return Err(broken("the batch claims an impossible length"));
    }
    let plain = lz4_flex::block::decompress_size_prepended(packed)
        .map_err(|error| ArrowError::IpcError(format!("the batch does not unpack: {error}")))?;
    let (header, rest) = plain
        .split_first_chunk::<4>()
        .ok_or_else(|| broken("the batch has no header"))?;
    let header = usize::try_from(u32::from_le_bytes(*header))
        .map_err(|_| broken("the header is too long"))?;
    let message = rest
        .get(..header)
        .ok_or_else(|| broken("the header is cut short"))?;
    let message = root_as_message(message)
        .map_err(|error| ArrowError::IpcError(format!("the header does not read: {error}")))?;
    let version = message.version();
    let batch = message
        .header_as_record_batch()
        .ok_or_else(|| broken("the header is not of a batch"))?;
    let body = (4 + header).next_multiple_of(64);
    if body > plain.len() {
        return Err(broken("the body is cut short"));
    }
    // The header is read out of `plain` while the body becomes a buffer of its own: one copy.
    let body = Buffer::from(plain.get(body..).unwrap_or_default());
    RecordBatchDecoder::try_new(&body, batch, Arc::clone(schema), &HashMap::new(), &version)?
        .read_record_batch()
}

/// A schema as an IPC message.
pub(crate) fn pack_schema(schema: &Schema) -> Vec<u8> {
    IpcDataGenerator::default()
        .schema_to_bytes_with_dictionary_tracker(
            schema,
            &mut DictionaryTracker::new(true),
            &IpcWriteOptions::default(),
        )
        .ipc_message
}

/// The schema of such a message.
pub(crate) fn unpack_schema(message: &[u8]) -> Result<SchemaRef, ArrowError> {
    let message = root_as_message(message)
        .map_err(|error| ArrowError::IpcError(format!("the schema does not read: {error}")))?;
    let schema = message
        .header_as_schema()
        .ok_or_else(|| ArrowError::IpcError("the message is not of a schema".to_owned()))?;
    arrow_ipc::convert::try_fb_to_schema(schema).map(Arc::new)
}
