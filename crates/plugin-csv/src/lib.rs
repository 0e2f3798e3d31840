//! callmeter's CSV output.
