//! Links the library so that it is never unloaded: threads of it, or what they leave behind, may outlive its use.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
