//! callmeter's webhook output.
