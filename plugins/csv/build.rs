//! Links the library with `-z nodelete`: its threads may outlive its use, so it must stay loaded.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
