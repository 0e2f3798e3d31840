//! The output as callmeter drives it: what is in the directory after writes, flushes, restarts and
//! kills.

mod kill;
mod others;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use callmeter_plugin_sdk::batch::Timestamp;
use callmeter_plugin_sdk::{Batch, Host, Stream};
use serde_json::json;

use crate::archive::{Archive, OpenError};
use crate::config::Config;
use crate::packing::{pack_all, pack_one};
use crate::testing::{AUGUST_6, DAY, batch, calls, set_now, with_column};

fn open(config: serde_json::Value) -> Result<Archive, OpenError> {
    let config: Config = serde_json::from_value(config).unwrap();
    Archive::open(Host::for_tests("csv"), &config)
}

fn in_directory(directory: &Path) -> serde_json::Value {
    json!({"directory": directory})
}

/// The visible files with the ids of their rows; every row must have as many cells as the header.
fn files(directory: &Path) -> BTreeMap<String, Vec<String>> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter_map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with('.') || name.ends_with(".damaged") {
                return None;
            }
            let bytes = fs::read(&path).unwrap();
            let text = if name.ends_with(crate::names::PACKED) {
                let mut text = Vec::new();
                flate2::read::MultiGzDecoder::new(&bytes[..])
                    .read_to_end(&mut text)
                    .unwrap();
                text
            } else {
                bytes
            };
            assert!(
                text.is_empty() || text.ends_with(b"\r\n"),
                "{name} ends in the middle of a row"
            );
            let mut reader = csv::Reader::from_reader(&text[..]);
            let at = reader
                .headers()
                .unwrap()
                .iter()
                .position(|name| name == "id");
            let ids = reader
                .records()
                .map(|row| row.unwrap()[at.unwrap()].to_owned())
                .collect();
            Some((name, ids))
        })
        .collect()
}

fn ids(span: std::ops::RangeInclusive<i64>) -> Vec<String> {
    span.map(|i| format!("id-{i}")).collect()
}

#[test]
fn a_golden_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(1, calls(1, 3, AUGUST_6))).unwrap();
    archive.flush().unwrap();
    let text = fs::read_to_string(directory.path().join("calls-2026-08-06.csv.partial")).unwrap();
    insta::assert_snapshot!(text.replace('\r', "␍"));
}

#[test]
fn a_file_gets_its_name_when_its_day_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(1, calls(1, 2, AUGUST_6))).unwrap();
    archive
        .write(&batch(2, calls(3, 1, AUGUST_6 + DAY / 3)))
        .unwrap();
    archive
        .write(&batch(3, calls(4, 1, AUGUST_6 + DAY)))
        .unwrap();
    // A late record goes into the current file.
    archive.write(&batch(4, calls(5, 1, AUGUST_6))).unwrap();
    let expected = BTreeMap::from([
        ("calls-2026-08-06.csv".to_owned(), ids(1..=3)),
        ("calls-2026-08-07.csv.partial".to_owned(), ids(4..=5)),
    ]);
    assert_eq!(files(directory.path()), expected);
}

#[test]
fn a_quiet_stream_s_file_is_finished_by_the_clock() {
    let directory = tempfile::tempdir().unwrap();
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(1, calls(1, 2, AUGUST_6))).unwrap();
    let name = |archive: &mut Archive, now| {
        archive.finish_overdue(Timestamp::from_micros(now)).unwrap();
        files(directory.path()).into_keys().next().unwrap()
    };
    archive.pretend_quiet();
    // It is not finished before it is flushed, before the day is over, or right after a batch.
    assert_eq!(
        name(&mut archive, AUGUST_6 + DAY),
        "calls-2026-08-06.csv.partial"
    );
    archive.flush().unwrap();
    assert_eq!(name(&mut archive, AUGUST_6), "calls-2026-08-06.csv.partial");
    assert_eq!(name(&mut archive, AUGUST_6 + DAY), "calls-2026-08-06.csv");
    // A late batch goes into another file; the finished file stays as it is.
    archive.write(&batch(2, calls(3, 1, AUGUST_6))).unwrap();
    let expected = BTreeMap::from([
        ("calls-2026-08-06.csv".to_owned(), ids(1..=2)),
        ("calls-2026-08-06.002.csv.partial".to_owned(), ids(3..=3)),
    ]);
    assert_eq!(files(directory.path()), expected);
}

