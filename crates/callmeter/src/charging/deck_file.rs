//! Reads a rate deck from a file: an export of the PBX, or its rates as JSON.

use std::io;
use std::path::{Path, PathBuf};

use api_client::ErrorKind;
use callmeter_rating::{Built, Deck, Options, ProblemKind};
use portsip_client::{CallRate, ExportReader};
use serde_json::value::RawValue;

use super::deck_rows::rating_row;
use crate::sources::OwnedDeck;

/// The largest file that is read.
const MAX_BYTES: u64 = 512 << 20;

/// Why a file is no deck.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeckFileError {
    /// It cannot be read.
    #[error("cannot read the deck {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// It is neither an export nor JSON of rates.
    #[error("{path} is no deck: {reason}")]
    NoDeck {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl DeckFileError {
    /// The label `reason` of a failed poll.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } => ErrorKind::Local.as_str(),
            Self::NoDeck { .. } => ErrorKind::Unreadable.as_str(),
        }
    }
}

/// A deck as it was read.
pub(crate) struct DeckFile {
    /// The rates, in the order of the file.
    pub(crate) rates: Vec<CallRate>,
    /// The row of each of them, from 1, without the header.
    rows: Vec<u64>,
    /// The rows that cannot be read, with the reasons.
    pub(crate) unreadable: Vec<String>,
}

impl DeckFile {
    fn new(rows: impl Iterator<Item = Result<CallRate, String>>) -> Self {
        let mut deck = Self {
            rates: Vec::new(),
            rows: Vec::new(),
            unreadable: Vec::new(),
        };
        for (number, row) in (1..).zip(rows) {
            match row {
                Ok(rate) => {
                    deck.rates.push(rate);
                    deck.rows.push(number);
                }
                Err(reason) => deck
                    .unreadable
                    .push(format!("row {number} cannot be read: {reason}")),
            }
        }
        deck
    }
}

/// Reads a file: CSV with a header like that of the PBX's export, or JSON like that of its list,
/// which is `{"items": […]}` or the bare list.
pub(crate) fn read(path: &Path) -> Result<DeckFile, DeckFileError> {
    let bytes =
        read_file_timeout::read_file(path, MAX_BYTES).map_err(|source| DeckFileError::Read {
            path: path.to_owned(),
            source,
        })?;
    let is_json = bytes
        .iter()
        .find(|byte| !byte.is_ascii_whitespace())
        .is_some_and(|byte| matches!(byte, b'{' | b'['));
    let deck = if is_json { json(&bytes) } else { csv(&bytes) };
    deck.map_err(|reason| DeckFileError::NoDeck {
        path: path.to_owned(),
        reason,
    })
}

fn csv(bytes: &[u8]) -> Result<DeckFile, String> {
    let mut reader = ExportReader::new();
    reader.push(bytes);
    reader.end();
    let mut rows = Vec::new();
    while let Some(rate) = reader.next().map_err(|error| error.to_string())? {
        rows.push(rate.map_err(|error| error.reason));
    }
    Ok(DeckFile::new(rows.into_iter()))
}

fn json(bytes: &[u8]) -> Result<DeckFile, String> {
    /// The members keep their text, so that money stays exact.
    #[derive(serde::Deserialize)]
    struct Page {
        items: Vec<Box<RawValue>>,
    }
    let bytes = bytes.trim_ascii_start();
    let rows = match bytes.first() {
        Some(b'[') => serde_json::from_slice(bytes),
        _ => serde_json::from_slice(bytes).map(|page: Page| page.items),
    };
    let rows = rows.map_err(|error| {
        format!("it is neither a list of rates nor an object with the list `items`: {error}")
    })?;
    let rates = rows.into_iter().map(|row| serde_json::from_str(row.get()));
    Ok(DeckFile::new(rates.map(|rate| {
        rate.map_err(|error: serde_json::Error| error.to_string())
    })))
}

/// A deck that was built of a file, and the rows that cannot be read.
pub(crate) struct FileDeck {
    pub(crate) built: Built,
    pub(crate) unreadable: Vec<String>,
}

