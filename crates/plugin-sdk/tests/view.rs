//! Batches read in place: every type, nulls, offsets at every level, and memory of a wrong form.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::redundant_closure_for_method_calls,
    reason = "plays the host of the C ABI; a test fails by panicking"
)]

mod common;

use std::sync::mpsc;

use callmeter_plugin_sdk::batch::{Decimal, Timestamp, Value};
use callmeter_plugin_sdk::{Batch, BatchError, Deadline, Durable, Fail, Fatal, Host, Outcome};
use callmeter_plugin_sdk::{OutputPlugin, RawConfig, Stream};
use common::{Driven, Node, Produced};

/// Hands every batch to the test, through a channel whose address is its configuration.
struct Catcher(mpsc::Sender<Batch>);

static CAUGHT: std::sync::Mutex<Vec<(String, mpsc::Sender<Batch>)>> =
    std::sync::Mutex::new(Vec::new());

impl OutputPlugin for Catcher {
    const NAME: &'static str = "catcher";
    type Config = RawConfig;

    fn create(_: Host, config: RawConfig) -> Result<Self, Fatal> {
        let name = String::from_utf8(config.0)?;
        let known = CAUGHT.lock().unwrap();
        let sender = known
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, sender)| sender.clone());
        sender.map(Self).ok_or_else(|| Fatal::new("nobody waits"))
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        self.0.send(batch).map_err(Fail::fatal)
    }

    fn flush(&mut self, _: Deadline) -> Result<Durable, Fail> {
        Ok(Durable::All)
    }
}

callmeter_plugin_sdk::export!(Catcher);

/// Sends a batch through the whole boundary.
fn through(test: &str, produced: &mut Produced, kind: u32) -> Result<Batch, String> {
    let (sender, receiver) = mpsc::channel();
    CAUGHT.lock().unwrap().push((test.to_owned(), sender));
    let mut driven = Driven::init(callmeter_plugin_sdk::entry::init::<Catcher>);
    assert_eq!(driven.create(test.as_bytes()), 0, "{}", driven.message());
    let batch = produced.batch(kind, 1);
    match driven.write(&batch) {
        0 => Ok(receiver.recv().unwrap()),
        status => Err(format!("{status}: {}", driven.message())),
    }
}

/// Four calls with every type, nulls, empty and filled lists.
fn calls() -> Vec<(&'static str, Node)> {
    let mut columns = common::common(4);
    let interaction = Node::Struct(
        vec![
            (
                "start_time",
                Node::Time(vec![Some(1), Some(2), None, Some(4)]),
            ),
            (
                "type",
                Node::Text(vec![Some("Answer"), Some("Hold"), Some("Hangup"), None]),
            ),
            (
                "description",
                Node::Text(vec![None, Some("ü"), None, Some("")]),
            ),
        ],
        vec![true, true, true, true],
    );
    let previous = Node::Struct(
        vec![
            ("revision", Node::Int32(vec![None, None, Some(3), None])),
            ("talk_ms", Node::Int64(vec![None, None, Some(77), None])),
        ],
        vec![false, false, true, false],
    );
    columns.extend([
        (
            "id",
            Node::Text(vec![Some("a"), None, Some("żółć"), Some("")]),
        ),
        (
            "start_time",
            Node::Time(vec![Some(-1), None, Some(0), Some(1)]),
        ),
        (
            "talk_ms",
            Node::Int64(vec![Some(1_500), None, Some(i64::MAX), Some(i64::MIN)]),
        ),
        (
            "hold_count",
            Node::Int32(vec![None, Some(-2), Some(0), Some(7)]),
        ),
        (
            "flagged",
            Node::Bool(vec![Some(true), Some(false), None, Some(true)]),
        ),
        (
            "interactions",
            Node::List(vec![Some(1), None, Some(0), Some(3)], Box::new(interaction)),
        ),
        (
            "completed_form_ids",
            Node::List(
                vec![Some(0), Some(2), None, Some(1)],
                Box::new(Node::Text(vec![Some("f1"), Some("f2"), Some("f3")])),
            ),
        ),
        ("previous", previous),
        (
            "price",
            Node::Decimal(vec![Some(12_500_000_000), None, Some(-1), Some(0)]),
        ),
        (
            "share",
            Node::Float64(vec![Some(0.5), Some(f64::NAN), None, Some(f64::INFINITY)]),
        ),
        ("later", Node::Strange(4)),
    ]);
    columns
}

