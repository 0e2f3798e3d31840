//! Conformance tests for callmeter output plugins.
