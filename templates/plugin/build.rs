//! A plugin stays in memory once it is loaded; this says so to any program that loads it.

fn main() {
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
}
