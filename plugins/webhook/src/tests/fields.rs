//! `fields`: which columns are sent, and which names are refused.

use arrow_array::RecordBatch;
use callmeter_plugin_sdk::{Batch, OutputPlugin as _, Stream};
use serde_json::{Value, json};

use super::server::{Answer, Server};
use super::{batch, calls, create};
use crate::{Config, Webhook};

fn sent(fields: &[&str], batch: Batch) -> Value {
    let server = Server::start(|_| Answer::status(200));
    let mut webhook = create(&json!({"url": server.url("/"), "fields": fields})).unwrap();
    webhook.write(batch).unwrap();
    let mut body: Value = serde_json::from_slice(&server.requests().remove(0).body).unwrap();
    body["data"].take()
}

#[test]
fn fields_are_selected_and_stay_redacted() {
    assert_eq!(
        sent(&["id", "notes"], batch(1, 1)),
        json!([{"account": "acme", "sequence": 1, "id": "id-1", "notes": "[redacted]"}])
    );
}

/// An output may have several streams, and each has columns that others do not have.
#[test]
fn a_record_of_a_stream_without_any_of_the_fields_is_not_empty() {
    assert_eq!(
        sent(&["period_start"], batch(1, 2)),
        json!([{"account": "acme", "sequence": 1}, {"account": "acme", "sequence": 2}])
    );
}

#[test]
fn a_field_that_no_stream_has_is_refused_and_the_closest_is_named() {
    for (field, expected) in [
        (
            "xyz",
            "`fields`: no stream has the column \"xyz\"; docs/RECORDS.md lists them",
        ),
        (
            "caller_nummer",
            "`fields`: no stream has the column \"caller_nummer\"; did you mean \"caller_number\"?",
        ),
        (
            "Id",
            "`fields`: no stream has the column \"Id\"; did you mean \"id\"?",
        ),
    ] {
        let config = json!({"url": "https://h/", "fields": ["id", field]});
        assert_eq!(create(&config).unwrap_err(), expected);
        let config: Config = serde_json::from_value(config).unwrap();
        assert_eq!(Webhook::check(&config).unwrap_err().reason(), expected);
    }
    for stream in [
        Stream::Calls,
        Stream::Balances,
        Stream::Rates,
        Stream::Billing,
    ] {
        let all: Vec<_> = stream.columns().collect();
        let config = json!({"url": "https://h/", "fields": all});
        assert!(create(&config).is_ok() && !all.is_empty(), "{stream:?}");
    }
}

/// What the SDK says of the columns is what callmeter sends.
#[test]
fn the_columns_of_a_stream_are_those_of_its_batches() {
    let records: RecordBatch = calls(1);
    let schema = records.schema();
    let sent: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let known: Vec<&str> = Stream::Calls.columns().collect();
    assert_eq!(known, sent);
    assert_eq!(Stream::Other(9).columns().count(), 0);
}
