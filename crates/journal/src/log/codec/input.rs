//! Takes the bytes of a batch apart. Never panics, whatever they are.

use arrow_buffer::{BooleanBuffer, Buffer};
use arrow_schema::ArrowError;

pub(super) type Read<T> = Result<T, ArrowError>;

/// The most bytes of the columns of a batch: a few bytes must not expand to more.
const MAX_ALLOCATED: usize = 1 << 31;

/// What is left of a batch's bytes.
pub(super) struct Input<'b> {
    bytes: &'b [u8],
    /// Bytes that may still be allocated.
    left: usize,
}

impl<'b> Input<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            left: MAX_ALLOCATED,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn fault<T>(&self, what: &str) -> Read<T> {
        Err(ArrowError::IpcError(format!(
            "{what}, {} bytes before the end",
            self.bytes.len()
        )))
    }

    /// Notes that so many bytes are going to be allocated.
    pub(super) fn allocate(&mut self, bytes: usize) -> Read<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => self.fault("columns that are too large"),
        }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Read<&'b [u8]> {
        match self.bytes.split_at_checked(count) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => self.fault("a column that is truncated"),
        }
    }

    pub(super) fn array<const COUNT: usize>(&mut self) -> Read<[u8; COUNT]> {
        match self.bytes.split_first_chunk() {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(*taken)
            }
            None => self.fault("a column that is truncated"),
        }
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn bits(&mut self, count: usize) -> Read<BooleanBuffer> {
        let bytes = self.bytes(count.div_ceil(8))?;
        self.allocate(bytes.len())?;
        Ok(BooleanBuffer::new(Buffer::from(bytes), 0, count))
    }
}
