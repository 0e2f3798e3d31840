//! The callmeter program.
fn main() {}
