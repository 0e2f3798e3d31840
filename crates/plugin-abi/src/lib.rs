//! The C ABI of callmeter's output plugins.
