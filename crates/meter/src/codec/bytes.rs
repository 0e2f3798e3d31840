//! Numbers, texts and labels as bytes.

use std::borrow::Cow;

use callmeter_records::Direction;

use crate::label_text::bounded;

/// The number of a direction is its index here. It is part of the format, unlike the enum's order.
const DIRECTIONS: [Direction; 5] = [
    Direction::Incoming,
    Direction::Outgoing,
    Direction::Transfer,
    Direction::Unknown,
    Direction::Other,
];

/// Why totals cannot be read from bytes. In every case the journal's records can be counted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The bytes do not start with the magic number.
    #[error("not a snapshot of the meter's totals")]
    NotABlob,
    /// Written in another version of the format.
    #[error("snapshot of the meter's totals in version {0}, which this program does not read")]
    Version(u64),
    /// Truncated or modified.
    #[error("snapshot of the meter's totals is damaged")]
    Damaged,
}

pub(super) fn pick<T: Copy>(all: &[T], number: u64) -> Result<T, BlobError> {
    let place = usize::try_from(number).map_err(|_| BlobError::Damaged)?;
    all.get(place).copied().ok_or(BlobError::Damaged)
}

/// Writes numbers and texts.
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    fn wide(&mut self, mut number: u128) {
        loop {
            let low = u8::try_from(number & 0x7f).unwrap_or(0);
            number >>= 7;
            if number == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    pub(super) fn number(&mut self, number: u64) {
        self.wide(number.into());
    }

    pub(super) fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    pub(super) fn signed(&mut self, number: i128) {
        self.wide((number << 1).cast_unsigned() ^ (number >> 127).cast_unsigned());
    }

    pub(super) fn time(&mut self, time: Option<i64>) {
        self.number(u64::from(time.is_some()));
        self.signed(time.unwrap_or(0).into());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }
}

/// Reads what a [`Writer`] wrote. Never panics, whatever the bytes.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn wide(&mut self) -> Result<u128, BlobError> {
        let mut number = 0_u128;
        let mut shift = 0;
        loop {
            let (byte, rest) = self.0.split_first().ok_or(BlobError::Damaged)?;
            self.0 = rest;
            let low = u128::from(byte & 0x7f);
            if shift >= u128::BITS || (low << shift) >> shift != low {
                return Err(BlobError::Damaged);
            }
            number |= low << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, BlobError> {
        u64::try_from(self.wide()?).map_err(|_| BlobError::Damaged)
    }

    /// A number of items of at least one byte each: bounds the work that damaged bytes can cause.
    pub(super) fn length(&mut self) -> Result<usize, BlobError> {
        let length = usize::try_from(self.number()?).map_err(|_| BlobError::Damaged)?;
        if length > self.0.len() {
            return Err(BlobError::Damaged);
        }
        Ok(length)
    }

    pub(super) fn signed(&mut self) -> Result<i128, BlobError> {
        let number = self.wide()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn signed_64(&mut self) -> Result<i64, BlobError> {
        i64::try_from(self.signed()?).map_err(|_| BlobError::Damaged)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, BlobError> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(BlobError::Damaged)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| BlobError::Damaged)
    }

    /// A label value. Older versions stored them at any length.
    pub(super) fn label(&mut self) -> Result<Cow<'a, str>, BlobError> {
        self.text().map(bounded)
    }

    pub(super) fn time(&mut self) -> Result<Option<i64>, BlobError> {
        let known = self.number()? != 0;
        let microseconds = self.signed_64()?;
        Ok(known.then_some(microseconds))
    }

    pub(super) fn direction(&mut self) -> Result<Direction, BlobError> {
        pick(&DIRECTIONS, self.number()?)
    }
}

pub(super) fn direction_number(direction: Direction) -> u64 {
    let place = DIRECTIONS.iter().position(|one| *one == direction);
    place.unwrap_or(DIRECTIONS.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_read_back(signed: i128, number: u64, text: String) {
            let mut out = Writer(Vec::new());
            out.signed(signed);
            out.number(number);
            out.text(&text);
            let mut input = Reader(&out.0);
            prop_assert_eq!(input.signed(), Ok(signed));
            prop_assert_eq!(input.number(), Ok(number));
            prop_assert_eq!(input.text(), Ok(text.as_str()));
            prop_assert!(input.0.is_empty());
        }
    }
}
