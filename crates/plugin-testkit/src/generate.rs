//! Batches of every stream with random values. The same seed gives the same values.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema};
use callmeter_records::Stream;

/// What to generate.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Records.
    pub rows: usize,
    /// The percentage of null values in columns that may be null.
    pub nulls: u8,
    /// Another seed gives other values.
    pub seed: u64,
    /// The `sequence` of the first record; ids follow it as well.
    pub first: i64,
}

impl Recipe {
    /// This many records, with a fifth of the values null where they may be.
    pub fn rows(rows: usize) -> Self {
        Self {
            rows,
            nulls: 20,
            seed: 1,
            first: 1,
        }
    }
}

/// Texts that are hard to encode, and some that are not.
const TEXTS: [&str; 14] = [
    "",
    "Acme",
    "Jane Doe",
    "+49 30 123456",
    "a,b",
    "say \"hi\"",
    "two\nlines",
    "cr\r\nlf",
    "=1+1",
    "@SUM(A1)",
    "żółć",
    "😀",
    "tab\tand\u{1f}control",
    "\u{feff}bom",
];

/// A batch of the stream in this version's schema.
pub fn batch(stream: Stream, recipe: Recipe) -> RecordBatch {
    let schema = stream.schema();
    let mut random = Random(recipe.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "account" => Arc::new(StringArray::from(vec!["acme"; recipe.rows])) as ArrayRef,
            "sequence" => Arc::new(Int64Array::from_iter_values(
                (recipe.first..).take(recipe.rows),
            )),
            "revision" => Arc::new(Int32Array::from(vec![0; recipe.rows])),
            "change" => Arc::new(StringArray::from(vec!["new"; recipe.rows])),
            "id" => {
                let ids = (recipe.first..)
                    .take(recipe.rows)
                    .map(|sequence| format!("id-{sequence}"));
                Arc::new(StringArray::from_iter_values(ids))
            }
            "unreadable" => {
                let texts = (0..recipe.rows)
                    .map(|row| (row % 7 == 3).then_some("{\"StartTime\":\"soon\"}"));
                Arc::new(texts.collect::<StringArray>())
            }
            "previous" => new_null_array(field.data_type(), recipe.rows),
            _ => array(field, recipe.rows, recipe.nulls, &mut random),
        })
        .collect();
    RecordBatch::try_new(schema, columns)
        .unwrap_or_else(|error| panic!("the generator is broken: {error}"))
}

/// A batch of the stream with columns that a later version may add, of types that no column has
/// today. Arrow arrays of type null have no buffers at all.
pub fn later_batch(stream: Stream, recipe: Recipe) -> RecordBatch {
    let records = batch(stream, recipe);
    let mut fields: Vec<_> = records.schema().fields().iter().cloned().collect();
    let mut columns = records.columns().to_vec();
    for (name, data_type) in [
        ("later_null", DataType::Null),
        ("later_large_text", DataType::LargeUtf8),
        ("later_date", DataType::Date32),
        ("later_list", list(DataType::Null)),
    ] {
        // In front, so that the places of all columns change.
        columns.insert(0, new_null_array(&data_type, recipe.rows));
        fields.insert(0, Arc::new(Field::new(name, data_type, true)));
    }
    let schema = Schema::new_with_metadata(fields, records.schema().metadata().clone());
    RecordBatch::try_new(Arc::new(schema), columns)
        .unwrap_or_else(|error| panic!("the generator is broken: {error}"))
}

