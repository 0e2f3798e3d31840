//! The name of an entry's cursor in the journal.

/// The cursor of an entry. No output has a slash in its name.
pub(super) fn cursor_of(name: &str) -> String {
    format!("charges/{name}")
}
