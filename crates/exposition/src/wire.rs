//! The parts of protobuf's wire format that the exposition needs.

/// Appends a varint.
pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_bits(value));
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or(0)
}

/// The length of a varint.
pub(crate) fn varint_len(value: u64) -> u64 {
    u64::from((value | 1).ilog2() / 7 + 1)
}

/// Appends a field that holds a varint.
pub(crate) fn uint(out: &mut Vec<u8>, field: u32, value: u64) {
    varint(out, u64::from(field) << 3);
    varint(out, value);
}

/// Appends a `sint` field.
pub(crate) fn sint(out: &mut Vec<u8>, field: u32, value: i64) {
    uint(out, field, zigzag(value));
}

/// The zigzag encoding of `sint` values.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Appends a double.
pub(crate) fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    varint(out, (u64::from(field) << 3) | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field of bytes: text or an encoded message.
pub(crate) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    length(out, field, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends the tag and the length of a field of bytes.
pub(crate) fn length(out: &mut Vec<u8>, field: u32, length: u64) {
    varint(out, (u64::from(field) << 3) | 2);
    varint(out, length);
}

/// Appends a message that `fill` writes.
pub(crate) fn message(out: &mut Vec<u8>, field: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    // The length comes first but is not known yet: reserve one byte, which is mostly enough, and
    // move the message if it is not.
    varint(out, (u64::from(field) << 3) | 2);
    let place = out.len();
    out.push(0);
    fill(out);
    let size = (out.len() - place - 1) as u64;
    if let (1, Some(slot)) = (varint_len(size), out.get_mut(place)) {
        *slot = low_bits(size);
    } else {
        let mut length = Vec::with_capacity(10);
        varint(&mut length, size);
        out.splice(place..=place, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_length_of_a_varint_is_known_before(value: u64, shift in 0_u32..64) {
            let mut out = Vec::new();
            varint(&mut out, value >> shift);
            prop_assert_eq!(out.len() as u64, varint_len(value >> shift));
        }

        #[test]
        fn messages_of_any_length(size in 0_usize..40_000) {
            let mut out = Vec::new();
            message(&mut out, 7, |out| out.resize(out.len() + size, b'x'));
            let mut expected = Vec::new();
            bytes(&mut expected, 7, &vec![b'x'; size]);
            prop_assert_eq!(out, expected);
        }
    }
}
