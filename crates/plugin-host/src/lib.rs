//! Loads, feeds and isolates callmeter's output plugins.
