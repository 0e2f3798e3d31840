//! A writer is killed at random moments; another goes on from the last flush that was recorded.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};

use super::*;

const DIRECTORY: &str = "CALLMETER_CSV_KILL_DIRECTORY";
const FROM: &str = "CALLMETER_CSV_KILL_FROM";
const BATCHES: u64 = 1000;
/// Batches from one flush to the next.
const FLUSH_EVERY: u64 = 5;
const ROWS: u8 = 7;

/// The writer, in its own process: it writes batches from a given number on, flushes after
/// every few, and prints a line after each flush.
#[test]
#[ignore = "run by the test below in a child process"]
fn writer() {
    let (Ok(directory), Ok(from)) = (std::env::var(DIRECTORY), std::env::var(FROM)) else {
        return;
    };
    let config = json!({"directory": directory, "rotate": "hourly", "max_bytes": "40kB", "compress": "gzip"});
    let mut archive = open(config).unwrap();
    for number in from.parse().unwrap()..=BATCHES {
        let index = i64::try_from(number).unwrap();
        let observed = AUGUST_6 + index * 60_000_000;
        let first = (index - 1) * i64::from(ROWS) + 1;
        archive
            .write(&batch(number, calls(first, ROWS.into(), observed)))
            .unwrap();
        if number.is_multiple_of(FLUSH_EVERY) || number == BATCHES {
            archive.flush().unwrap();
            writeln!(std::io::stderr(), "durable {number}").unwrap();
        }
        if number.is_multiple_of(10) {
            archive = pack_all(archive, 1 << 14);
        }
    }
}

#[test]
fn no_row_is_torn_lost_or_written_twice() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let (mut durable, mut kills, mut lives) = (0, 0, 0);
    while durable < BATCHES {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::kill::writer", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .env(FROM, (durable + 1).to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let words = BufReader::new(child.stderr.take().unwrap());
        let (sender, flushed) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let lines = words.lines().map_while(Result::ok);
            let flushes = lines.filter_map(|line| line.strip_prefix("durable ")?.parse().ok());
            flushes
                .inspect(|_| sender.send(()).unwrap_or_default())
                .max()
        });
        // The start of a process may take longer than all of this on a slow machine: every other
        // writer has flushed before it is killed.
        let (wait, longest) = if lives % 2 == 0 {
            (true, 30_000)
        } else {
            (false, 60_000)
        };
        lives += 1;
        if wait {
            // An error says that it has ended.
            let _ended = flushed.recv();
        }
        std::thread::sleep(Duration::from_micros(random.random_range(1_000..longest)));
        child.kill().unwrap();
        if !child.wait().unwrap().success() {
            kills += 1;
        }
        // Sometimes callmeter ends after a flush, before it records it: durable batches are
        // sent again.
        let heard: Option<u64> = reader.join().unwrap();
        let forgets = heard != Some(BATCHES) && kills % 3 == 0;
        let noted = heard.map(|last| if forgets { last - FLUSH_EVERY } else { last });
        durable = durable.max(noted.unwrap_or_default());
    }
    assert!(kills > 5, "only {kills} kills");
    // The last writer may have been killed with a file half finished.
    let archive = open(json!({"directory": directory.path(), "rotate": "hourly", "max_bytes": "40kB", "compress": "gzip"})).unwrap();
    drop(pack_all(archive, 1 << 20));
    let mut seen: Vec<i64> = files(directory.path())
        .into_values()
        .flatten()
        .map(|id| id.trim_start_matches("id-").parse().unwrap())
        .collect();
    seen.sort_unstable();
    let total = i64::try_from(BATCHES).unwrap() * i64::from(ROWS);
    assert_eq!(seen, (1..=total).collect::<Vec<_>>());
    eprintln!("{kills} kills");
}
