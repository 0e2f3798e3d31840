//! The library as callmeter loads it.

callmeter_plugin_testkit::conformance!("callmeter_csv", |directory| {
    serde_json::json!({"directory": directory.join("csv"), "compress": "gzip"}).to_string()
});