/// Arrow arrays of type null have no buffers at all.
#[test]
fn columns_without_buffers_read_as_null() {
    for (format, rows) in [("n", 4), ("n", 0)] {
        let mut columns = common::common(rows);
        columns.push(("later", Node::Bare(format, rows)));
        columns.push((
            "members",
            Node::Struct(vec![("inner", Node::Bare(format, rows))], vec![true; rows]),
        ));
        let mut produced = Produced::new(rows, columns, 3);
        let batch = through(&format!("bare {format} {rows}"), &mut produced, 1).unwrap();
        assert_eq!(batch.len(), rows);
        let column = batch.column("later").unwrap();
        for row in 0..=rows {
            assert!(column.is_null(row));
            assert!(matches!(column.value(row), Value::Null));
            assert_eq!(column.text(row), None);
        }
        assert_eq!(batch.to_ndjson().lines().count(), rows);
    }
}

#[test]
fn values_are_the_same_at_every_offset() {
    for skip in [0, 1, 7, 13] {
        let mut produced = Produced::new(4, calls(), skip);
        let batch = through(&format!("values {skip}"), &mut produced, 1).unwrap();
        assert_eq!(
            (batch.len(), batch.stream(), batch.schema_name()),
            (4, Stream::Calls, "calls/1")
        );
        assert_eq!(batch.id_hex(), "01".repeat(16));
        let calls: Vec<_> = batch.calls().unwrap().collect();

        let ids: Vec<_> = calls.iter().map(|call| call.id()).collect();
        assert_eq!(ids, [Some("a"), None, Some("żółć"), Some("")]);
        let sequences: Vec<_> = calls.iter().map(|call| call.sequence()).collect();
        assert_eq!(sequences, [1, 2, 3, 4]);
        let times: Vec<_> = calls
            .iter()
            .map(|call| call.start_time().map(Timestamp::micros))
            .collect();
        assert_eq!(times, [Some(-1), None, Some(0), Some(1)]);
        let talk: Vec<_> = calls.iter().map(|call| call.talk_ms()).collect();
        assert_eq!(talk, [Some(1_500), None, Some(i64::MAX), Some(i64::MIN)]);
        let holds: Vec<_> = calls.iter().map(|call| call.hold_count()).collect();
        assert_eq!(holds, [None, Some(-2), Some(0), Some(7)]);
        let flags: Vec<_> = calls.iter().map(|call| call.flagged()).collect();
        assert_eq!(flags, [Some(true), Some(false), None, Some(true)]);

        let steps: Vec<Vec<_>> = calls
            .iter()
            .map(|call| {
                call.interactions()
                    .map(|step| (step.interaction_type(), step.description()))
                    .collect()
            })
            .collect();
        assert_eq!(steps[0], [(Some("Answer"), None)]);
        assert_eq!((steps[1].len(), steps[2].len()), (0, 0));
        assert_eq!(
            steps[3],
            [
                (Some("Hold"), Some("ü")),
                (Some("Hangup"), None),
                (None, Some(""))
            ]
        );

        let forms: Vec<Vec<_>> = calls
            .iter()
            .map(|call| call.completed_form_ids().collect())
            .collect();
        assert_eq!(forms, [vec![], vec!["f1", "f2"], vec![], vec!["f3"]]);

        let previous: Vec<_> = calls.iter().map(|call| call.previous()).collect();
        assert!(previous[0].is_none() && previous[1].is_none() && previous[3].is_none());
        let was = previous[2].unwrap();
        assert_eq!(
            (was.revision(), was.talk_ms(), was.ring_ms()),
            (Some(3), Some(77), None)
        );

        // What no table knows is reached by name.
        let row = batch.rows().nth(2).unwrap();
        assert!(matches!(row.get("price"), Value::Decimal(d) if d == Decimal::new(-1, 9)));
        assert!(matches!(row.get("share"), Value::Null));
        assert!(matches!(row.get("later"), Value::Null));
        assert!(matches!(row.get("no such column"), Value::Null));
        // A column of another table is absent here and reads as none.
        assert_eq!(calls[0].caller_number(), None);
        // Behind the last row there is nothing.
        assert!(matches!(batch.column("id").unwrap().value(4), Value::Null));
    }
}

#[test]
fn rows_become_json() {
    let mut produced = Produced::new(4, calls(), 5);
    let batch = through("json", &mut produced, 1).unwrap();
    let json = batch.to_ndjson();
    let lines: Vec<&str> = json.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[0],
        "{\"account\":\"acme\",\"sequence\":1,\"revision\":0,\"change\":\"new\",\
         \"observed_at\":\"1970-01-01T00:00:01Z\",\"id\":\"a\",\
         \"start_time\":\"1969-12-31T23:59:59.999999Z\",\"talk_ms\":1500,\"hold_count\":null,\
         \"flagged\":true,\"interactions\":[{\"start_time\":\"1970-01-01T00:00:00.000001Z\",\
         \"type\":\"Answer\",\"description\":null}],\"completed_form_ids\":[],\"previous\":null,\
         \"price\":\"12.5\",\"share\":0.5,\"later\":null}"
    );
    assert!(
        lines[1].contains("\"share\":null"),
        "NaN has no form in JSON"
    );
}

