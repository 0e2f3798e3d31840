//! The SDK's view against arrow-rs on generated batches, and the SDK's row tables against the
//! schemas that callmeter sends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::{Mutex, mpsc};

use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_schema::DataType;
use callmeter_plugin_sdk::batch::{Column, Decimal, Timestamp, Value, described};
use callmeter_plugin_sdk::{
    Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin, RawConfig,
};
use callmeter_plugin_testkit::host::PluginSource;
use callmeter_plugin_testkit::{Rig, RigOptions, Stream, generate};
use common::PATIENCE;
use proptest::prelude::*;

static WAITING: Mutex<Option<mpsc::Sender<Batch>>> = Mutex::new(None);

/// Hands each batch to the test.
struct Catcher;

impl OutputPlugin for Catcher {
    const NAME: &'static str = "catcher";
    type Config = RawConfig;

    fn create(_: Host, _: RawConfig) -> Result<Self, Fatal> {
        Ok(Self)
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        let waiting = WAITING.lock().unwrap();
        waiting.as_ref().unwrap().send(batch).map_err(Fail::fatal)
    }

    fn flush(&mut self, _: Deadline) -> Result<Durable, Fail> {
        Ok(Durable::All)
    }
}

callmeter_plugin_sdk::export!(Catcher);

/// Sends batches through the whole boundary and returns what arrived.
fn through(batches: &[RecordBatch]) -> Vec<Batch> {
    let (sender, receiver) = mpsc::channel();
    *WAITING.lock().unwrap() = Some(sender);
    let dir = tempfile::tempdir().unwrap();
    let mut options = RigOptions::library("/none", dir.path());
    options.source = PluginSource::Static(callmeter_plugin_sdk::entry::init::<Catcher>);
    let rig = Rig::start(options);
    for batch in batches {
        rig.append(Stream::Calls, batch.clone());
    }
    rig.settle(PATIENCE).unwrap();
    assert!(rig.stop(PATIENCE));
    receiver.try_iter().collect()
}

/// A value as the view gives it, and as arrow-rs does, in one form.
fn seen(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
        Value::Float(v) => format!("{:016x}", v.to_bits()),
        Value::Text(v) => format!("{v:?}"),
        Value::Timestamp(v) => format!("t{}", v.micros()),
        Value::Decimal(v) => format!("d{v}"),
        Value::List(list) => format!("[{}]", list.iter().map(seen).collect::<Vec<_>>().join(",")),
        Value::Struct(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, v)| format!("{name}:{}", seen(v)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => panic!("{other:?}"),
    }
}

fn expected(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_owned();
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => format!(
            "{:016x}",
            array.as_primitive::<Float64Type>().value(row).to_bits()
        ),
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(row)),
        DataType::Timestamp(_, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            format!("t{}", Timestamp::from_micros(micros).micros())
        }
        DataType::Decimal128(_, scale) => {
            format!(
                "d{}",
                Decimal::new(array.as_primitive::<Decimal128Type>().value(row), *scale)
            )
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let items: Vec<_> = (0..items.len()).map(|i| expected(&items, i)).collect();
            format!("[{}]", items.join(","))
        }
        DataType::Struct(fields) => {
            let members = array.as_struct();
            let members: Vec<_> = fields
                .iter()
                .zip(members.columns())
                .map(|(field, column)| format!("{}:{}", field.name(), expected(column, row)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => panic!("{other}"),
    }
}

/// The same value by way of the column's type.
fn typed<'a>(column: &Column<'a>, row: usize) -> Value<'a> {
    let text = column.texts().map(|texts| texts.get(row).map(Value::Text));
    let int = column.ints().map(|ints| ints.get(row).map(Value::Int));
    let time = column
        .times()
        .map(|times| times.get(row).map(Value::Timestamp));
    let truth = column
        .truths()
        .map(|truths| truths.get(row).map(Value::Bool));
    let list = column.lists().map(|lists| lists.get(row).map(Value::List));
    match text.or(int).or(time).or(truth).or(list) {
        Some(value) => value.unwrap_or(Value::Null),
        None => column.value(row),
    }
}

