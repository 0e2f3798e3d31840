//! Whole numbers as a base and what exceeds it, in as few bytes as the largest needs.
//!
//! Layout: a byte with the width in its lower half (0 to 8 bytes) and the scale in its upper half
//! (0: 1, 1: 1,000, 2: 1,000,000, 3: steps), the base (`i64` little-endian), then for each number
//! `(number - base) / scale` in `width` bytes. Steps have no numbers: a first number, and after the
//! base the difference from each number to the next (`i64`).

use super::input::{Input, Read};

const SCALES: [u64; 3] = [1, 1_000, 1_000_000];
const STEPS: u8 = 3;

/// Writes numbers. They are left changed.
pub(super) fn write(out: &mut Vec<u8>, numbers: &mut [i64]) {
    let first = numbers.first().copied().unwrap_or(0);
    let (mut base, mut largest) = (first, first);
    for number in &*numbers {
        base = base.min(*number);
        largest = largest.max(*number);
    }
    if base == largest {
        // Nothing exceeds the base, at any scale.
        out.push(2 << 4);
        out.extend_from_slice(&base.to_le_bytes());
        return;
    }
    if let Some(step) = step(numbers) {
        out.push(STEPS << 4);
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&step.to_le_bytes());
        return;
    }
    // As bits of a `u64`: the difference of two `i64` always fits.
    for number in &mut *numbers {
        *number = number.wrapping_sub(base);
    }
    let largest = largest.wrapping_sub(base).cast_unsigned();
    let (scale, largest) = if divide::<{ SCALES[2] }>(numbers) {
        (2, largest / SCALES[2])
    } else if divide::<{ SCALES[1] }>(numbers) {
        (1, largest / SCALES[1])
    } else {
        (0, largest)
    };
    let width = width_of(largest);
    out.push(width | scale << 4);
    out.extend_from_slice(&base.to_le_bytes());
    match width {
        0 => {}
        1 => put::<1>(out, numbers),
        2 => put::<2>(out, numbers),
        3 => put::<3>(out, numbers),
        4 => put::<4>(out, numbers),
        5 => put::<5>(out, numbers),
        6 => put::<6>(out, numbers),
        7 => put::<7>(out, numbers),
        _ => put::<8>(out, numbers),
    }
}

/// The difference between each number and the next, if it is always the same.
fn step(numbers: &[i64]) -> Option<i64> {
    let [first, second, ..] = numbers else {
        return None;
    };
    let step = second.wrapping_sub(*first);
    let mut pairs = numbers.iter().zip(numbers.get(1..)?);
    pairs
        .all(|(one, next)| next.wrapping_sub(*one) == step)
        .then_some(step)
}

/// Divides all numbers if that leaves no remainder.
fn divide<const SCALE: u64>(numbers: &mut [i64]) -> bool {
    let mut bits = numbers.iter().map(|number| number.cast_unsigned());
    if !bits.all(|number| number.is_multiple_of(SCALE)) {
        return false;
    }
    for number in numbers {
        *number = (number.cast_unsigned() / SCALE).cast_signed();
    }
    true
}

fn put<const WIDTH: usize>(out: &mut Vec<u8>, numbers: &[i64]) {
    let start = out.len();
    out.resize(start + numbers.len() * WIDTH, 0);
    let (places, _) = out
        .get_mut(start..)
        .unwrap_or_default()
        .as_chunks_mut::<WIDTH>();
    for (place, number) in places.iter_mut().zip(numbers) {
        if let Some(low) = number.to_le_bytes().first_chunk::<WIDTH>() {
            *place = *low;
        }
    }
}

/// Reads `count` numbers.
pub(super) fn read(input: &mut Input<'_>, count: usize) -> Read<Vec<i64>> {
    let head = input.byte()?;
    let base = i64::from_le_bytes(input.array()?);
    input.allocate(count.saturating_mul(8))?;
    let (width, scale) = (head & 15, head >> 4);
    if head == STEPS << 4 {
        let step = i64::from_le_bytes(input.array()?);
        let numbers = std::iter::successors(Some(base), |number| Some(number.wrapping_add(step)));
        return Ok(numbers.take(count).collect());
    }
    let Some(scale) = SCALES.get(usize::from(scale)) else {
        return input.fault("an unknown scale of numbers");
    };
    match width {
        0 => Ok(vec![base; count]),
        1 => take::<1>(input, count, base, *scale),
        2 => take::<2>(input, count, base, *scale),
        3 => take::<3>(input, count, base, *scale),
        4 => take::<4>(input, count, base, *scale),
        5 => take::<5>(input, count, base, *scale),
        6 => take::<6>(input, count, base, *scale),
        7 => take::<7>(input, count, base, *scale),
        8 => take::<8>(input, count, base, *scale),
        _ => input.fault("an unknown width of numbers"),
    }
}

fn take<const WIDTH: usize>(
    input: &mut Input<'_>,
    count: usize,
    base: i64,
    scale: u64,
) -> Read<Vec<i64>> {
    let bytes = input.bytes(count.saturating_mul(WIDTH))?;
    let (numbers, _) = bytes.as_chunks::<WIDTH>();
    let number = |bytes: &[u8; WIDTH]| {
        let mut wide = [0; 8];
        if let Some(low) = wide.first_chunk_mut::<WIDTH>() {
            *low = *bytes;
        }
        let exceeding = u64::from_le_bytes(wide).wrapping_mul(scale);
        base.wrapping_add(exceeding.cast_signed())
    };
    Ok(numbers.iter().map(number).collect())
}

/// How many bytes a number needs: 0 for 0.
fn width_of(number: u64) -> u8 {
    // At most 64 bits.
    u8::try_from((u64::BITS - number.leading_zeros()).div_ceil(8)).unwrap_or(8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(numbers: &[i64]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, &mut numbers.to_vec());
        out
    }

    #[test]
    fn numbers_take_as_few_bytes_as_they_need() {
        for (numbers, bytes) in [
            (&[][..], 9),
            (&[7], 9),
            (&[7, 7, 7], 9),
            (&[7, 8, 9, 10], 17),
            (&[7, 9, 7], 9 + 3),
            (&[-1, 300, 5], 9 + 3 * 2),
            // Seconds of a day in microseconds.
            (&[1_000_000, 86_400_000_000, 5_000_000], 9 + 3 * 3),
            (&[i64::MIN, i64::MAX, 0], 9 + 3 * 8),
        ] {
            assert_eq!(written(numbers).len(), bytes, "{numbers:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop_oneof![
            prop::collection::vec(any::<i64>(), 0..20),
            prop::collection::vec((0_i64..100).prop_map(|number| number * 1_000), 0..20),
            prop::collection::vec((-50_i64..100_000).prop_map(|number| number * 1_000_000 + 7), 0..20),
            (any::<i64>(), any::<i64>(), 0_usize..20).prop_map(|(first, step, count)| {
                std::iter::successors(Some(first), |number| Some(number.wrapping_add(step))).take(count).collect()
            }),
        ]) {
            let bytes = written(&numbers);
            let mut input = Input::new(&bytes);
            prop_assert_eq!(read(&mut input, numbers.len()).ok(), Some(numbers));
            prop_assert!(input.is_empty());
        }
    }
}
