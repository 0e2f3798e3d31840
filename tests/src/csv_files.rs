//! The rows of CSV files while an output writes them.

use std::collections::BTreeMap;
use std::path::Path;

/// A row: its values by the titles of their columns.
pub type CsvRow = BTreeMap<String, String>;

/// The complete rows in the files of a directory whose names begin with `prefix`.
///
/// The output is at work meanwhile: a new file has no header yet, the last row may be half written,
/// and a file gets another name when it is finished. That is no error here: such rows are missing.
/// When the output has ended, a test can check that no row is torn.
pub fn csv_rows_so_far(directory: &Path, prefix: &str) -> Vec<CsvRow> {
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let end = path.extension().and_then(|end| end.to_str());
        let is_wanted = entry.file_name().to_string_lossy().starts_with(prefix)
            && matches!(end, Some("csv" | "partial"));
        if is_wanted && let Ok(content) = std::fs::read(&path) {
            rows.extend(complete_rows(&content));
        }
    }
    rows
}

fn complete_rows(content: &[u8]) -> Vec<CsvRow> {
    let mut reader = csv::Reader::from_reader(&content[..end_of_rows(content)]);
    let Ok(titles) = reader.headers().cloned() else {
        return Vec::new();
    };
    let rows = reader.records().map_while(Result::ok);
    rows.map(|row| {
        let values = titles.iter().zip(&row);
        values
            .map(|(title, value)| (title.to_owned(), value.to_owned()))
            .collect()
    })
    .collect()
}

/// Where the last complete row ends. A line break within quotes ends none.
fn end_of_rows(content: &[u8]) -> usize {
    let (mut end, mut is_quoted) = (0, false);
    for (place, byte) in content.iter().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => end = place + 1,
            _ => {}
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_complete_is_read() {
        let whole = "id,notes\n1,\"a\nb\"\n2,c\n";
        let rows: Vec<usize> = (0..=whole.len())
            .map(|end| complete_rows(&whole.as_bytes()[..end]).len())
            .collect();
        let first = whole.find("2,c").unwrap();
        assert!(rows[..first].iter().all(|rows| *rows == 0), "{rows:?}");
        assert!(rows[first..whole.len()].iter().all(|rows| *rows == 1));
        assert_eq!(rows[whole.len()], 2);
        assert_eq!(complete_rows(whole.as_bytes())[0]["notes"], "a\nb");

        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(directory.path().join(name), whole).unwrap();
        assert!(csv_rows_so_far(&directory.path().join("none"), "").is_empty());
        for name in [
            "calls-1.csv",
            "calls-2.csv.partial",
            "rates.csv",
            "calls.state",
        ] {
            write(name);
        }
        assert_eq!(csv_rows_so_far(directory.path(), "calls").len(), 4);
        assert_eq!(csv_rows_so_far(directory.path(), "").len(), 6);
    }
}
