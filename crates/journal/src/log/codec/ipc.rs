//! Arrow IPC messages: the schemas of batches, and the batches of formats before 5.
//!
//! Such a batch is the length of its header as `u32` little-endian, the header (a flatbuffer
//! `Message`), zeros up to a multiple of 64, the body.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::root_as_message;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_schema::{ArrowError, Schema, SchemaRef};

/// Reads a batch of a format before 5. Never panics, whatever the bytes.
pub(super) fn read(plain: &[u8], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let broken = |what: &str| ArrowError::IpcError(what.to_owned());
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