#[test]
fn a_full_file_is_finished_and_packed() {
    let directory = tempfile::tempdir().unwrap();
    let config = json!({"directory": directory.path(), "rotate": "never", "max_bytes": "2kB", "compress": "gzip"});
    let mut archive = open(config).unwrap();
    for number in 1..=3 {
        let first = i64::try_from(number).unwrap() * 10;
        archive
            .write(&batch(number, calls(first, 10, AUGUST_6)))
            .unwrap();
    }
    let _archive = pack_all(archive, 1 << 20);
    let expected = BTreeMap::from([
        ("calls.csv.gz".to_owned(), ids(10..=19)),
        ("calls.002.csv.gz".to_owned(), ids(20..=29)),
        ("calls.003.csv.partial".to_owned(), ids(30..=39)),
    ]);
    assert_eq!(files(directory.path()), expected);
}

#[test]
fn what_was_not_flushed_is_cut_and_what_was_is_not_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(1, calls(1, 2, AUGUST_6))).unwrap();
    archive.write(&batch(2, calls(3, 2, AUGUST_6))).unwrap();
    archive.flush().unwrap();
    archive.write(&batch(3, calls(5, 2, AUGUST_6))).unwrap();
    drop(archive);
    // callmeter ended before it recorded the flush, so it sends everything again.
    let mut archive = open(in_directory(directory.path())).unwrap();
    assert_eq!(
        files(directory.path())["calls-2026-08-06.csv.partial"],
        ids(1..=4)
    );
    for number in 1..=3 {
        let first = i64::try_from(number).unwrap() * 2 - 1;
        archive
            .write(&batch(number, calls(first, 2, AUGUST_6)))
            .unwrap();
    }
    assert_eq!(
        files(directory.path())["calls-2026-08-06.csv.partial"],
        ids(1..=6)
    );
}

#[test]
fn a_closed_file_s_batches_are_not_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(1, calls(1, 2, AUGUST_6))).unwrap();
    archive
        .write(&batch(2, calls(3, 2, AUGUST_6 + DAY)))
        .unwrap();
    drop(archive);
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(1, calls(1, 2, AUGUST_6))).unwrap();
    archive
        .write(&batch(2, calls(3, 2, AUGUST_6 + DAY)))
        .unwrap();
    let expected = BTreeMap::from([
        ("calls-2026-08-06.csv".to_owned(), ids(1..=2)),
        ("calls-2026-08-07.csv.partial".to_owned(), ids(3..=4)),
    ]);
    assert_eq!(files(directory.path()), expected);
}

#[test]
fn new_columns_go_last_and_into_a_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let header = |name: &str| {
        let text = fs::read_to_string(directory.path().join(name)).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(1, calls(1, 1, AUGUST_6))).unwrap();
    let more = with_column(&calls(2, 1, AUGUST_6), "mood");
    archive.write(&batch(2, more)).unwrap();
    archive.write(&batch(3, calls(3, 1, AUGUST_6))).unwrap();
    let old = header("calls-2026-08-06.csv");
    assert_eq!(
        header("calls-2026-08-06.002.csv.partial"),
        format!("{old},mood")
    );
    assert_eq!(
        files(directory.path())["calls-2026-08-06.002.csv.partial"],
        ids(2..=3)
    );
}

#[test]
fn one_file_holds_one_stream_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let config = json!({"file": directory.path().join("all.csv")});
    let mut archive = open(config.clone()).unwrap();
    archive.write(&batch(1, calls(1, 1, AUGUST_6))).unwrap();
    archive
        .write(&batch(2, calls(2, 1, AUGUST_6 + 40 * DAY)))
        .unwrap();
    // Columns that the header does not have are left out.
    archive
        .write(&batch(3, with_column(&calls(3, 1, AUGUST_6), "mood")))
        .unwrap();
    let other = Batch::for_tests(Stream::Rates, 4, [4; 16], calls(4, 1, AUGUST_6)).unwrap();
    let error = callmeter_plugin_sdk::Fail::from(archive.write(&other).unwrap_err());
    assert!(error.is_reject(), "{error}");
    archive.flush().unwrap();
    drop(archive);
    let mut archive = open(config.clone()).unwrap();
    archive.write(&batch(5, calls(4, 1, AUGUST_6))).unwrap();
    assert_eq!(files(directory.path())["all.csv"], ids(1..=4));
    drop(archive);
    // Without its state file it counts as someone else's file.
    fs::remove_file(directory.path().join(".all.csv.state")).unwrap();
    let error = open(config).unwrap_err().to_string();
    assert!(error.contains("was not written by this output"), "{error}");
}