/// A batch with columns of every type that the SDK reads, also nested, for comparing readers.
pub fn any_batch(rows: usize, nulls: u8, seed: u64) -> RecordBatch {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let fields = Fields::from(vec![
        Field::new("b", DataType::Boolean, true),
        Field::new("i", DataType::Int32, true),
        Field::new("l", DataType::Int64, false),
        Field::new("g", DataType::Float64, true),
        Field::new("u", DataType::Utf8, true),
        Field::new("t", timestamp(), true),
        Field::new("d", DataType::Decimal128(38, 9), true),
        Field::new("lu", list(DataType::Utf8), true),
        Field::new(
            "ls",
            list(DataType::Struct(Fields::from(vec![
                Field::new("x", DataType::Utf8, true),
                Field::new("y", list(DataType::Int64), true),
            ]))),
            true,
        ),
        Field::new(
            "s",
            DataType::Struct(Fields::from(vec![
                Field::new("p", DataType::Boolean, true),
                Field::new("q", list(DataType::Utf8), true),
            ])),
            true,
        ),
    ]);
    let columns = fields
        .iter()
        .map(|field| array(field, rows, nulls, &mut random))
        .collect();
    let schema = Arc::new(arrow_schema::Schema::new(fields));
    RecordBatch::try_new(schema, columns)
        .unwrap_or_else(|error| panic!("the generator is broken: {error}"))
}

fn timestamp() -> DataType {
    DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, Some("+00:00".into()))
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// Values of a type.
///
/// # Panics
/// On a type that no schema has had so far: add it here.
fn array(field: &Field, rows: usize, nulls: u8, random: &mut Random) -> ArrayRef {
    let nulls = if field.is_nullable() { nulls } else { 0 };
    match field.data_type() {
        DataType::Boolean => Arc::new(BooleanArray::from(values(rows, nulls, random, |r| {
            r.below(2) == 1
        }))),
        DataType::Int32 => Arc::new(Int32Array::from(values(rows, nulls, random, |r| {
            i32::try_from(r.below(1_000)).unwrap_or(0) - 500
        }))),
        DataType::Int64 => Arc::new(Int64Array::from(values(rows, nulls, random, |r| {
            i64::try_from(r.below(10_000_000)).unwrap_or(0)
        }))),
        DataType::Float64 => Arc::new(Float64Array::from(values(rows, nulls, random, |r| {
            [0.1, -0.0, 1e300, f64::INFINITY][usize::try_from(r.below(4)).unwrap_or(0)]
        }))),
        DataType::Utf8 => Arc::new(StringArray::from(values(rows, nulls, random, |r| {
            TEXTS[usize::try_from(r.below(TEXTS.len() as u64)).unwrap_or(0)]
        }))),
        DataType::Timestamp(_, _) => Arc::new(
            TimestampMicrosecondArray::from(values(rows, nulls, random, |r| {
                1_772_000_000_000_000 + i64::try_from(r.below(1_000_000_000)).unwrap_or(0) * 1_000
            }))
            .with_timezone("+00:00"),
        ),
        DataType::Decimal128(precision, scale) => Arc::new(
            Decimal128Array::from(values(rows, nulls, random, |r| {
                i128::from(r.below(u64::MAX)) - (1 << 62)
            }))
            .with_precision_and_scale(*precision, *scale)
            .unwrap_or_else(|error| panic!("the generator is broken: {error}")),
        ),
        DataType::List(item) => {
            let lengths: Vec<usize> = (0..rows)
                .map(|_| usize::try_from(random.below(4)).unwrap_or(0))
                .collect();
            let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
            let items = array(item, lengths.iter().sum(), nulls, random);
            Arc::new(ListArray::new(
                Arc::clone(item),
                offsets,
                items,
                validity(rows, nulls, random),
            ))
        }
        DataType::Struct(fields) => {
            let members = fields
                .iter()
                .map(|field| array(field, rows, nulls, random))
                .collect();
            Arc::new(StructArray::new(
                fields.clone(),
                members,
                validity(rows, nulls, random),
            ))
        }
        other => panic!("the generator does not know {other}"),
    }
}

fn validity(rows: usize, nulls: u8, random: &mut Random) -> Option<NullBuffer> {
    if nulls == 0 {
        return None;
    }
    Some(
        (0..rows)
            .map(|_| random.below(100) >= u64::from(nulls))
            .collect(),
    )
}

fn values<T>(
    rows: usize,
    nulls: u8,
    random: &mut Random,
    value: impl Fn(&mut Random) -> T,
) -> Vec<Option<T>> {
    (0..rows)
        .map(|_| {
            let null = random.below(100) < u64::from(nulls);
            let value = value(random);
            (!null).then_some(value)
        })
        .collect()
}

/// xorshift64*: small, fast and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound.max(1)
    }
}