#[test]
fn a_batch_without_rows_is_read() {
    let mut produced = Produced::new(0, common::common(0), 0);
    let batch = through("empty", &mut produced, 1).unwrap();
    assert!(batch.is_empty());
    assert_eq!(batch.calls().unwrap().count(), 0);
    assert_eq!(batch.to_ndjson(), "");
}

#[test]
fn rows_of_another_stream_or_type_are_an_error() {
    let mut produced = Produced::new(1, common::common(1), 0);
    let batch = through("other stream", &mut produced, 2).unwrap();
    assert_eq!(
        batch.calls().err(),
        Some(BatchError::OtherStream {
            wanted: "calls",
            found: "balances"
        })
    );
    assert_eq!(batch.balances().unwrap().count(), 1);

    let mut columns = common::common(1);
    columns.push(("talk_ms", Node::Text(vec![Some("12")])));
    let batch = through("other type", &mut Produced::new(1, columns, 0), 1).unwrap();
    let error = batch.calls().err().unwrap().to_string();
    assert_eq!(error, "column talk_ms: it is Utf8, and Int is expected");

    let mut columns = common::common(1);
    columns.remove(0);
    let batch = through("missing", &mut Produced::new(1, columns, 0), 1).unwrap();
    assert_eq!(
        batch.calls().err().unwrap().to_string(),
        "column account: it is missing"
    );

    // A stream of the future can be read by name.
    let batch = through("future", &mut Produced::new(1, common::common(1), 0), 99).unwrap();
    assert_eq!(batch.stream(), Stream::Other(99));
    assert!(matches!(
        batch.rows().next().unwrap().get("account"),
        Value::Text("acme")
    ));
}

/// Changes something in the array before it crosses.
fn refused(
    test: &str,
    columns: Vec<(&'static str, Node)>,
    damage: impl FnOnce(&mut Produced),
) -> String {
    let mut produced = Produced::new(2, columns, 1);
    damage(&mut produced);
    let error = through(test, &mut produced, 1).unwrap_err();
    assert_eq!(
        produced.released(),
        1,
        "released exactly once, also when refused"
    );
    error
}

#[test]
fn memory_of_a_wrong_form_is_refused() {
    let two = || common::common(2);
    let text = |bytes| vec![("t", Node::Bytes(bytes))];
    assert_eq!(
        refused("f1", two(), |p| p.array.length = -1),
        "2: the batch is malformed: the batch has offset 1 and length -1"
    );
    assert_eq!(
        refused("f2", two(), |p| p.array.length = 9),
        "2: the batch is malformed: column account has 3 rows of 10"
    );
    assert_eq!(
        refused("f3", two(), |p| p.array.offset = i64::MAX),
        "2: the batch is malformed: the batch has offset 9223372036854775807 and length 2".replace(
            "the batch has offset 9223372036854775807 and length 2",
            "column account has 3 rows of 9223372036854775809"
        )
    );
    assert_eq!(
        refused("f4", two(), |p| p.array.n_buffers = 2),
        "2: the batch is malformed: the batch has 2 buffers of 1"
    );
    assert_eq!(
        refused("f5", text(vec![b"ok", b"\xff\xfe"]), |_| ()),
        "2: the batch is malformed: column t is not UTF-8"
    );
    // All of it is UTF-8, but a value ends inside a character.
    assert_eq!(
        refused("f6", text(vec![b"\xc3", b"\xbc"]), |_| ()),
        "2: the batch is malformed: column t cuts a character in two"
    );
    let child = |p: &mut Produced, i: usize| unsafe { *p.array.children.add(i) };
    assert_eq!(
        refused("f7", two(), |p| {
            let child = child(p, 0);
            unsafe {
                let offsets = (*(*child).buffers.add(1)).cast_mut().cast::<i32>();
                offsets.add(2).write_unaligned(-3);
            }
        }),
        "2: the batch is malformed: the offsets of column account go backwards"
    );
    assert_eq!(
        refused("f8", two(), |p| {
            let child = child(p, 1);
            unsafe { *(*child).buffers.add(1) = std::ptr::null() }
        }),
        "2: the batch is malformed: sequence lacks buffer 1"
    );
    assert_eq!(
        refused("f9", two(), |p| p.schema.format = c"u".as_ptr()),
        "2: the batch is malformed: its schema is not a struct of columns"
    );
    assert_eq!(
        refused("f10", two(), |p| p.schema.n_children = 99_999),
        "2: the batch is malformed: column  has 99999 children"
    );
}
