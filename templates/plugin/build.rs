//! Links the library with `-z nodelete`, because a plugin is never unloaded.

fn main() {
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
}