fn compare(sent: &RecordBatch, got: &Batch) {
    assert_eq!(got.len(), sent.num_rows());
    for column in got.columns() {
        let original = sent.column_by_name(column.name()).unwrap();
        for row in 0..sent.num_rows() {
            assert_eq!(
                seen(column.value(row)),
                expected(original, row),
                "{} of row {row}",
                column.name()
            );
            assert_eq!(seen(typed(&column, row)), expected(original, row));
            if let Value::List(list) = column.value(row)
                && let Some(texts) = list.texts()
            {
                let texts: Vec<_> = texts
                    .map(|text| text.map_or(Value::Null, Value::Text))
                    .collect();
                assert_eq!(format!("{texts:?}"), format!("{list:?}"));
            }
        }
        assert_eq!(seen(typed(&column, sent.num_rows())), "null");
        let text = original.as_string_opt::<i32>().map(|array| {
            let offsets = array.value_offsets();
            let (first, last) = (offsets.first().unwrap(), offsets.last().unwrap());
            let range = usize::try_from(*first).unwrap()..usize::try_from(*last).unwrap();
            array.value_data().get(range).unwrap()
        });
        assert_eq!(column.all_text().map(str::as_bytes), text);
    }
}

#[test]
fn the_view_reads_what_arrow_reads() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
    let batches = prop::collection::vec(
        (
            0..60_usize,
            0..=100_u8,
            any::<u64>(),
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
        ),
        1..20,
    );
    runner
        .run(&batches, |recipes| {
            let sent: Vec<_> = recipes
                .into_iter()
                .map(|(rows, nulls, seed, offset, length)| {
                    let whole = generate::any_batch(rows, nulls, seed);
                    let offset = offset.index(rows + 1);
                    whole.slice(offset, length.index(rows - offset + 1))
                })
                .collect();
            let got = through(&sent);
            prop_assert_eq!(got.len(), sent.len());
            for (sent, got) in sent.iter().zip(&got) {
                compare(sent, got);
            }
            // And back into arrow-rs, without a copy.
            for (sent, got) in sent.iter().zip(got) {
                prop_assert_eq!(&RecordBatch::try_from(got).unwrap(), sent);
            }
            Ok(())
        })
        .unwrap();
}

/// Every column that callmeter sends has an accessor of its type, and every accessor has a column.
#[test]
fn the_row_tables_are_the_schemas() {
    for (stream, (name, columns)) in Stream::ALL.into_iter().zip(described::SCHEMAS) {
        assert_eq!(stream.schema_name(), name);
        compare_table(name, stream.schema().fields(), columns);
    }
    let calls = Stream::Calls.schema();
    for (column, members) in described::STRUCTS {
        let fields = match calls.field_with_name(column).unwrap().data_type() {
            DataType::Struct(fields) => fields.clone(),
            DataType::List(item) => match item.data_type() {
                DataType::Struct(fields) => fields.clone(),
                other => panic!("{column} is a list of {other}"),
            },
            other => panic!("{column} is {other}"),
        };
        compare_table(column, &fields, members);
    }
}

fn compare_table(name: &str, fields: &arrow_schema::Fields, columns: &[described::Column]) {
    use described::ColumnKind;
    let sent: Vec<_> = fields
        .iter()
        .map(|field| {
            let kind = match field.data_type() {
                DataType::Utf8 => ColumnKind::Text,
                DataType::Int32 | DataType::Int64 => ColumnKind::Int,
                DataType::Boolean => ColumnKind::Flag,
                DataType::Timestamp(_, _) => ColumnKind::Time,
                DataType::Decimal128(_, _) => ColumnKind::Decimal,
                DataType::List(_) => ColumnKind::List,
                DataType::Struct(_) => ColumnKind::Struct,
                other => panic!("{}: {other}", field.name()),
            };
            (field.name().clone(), kind)
        })
        .collect();
    let known: Vec<_> = columns
        .iter()
        .map(|column| (column.name.to_owned(), column.kind))
        .collect();
    assert_eq!(known, sent, "{name}");
    for (column, field) in columns.iter().zip(fields) {
        assert!(
            !(column.required && field.is_nullable()),
            "{name}: {} may be null",
            column.name
        );
    }
}
