//! Checks that the plugin follows callmeter's rules.

callmeter_plugin_testkit::conformance!("{{crate_name}}", |dir| {
    String::from("{\"path\": \"") + &dir.join("lines").display().to_string() + "\"}"
});