/// Reads a file and builds its deck.
pub(crate) fn deck_of_file(path: &Path, options: &Options) -> Result<FileDeck, String> {
    let file = read(path).map_err(|error| error.to_string())?;
    let deck = OwnedDeck::with_repeats(file.rates.into_iter());
    let records = deck.records();
    let rows = records.iter().map(rating_row);
    let mut built = Deck::build(rows, options).map_err(|error| error.to_string())?;
    // The rows of the file, not of the rates that can be read.
    let row_of = |rate: u64| {
        let place = usize::try_from(rate)
            .ok()
            .and_then(|rate| rate.checked_sub(1));
        place
            .and_then(|place| file.rows.get(place))
            .copied()
            .unwrap_or(rate)
    };
    for problem in &mut built.problems {
        problem.row = row_of(problem.row);
        if let ProblemKind::Duplicate { first, .. } = &mut problem.kind {
            *first = row_of(*first);
        }
    }
    Ok(FileDeck {
        built,
        unreadable: file.unreadable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_give_the_same_rates() {
        let csv_text = "\u{feff}Prefix,Type,Free Seconds,Grace Period,Interval 1,Interval N,Connect Fee,Post Call Surcharge,Price 1,Price N\n\
             4179,MOBILE,15,0,60,30,0.1,0.05,0.6,0.3\n41,LOCAL,0,0,1\n";
        let json_text = r#"{"count":2,"items":[{"prefix":"4179","type":"MOBILE","free_seconds":15,"grace_period":0,
            "interval_1":60,"interval_n":30,"connect_fee":0.1,"postcall_surcharge":0.05,"price_1":0.6,"price_n":0.3},7]}"#;
        let from_csv = csv(csv_text.as_bytes()).unwrap();
        let from_json = json(json_text.as_bytes()).unwrap();
        assert_eq!(from_csv.rates, from_json.rates);
        assert_eq!(from_csv.unreadable.len(), 1);
        assert_eq!(from_json.unreadable.len(), 1);
        assert!(json(b"{}").is_err());
        assert!(csv(b"a,b\n1,2\n").is_err());
        assert!(csv(b"").is_err());
    }

    #[test]
    fn rows_are_those_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deck.csv");
        let header = "Prefix,Type,Free Seconds,Grace Period,Interval 1,Interval N,Connect Fee,Post Call Surcharge,Price 1,Price N";
        let good = "41,A,0,0,60,60,0,0,0.5,0.5";
        let twice = "41,A,0,0,60,60,0,0,0.7,0.7";
        std::fs::write(&path, format!("{header}\n41,LOCAL,0\n{good}\nx\n{twice}\n")).unwrap();
        let deck = deck_of_file(&path, &Options::default()).unwrap();
        let unreadable: Vec<_> = deck.unreadable.iter().map(|row| &row[..5]).collect();
        assert_eq!(unreadable, ["row 1", "row 3"]);
        let problems: Vec<_> = deck
            .built
            .problems
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with("row 4 ") && problems[0].contains("row 2 has"),
            "{problems:?}"
        );
    }

    /// Whether a call to +41 is charged by a deck of one rate with this value.
    fn is_charged(column: &str, value: &str) -> bool {
        let mut rate = vec![
            ("prefix", "41"),
            ("type", "A"),
            ("connect_fee", "0"),
            ("interval_1", "60"),
            ("price_1", "0"),
            ("free_seconds", "0"),
            ("interval_n", "60"),
            ("price_n", "0"),
            ("grace_period", "0"),
            ("postcall_surcharge", "0"),
        ];
        let names: Vec<_> = rate.iter().map(|(name, _)| *name).collect();
        for (name, text) in &mut rate {
            if *name == column {
                *text = value;
            }
        }
        let values: Vec<_> = rate.iter().map(|(_, value)| *value).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deck.csv");
        std::fs::write(
            &path,
            format!("{}\n{}\n", names.join(","), values.join(",")),
        )
        .unwrap();
        let deck = deck_of_file(&path, &Options::default()).unwrap();
        let said = deck.built.problems.len() + deck.unreadable.len();
        let usable = deck.built.deck.has_usable_rate();
        assert_eq!(said == 0, usable, "{column} {value}: it is said why not");
        usable
    }

    /// The ranges of docs/CHARGES.md are those of the program.
    #[test]
    fn each_value_has_the_range_of_the_documentation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CHARGES.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (_, table) = page
            .split_once("| value | least | most |\n|---|---|---|\n")
            .unwrap();
        let (table, _) = table.split_once("\n\n").unwrap();
        let mut columns = 0;
        for line in table.lines() {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let (least, most) = (cells[2], cells[3]);
            for column in cells[1].split(", ").map(|name| name.trim_matches('`')) {
                columns += 1;
                if column == "prefix" {
                    let digits = |text: &str| "4".repeat(text.parse().unwrap());
                    assert!(
                        is_charged(column, &digits(least)) && is_charged(column, &digits(most))
                    );
                    assert!(!is_charged(column, "") && !is_charged(column, &(digits(most) + "4")));
                    continue;
                }
                assert!(is_charged(column, least), "{column} {least}");
                assert!(is_charged(column, most), "{column} {most}");
                let below = format!("{}", least.parse::<i64>().unwrap() - 1);
                assert!(!is_charged(column, &below), "{column} {below}");
                // The last digit is at most 8.
                let (start, last) = most.split_at(most.len() - 1);
                let above = format!("{start}{}", last.parse::<u8>().unwrap() + 1);
                assert!(!is_charged(column, &above), "{column} {above}");
                let places = ["price", "connect", "postcall"];
                let is_money = places.iter().any(|start| column.starts_with(start));
                assert_eq!(is_charged(column, "1.00001"), is_money, "{column}");
                assert!(!is_charged(column, "1.000001"), "{column}");
            }
        }
        assert_eq!(columns, 9);
    }
}
