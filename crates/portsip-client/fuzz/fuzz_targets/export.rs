//! Any bytes give rates, errors of rows, or an error of the file, never a panic, and the same ones
//! however the bytes are cut into pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portsip_client::{CallRate, ExportError, ExportReader, RowError};

type Read = (
    Vec<Result<CallRate, RowError>>,
    Option<ExportError>,
    Option<usize>,
);

fn take(reader: &mut ExportReader, read: &mut Read) {
    while read.1.is_none() {
        match reader.next() {
            Ok(Some(rate)) => read.0.push(rate),
            Ok(None) => return,
            Err(error) => read.1 = Some(error),
        }
    }
}

fn read(file: &[u8], piece: usize) -> Read {
    let mut reader = ExportReader::new();
    let mut read = Read::default();
    for piece in file.chunks(piece) {
        reader.push(piece);
        take(&mut reader, &mut read);
    }
    reader.end();
    take(&mut reader, &mut read);
    read.2 = reader.unfinished_row();
    read
}

fuzz_target!(|input: &[u8]| {
    let (piece, file) = input.split_first().unwrap_or((&1, &[]));
    let whole = read(file, file.len().max(1));
    assert_eq!(read(file, usize::from(*piece).max(1)), whole);
    let lines = file
        .iter()
        .filter(|byte| matches!(byte, b'\n' | b'\r'))
        .count();
    assert!(whole.0.len() <= lines, "each rate is behind a line break");
    for (index, rate) in whole.0.iter().enumerate() {
        match rate {
            Ok(rate) => assert!(rate.prefix.as_ref().is_some_and(|prefix| !prefix.is_empty())),
            Err(error) => assert_eq!(error.index, index),
        }
    }
});