#[test]
fn two_outputs_do_not_share_files() {
    let directory = tempfile::tempdir().unwrap();
    let held = open(in_directory(directory.path())).unwrap();
    let error = open(in_directory(directory.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("in use by another output"), "{error}");
    let other = json!({"directory": directory.path(), "prefix": "b-"});
    assert!(open(other).is_ok());
    drop(held);
    assert!(open(in_directory(directory.path())).is_ok());
}

#[test]
fn a_directory_is_made_and_checked() {
    let parent = tempfile::tempdir().unwrap();
    let new = parent.path().join("new");
    assert!(open(in_directory(&new)).is_ok());
    assert!(open(in_directory(&parent.path().join("a/b"))).is_err());
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(open(in_directory(&file)).is_err());
    fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let error = open(in_directory(&new)).unwrap_err().to_string();
    assert!(error.contains("everybody may write"), "{error}");
}

#[test]
fn files_that_others_changed() {
    let directory = tempfile::tempdir().unwrap();
    let partial = directory.path().join("calls-2026-08-06.csv.partial");
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(1, calls(1, 5, AUGUST_6))).unwrap();
    archive.flush().unwrap();
    drop(archive);
    // A file that is shorter than what was flushed is kept aside and not appended to.
    fs::File::options()
        .write(true)
        .open(&partial)
        .unwrap()
        .set_len(100)
        .unwrap();
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(2, calls(6, 1, AUGUST_6))).unwrap();
    assert!(
        directory
            .path()
            .join("calls-2026-08-06.csv.partial.damaged")
            .exists()
    );
    assert_eq!(
        files(directory.path())["calls-2026-08-06.002.csv.partial"],
        ids(6..=6)
    );
    // A file that is removed while it is open is noticed at the flush, before anything is reported
    // as durable.
    fs::remove_file(directory.path().join("calls-2026-08-06.002.csv.partial")).unwrap();
    let error = callmeter_plugin_sdk::Fail::from(archive.flush().unwrap_err());
    assert!(error.is_fatal(), "{error}");
    drop(archive);
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(2, calls(6, 1, AUGUST_6))).unwrap();
    archive.flush().unwrap();
    // A file in the way of the final name.
    fs::write(
        directory.path().join("calls-2026-08-06.003.csv"),
        "id\r\nforeign\r\n",
    )
    .unwrap();
    archive
        .write(&batch(3, calls(7, 1, AUGUST_6 + DAY)))
        .unwrap();
    let found = files(directory.path());
    assert_eq!(found["calls-2026-08-06.003.csv"], ["foreign"]);
    assert_eq!(found["calls-2026-08-06.004.csv"], ids(6..=6));
}

/// A crash at every point of finishing a packed file. It is packed in pieces of 100 bytes.
#[test]
fn finishing_is_taken_up_where_it_stopped() {
    for point in ["before", "begun", "packed", "published", "removed"] {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let config = json!({"directory": directory.path(), "compress": "gzip"});
        let mut archive = open(config.clone()).unwrap();
        archive.write(&batch(1, calls(1, 5, AUGUST_6))).unwrap();
        archive
            .write(&batch(2, calls(6, 1, AUGUST_6 + DAY)))
            .unwrap();
        archive.flush().unwrap();
        let (partial, state) = (
            at("calls-2026-08-06.csv.partial"),
            at(".callmeter-csv.state"),
        );
        let pieces = fs::metadata(&partial).unwrap().len().div_ceil(100);
        let packs = match point {
            "before" => 0,
            "begun" => 2,
            _ => pieces - 1,
        };
        for _ in 0..packs {
            archive = pack_one(archive, 100);
        }
        if matches!(point, "before" | "begun") {
            drop(archive);
        } else {
            // The state says that the last piece is done, and not yet that it is published.
            let before = fs::read(&state).unwrap();
            let source = fs::read(&partial).unwrap();
            drop(pack_one(archive, 100));
            let to = at("calls-2026-08-06.csv.gz");
            assert!(to.exists() && !partial.exists());
            let mut before: serde_json::Value = serde_json::from_slice(&before).unwrap();
            let packed = &mut before["streams"]["calls"]["packing"][0]["packed"];
            packed["read"] = source.len().into();
            packed["written"] = fs::metadata(&to).unwrap().len().into();
            fs::write(&state, before.to_string()).unwrap();
            if point == "packed" {
                fs::rename(&to, at(".calls-2026-08-06.csv.gz.1")).unwrap();
            }
            if point != "removed" {
                restore(&partial, &source, &state);
            }
        }
        let mut archive = pack_all(open(config).unwrap(), 100);
        archive.write(&batch(1, calls(1, 5, AUGUST_6))).unwrap();
        drop(archive);
        let expected = BTreeMap::from([
            ("calls-2026-08-06.csv.gz".to_owned(), ids(1..=5)),
            ("calls-2026-08-07.csv.partial".to_owned(), ids(6..=6)),
        ]);
        assert_eq!(files(directory.path()), expected, "{point}");
    }
}

