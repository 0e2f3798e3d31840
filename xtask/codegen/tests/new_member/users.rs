//! Follows a member that was added to the spec through everything that users see.

#[expect(dead_code, reason = "other conversions are not used here")]
#[path = "../../callmeter/src/sources/hostedsuite/convert.rs"]
mod convert;

use callmeter_plugin_sdk::{Batch, Deadline, Host, OutputPlugin, Stream};
use callmeter_records::{BatchHead, CallsBuilder, CallsView, TimeReader};
use hostedsuite_client::{CallsPage, Format};

#[test]
fn the_member_arrives() {
    let body = r#"{"Items":[{"Id":"1","QueueName":"sales"}]}"#;
    let page = CallsPage::parse(body.into(), Format::Json).unwrap();
    let call = page.calls().next().unwrap().unwrap();
    assert_eq!(call.to_record().queue_name.as_deref(), Some("sales"));

    let mut times = TimeReader::named("UTC").unwrap();
    let mut builder = CallsBuilder::new();
    convert::CallConverter::new(&mut times).convert(call, |call| builder.append(call));
    let head = BatchHead {
        account: "acme",
        first_sequence: 1,
        observed_at: 1_786_005_900_000_000,
    };
    let batch = builder.finish(&head).unwrap();
    assert!(batch.schema().field_with_name("queue_name").is_ok());
    let view = CallsView::new(&batch).unwrap();
    assert_eq!(view.row(0).unwrap().queue_name(), Some("sales"));

    let batch = Batch::for_tests(Stream::Calls, 1, [1; 16], batch).unwrap();
    let call = batch.calls().unwrap().next().unwrap();
    assert_eq!(call.queue_name(), Some("sales"));
    let directory = std::env::temp_dir().join(format!("callmeter-proof-{}", std::process::id()));
    let config = serde_json::json!({ "directory": directory });
    let config = serde_json::from_value(config).unwrap();
    let mut output = callmeter_csv::CsvOutput::create(Host::for_tests("csv"), config).unwrap();
    output.write(batch).unwrap();
    output.flush(Deadline::within(std::time::Duration::from_secs(60))).unwrap();
    drop(output);
    let file = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("calls-"))
        .unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let header = text.lines().next().unwrap();
    assert!(header.split(',').any(|name| name == "queue_name"), "{text}");
}
