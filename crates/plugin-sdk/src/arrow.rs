//! A batch as an arrow-rs `RecordBatch`, without a copy.

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::{Array as _, RecordBatch, StructArray};
use arrow_schema::DataType;
use callmeter_plugin_abi as abi;
use callmeter_plugin_abi::arrow::{ArrowArray, ArrowSchema};

use crate::batch::{Batch, BatchError, SchemaCache, Stream};

const _: () = assert!(size_of::<ArrowArray>() == size_of::<FFI_ArrowArray>());
const _: () = assert!(size_of::<ArrowSchema>() == size_of::<FFI_ArrowSchema>());

impl Batch {
    /// A batch as the host would send it, for a plugin's tests. Give later batches of a test higher
    /// numbers, and a batch that is sent again its old id.
    pub fn for_tests(
        stream: Stream,
        seq: u64,
        id: [u8; 16],
        records: RecordBatch,
    ) -> Result<Self, BatchError> {
        let malformed = |error: arrow_schema::ArrowError| BatchError::Malformed(error.to_string());
        let schema = FFI_ArrowSchema::try_from(records.schema().as_ref()).map_err(malformed)?;
        let mut array = FFI_ArrowArray::new(&StructArray::from(records).into_data());
        let batch = abi::Batch {
            struct_size: abi::size_u32::<abi::Batch>(),
            kind: stream.kind(),
            seq,
            batch_id: id,
            attempt: 1,
            schema_id: 1,
            schema: (&raw const schema).cast(),
            array: (&raw mut array).cast(),
        };
        // SAFETY: the batch is as the ABI describes it; what is not taken out of `array` is dropped
        // with it, and the schema is only read here.
        unsafe { Self::take(&raw const batch, &mut SchemaCache::default()) }
    }
}

impl TryFrom<Batch> for RecordBatch {
    type Error = BatchError;

    fn try_from(batch: Batch) -> Result<Self, BatchError> {
        let malformed = |error: String| BatchError::Malformed(error);
        let (schema, mut array) = batch.into_parts();
        // SAFETY: both structs are the interface's own; the array was taken from the host, is moved
        // on here and left released.
        let array = unsafe { FFI_ArrowArray::from_raw((&raw mut array).cast()) };
        let schema = schema.arrow.clone().map_err(malformed)?;
        let data_type = DataType::Struct(schema.fields().clone());
        // SAFETY: the array has the schema that the host gave for it.
        let data = unsafe { arrow_array::ffi::from_ffi_and_data_type(array, data_type) }
            .map_err(|error| malformed(error.to_string()))?;
        RecordBatch::from(StructArray::from(data))
            .with_schema(schema)
            .map_err(|error| malformed(error.to_string()))
    }
}