/// Puts back a file that was removed, and its inode number into the state.
fn restore(path: &Path, content: &[u8], state: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    fs::write(path, content).unwrap();
    let inode = fs::metadata(path).unwrap().ino();
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(state).unwrap()).unwrap();
    text["streams"]["calls"]["packing"][0]["inode"] = inode.into();
    fs::write(state, text.to_string()).unwrap();
}

#[test]
fn a_state_that_cannot_be_saved_loses_no_row() {
    for compress in ["none", "gzip"] {
        let directory = tempfile::tempdir().unwrap();
        let config = json!({"directory": directory.path(), "compress": compress});
        let mut archive = open(config.clone()).unwrap();
        archive.write(&batch(1, calls(1, 2, AUGUST_6))).unwrap();
        archive.flush().unwrap();
        archive.pretend_quiet();
        // In the way of the next state, like a full disk.
        let blocked = directory.path().join(".callmeter-csv.state.new");
        fs::create_dir(&blocked).unwrap();
        let tomorrow = Timestamp::from_micros(AUGUST_6 + DAY);
        assert!(archive.finish_overdue(tomorrow).is_err());
        // A late batch of the same day.
        let late = batch(2, calls(3, 1, AUGUST_6));
        assert!(archive.write(&late).is_err());
        fs::remove_dir(&blocked).unwrap();
        archive.write(&late).unwrap();
        archive.flush().unwrap();
        drop(pack_all(archive, 1 << 20));
        let mut archive = open(config).unwrap();
        archive.write(&late).unwrap();
        let ids_of: Vec<Vec<String>> = files(directory.path()).into_values().collect();
        assert_eq!(ids_of, [ids(3..=3), ids(1..=2)], "{compress}");
    }
}

#[test]
fn a_state_of_the_first_version_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(1, calls(1, 2, AUGUST_6))).unwrap();
    archive.flush().unwrap();
    archive.write(&batch(2, calls(3, 1, AUGUST_6))).unwrap();
    drop(archive);
    let path = directory.path().join(".callmeter-csv.state");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    state["version"] = 1.into();
    let calls_state = state["streams"]["calls"].as_object_mut().unwrap();
    calls_state.remove("packing");
    calls_state["open"].as_object_mut().unwrap().remove("inode");
    fs::write(&path, state.to_string()).unwrap();
    let mut archive = open(in_directory(directory.path())).unwrap();
    archive.write(&batch(2, calls(3, 1, AUGUST_6))).unwrap();
    archive.flush().unwrap();
    drop(archive);
    let state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(state["version"], 2);
    assert!(state["streams"]["calls"]["open"]["inode"].is_u64());
    let expected = BTreeMap::from([("calls-2026-08-06.csv.partial".to_owned(), ids(1..=3))]);
    assert_eq!(files(directory.path()), expected);
}

#[test]
fn a_clock_that_was_ahead_once_keeps_no_file_open() {
    let directory = tempfile::tempdir().unwrap();
    let mut archive = open(in_directory(directory.path())).unwrap();
    let ahead = AUGUST_6 + 2_000 * DAY;
    set_now(ahead);
    archive.write(&batch(1, calls(1, 1, ahead))).unwrap();
    archive.flush().unwrap();
    set_now(AUGUST_6);
    archive.write(&batch(2, calls(2, 1, AUGUST_6))).unwrap();
    // Journaled while the clock was ahead, and delivered afterwards.
    archive.write(&batch(3, calls(3, 1, ahead))).unwrap();
    set_now(AUGUST_6 + DAY);
    archive
        .write(&batch(4, calls(4, 1, AUGUST_6 + DAY)))
        .unwrap();
    let expected = BTreeMap::from([
        ("calls-2032-01-27.csv".to_owned(), ids(1..=1)),
        ("calls-2026-08-06.csv".to_owned(), ids(2..=3)),
        ("calls-2026-08-07.csv.partial".to_owned(), ids(4..=4)),
    ]);
    assert_eq!(files(directory.path()), expected);
    archive.flush().unwrap();
    // Without another batch, the clock finishes it.
    set_now(ahead);
    archive.write(&batch(5, calls(5, 1, ahead))).unwrap();
    archive.flush().unwrap();
    set_now(AUGUST_6 + 2 * DAY);
    archive.pretend_quiet();
    archive.finish_overdue(crate::testing::now()).unwrap();
    assert!(directory.path().join("calls-2032-01-27.002.csv").exists());
}
