use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Int32Array, Int64Array, ListArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, TimeUnit};
use callmeter_records::Stream;
use proptest::prelude::*;

use super::*;

/// Random values that repeat as those of records do.
struct Values(u64);

impl Values {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }

    fn index(&mut self, bound: u64) -> usize {
        usize::try_from(self.below(bound)).unwrap()
    }

    fn nulls(&mut self, rows: usize, nullable: bool) -> Option<NullBuffer> {
        let percent = match (nullable, self.below(4)) {
            (false, _) | (true, 0) => return None,
            (true, 1) => 100,
            (true, _) => self.below(100),
        };
        Some((0..rows).map(|_| self.below(100) >= percent).collect())
    }

    fn numbers(&mut self, rows: usize) -> Vec<i64> {
        let scale = [1, 1_000, 1_000_000][self.index(3)];
        match self.below(4) {
            0 => (0..).map(|row| row * scale - 5).take(rows).collect(),
            1 => vec![self.below(1_000).cast_signed(); rows],
            2 => (0..rows)
                .map(|_| self.below(1 << 31).cast_signed() << 31)
                .collect(),
            _ => {
                let bound = 1 << self.below(31);
                (0..rows)
                    .map(|_| self.below(bound).cast_signed() * scale - scale)
                    .collect()
            }
        }
    }

    fn texts(&mut self, rows: usize, nulls: Option<&NullBuffer>) -> ArrayRef {
        let different = [1, 3, 300, 100_000][self.index(4)];
        let mut texts = StringBuilder::new();
        for row in 0..rows {
            let number = self.index(different);
            match nulls.is_some_and(|nulls| nulls.is_null(row)) {
                true => texts.append_null(),
                false if number == 2 => texts.append_value(""),
                false => texts.append_value(format!("é{number}").repeat(1 + number % 7)),
            }
        }
        Arc::new(texts.finish())
    }

    fn column(&mut self, of: &DataType, rows: usize, nullable: bool) -> ArrayRef {
        let nulls = self.nulls(rows, nullable);
        match of {
            DataType::Utf8 => self.texts(rows, nulls.as_ref()),
            DataType::Int32 => {
                let numbers = (0..rows).map(|_| i32::try_from(self.below(1 << 31)).unwrap() - 7);
                Arc::new(Int32Array::new(numbers.collect(), nulls))
            }
            DataType::Int64 => Arc::new(Int64Array::new(self.numbers(rows).into(), nulls)),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let times = TimestampMicrosecondArray::new(self.numbers(rows).into(), nulls);
                Arc::new(times.with_timezone_opt(zone.clone()))
            }
            DataType::Boolean => {
                let bits = (0..rows).map(|_| self.below(2) == 0);
                Arc::new(BooleanArray::new(bits.collect(), nulls))
            }
            DataType::Decimal128(precision, scale) => {
                let factor = [1, 1_000_000_000_000_000][self.index(2)];
                let numbers = self.numbers(rows).into_iter();
                let numbers = numbers.map(|number| i128::from(number) * factor);
                let decimals = Decimal128Array::new(numbers.collect(), nulls);
                Arc::new(
                    decimals
                        .with_precision_and_scale(*precision, *scale)
                        .unwrap(),
                )
            }
            DataType::List(item) => {
                let is_null = |row| {
                    nulls
                        .as_ref()
                        .is_some_and(|nulls: &NullBuffer| nulls.is_null(row))
                };
                let lengths: Vec<usize> = (0..rows)
                    .map(|row| if is_null(row) { 0 } else { self.index(4) })
                    .collect();
                let items = self.column(item.data_type(), lengths.iter().sum(), item.is_nullable());
                let offsets = OffsetBuffer::from_lengths(lengths);
                Arc::new(ListArray::new(Arc::clone(item), offsets, items, nulls))
            }
            DataType::Struct(fields) => {
                let members = fields.iter();
                let members = members
                    .map(|field| self.column(field.data_type(), rows, field.is_nullable()))
                    .collect();
                Arc::new(StructArray::new(fields.clone(), members, nulls))
            }
            other => unreachable!("{other}"),
        }
    }

    fn batch(&mut self, stream: Stream, rows: usize) -> RecordBatch {
        let schema = stream.schema();
        let fields = schema.fields().iter();
        let columns = fields
            .map(|field| self.column(field.data_type(), rows, field.is_nullable()))
            .collect();
        RecordBatch::try_new(schema, columns).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn batches_come_back(seed: u64, stream in prop::sample::select(&Stream::ALL[..]), rows in prop_oneof![0_usize..5, 0_usize..700]) {
        let batch = Values(seed).batch(stream, rows);
        let packed = Packer::default().pack(&batch).unwrap();
        prop_assert_eq!(unpack(&packed, &batch.schema()).unwrap(), batch.clone());
        // A part of a larger batch, too.
        let part = batch.slice(rows / 3, rows / 2);
        let packed = Packer::default().pack(&part).unwrap();
        prop_assert_eq!(unpack(&packed, &batch.schema()).unwrap(), part);
    }

    #[test]
    fn damaged_bytes_are_safe(seed: u64, stream in prop::sample::select(&Stream::ALL[..]), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut: Option<prop::sample::Index>) {
        let batch = Values(seed).batch(stream, 20);
        let mut plain = Vec::new();
        ColumnWriter::default().write(&batch, &mut plain).unwrap();
        for (at, byte) in damage {
            let at = at.index(plain.len());
            plain[at] = byte;
        }
        if let Some(cut) = cut {
            plain.truncate(cut.index(plain.len()));
        }
        let _ = read_columns::read(&plain, &batch.schema());
    }

    #[test]
    fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..200), stream in prop::sample::select(&Stream::ALL[..])) {
        let _ = unpack(&bytes, &stream.schema());
        let _ = read_columns::read(&bytes, &stream.schema());
    }
}

#[test]
fn values_that_repeat_take_little() {
    let texts = |number: fn(usize) -> usize| {
        let texts = (0..10_000).map(|row| format!("{:020}", number(row)));
        let schema = arrow_schema::Schema::new(vec![arrow_schema::Field::new(
            "text",
            DataType::Utf8,
            false,
        )]);
        let column = arrow_array::StringArray::from_iter_values(texts);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(column)]).unwrap();
        let mut plain = Vec::new();
        ColumnWriter::default().write(&batch, &mut plain).unwrap();
        plain.len()
    };
    // The number of rows, no nulls, the number of entries, their lengths, and the entries.
    let head = 4 + 1 + 2 + 9;
    assert_eq!(texts(|_| 1), head + 20);
    assert_eq!(texts(|row| row % 200), head + 200 * 20 + 10_000);
    assert_eq!(texts(|row| row / 5), head + 2_000 * 20 + 10_000 * 2);
    assert_eq!(texts(|row| row), head + 10_000 * 20);
}
