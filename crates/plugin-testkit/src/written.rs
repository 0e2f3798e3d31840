//! Looks for the ids of records in what a plugin has written.

use std::collections::HashSet;
use std::path::Path;

/// Checks that every id is a word of the file, or of a file in the directory or below it.
pub(crate) fn holds(place: &Path, ids: impl Iterator<Item = String>) -> Result<(), String> {
    let mut missing: HashSet<String> = ids.collect();
    strike_out(place, &mut missing).map_err(|error| format!("{}: {error}", place.display()))?;
    let count = missing.len();
    match missing.into_iter().min() {
        None => Ok(()),
        Some(first) => Err(format!(
            "{}: {count} calls were acknowledged but are not in it as plain text, such as {first}",
            place.display()
        )),
    }
}

fn strike_out(place: &Path, missing: &mut HashSet<String>) -> std::io::Result<()> {
    if place.is_dir() {
        for entry in std::fs::read_dir(place)? {
            strike_out(&entry?.path(), missing)?;
        }
        return Ok(());
    }
    let bytes = std::fs::read(place)?;
    let text = String::from_utf8_lossy(&bytes);
    for word in text.split(|letter: char| !letter.is_alphanumeric() && letter != '-') {
        missing.remove(word);
    }
    Ok(())
}
