//! Files that other programs put, move, cut or link in the directory.

use super::*;

#[test]
fn a_foreign_file_under_the_name_of_a_packed_one_costs_no_row() {
    let directory = tempfile::tempdir().unwrap();
    let foreign = directory.path().join("calls-2026-08-06.csv.gz");
    let config = json!({"directory": directory.path(), "compress": "gzip"});
    let mut archive = open(config).unwrap();
    archive.write(&batch(1, calls(1, 5, AUGUST_6))).unwrap();
    fs::write(&foreign, "foreign").unwrap();
    archive
        .write(&batch(2, calls(6, 1, AUGUST_6 + DAY)))
        .unwrap();
    let _archive = pack_all(archive, 1 << 20);
    assert_eq!(fs::read(&foreign).unwrap(), b"foreign");
    fs::remove_file(&foreign).unwrap();
    let expected = BTreeMap::from([
        ("calls-2026-08-06.002.csv.gz".to_owned(), ids(1..=5)),
        ("calls-2026-08-07.csv.partial".to_owned(), ids(6..=6)),
    ]);
    assert_eq!(files(directory.path()), expected);
}

/// A single file with two rows that are flushed.
fn one_file(directory: &Path) -> (serde_json::Value, std::path::PathBuf, Archive) {
    let file = directory.join("calls.csv");
    let config = json!({"file": file});
    let mut archive = open(config.clone()).unwrap();
    archive.write(&batch(1, calls(1, 2, AUGUST_6))).unwrap();
    archive.flush().unwrap();
    (config, file, archive)
}

#[test]
fn a_file_that_is_moved_away_and_put_back_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (config, file, archive) = one_file(directory.path());
    drop(archive);
    let away = directory.path().join("away.csv");
    fs::rename(&file, &away).unwrap();
    let mut archive = open(config.clone()).unwrap();
    archive.write(&batch(2, calls(3, 1, AUGUST_6))).unwrap();
    archive.flush().unwrap();
    drop(archive);
    fs::rename(&away, &file).unwrap();
    let content = fs::read(&file).unwrap();
    let error = open(config).unwrap_err().to_string();
    assert!(error.contains("not written by this output"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), content);
}

#[test]
fn a_file_that_is_renamed_while_it_is_written_gets_no_more_rows() {
    let directory = tempfile::tempdir().unwrap();
    let (config, file, mut archive) = one_file(directory.path());
    archive.write(&batch(2, calls(3, 1, AUGUST_6))).unwrap();
    let rotated = directory.path().join("calls.csv.1");
    fs::rename(&file, &rotated).unwrap();
    for error in [
        archive.flush().unwrap_err(),
        archive.write(&batch(3, calls(4, 1, AUGUST_6))).unwrap_err(),
    ] {
        let error = callmeter_plugin_sdk::Fail::from(error);
        assert!(
            error.is_fatal() && error.to_string().contains("was moved"),
            "{error}"
        );
    }
    drop(archive);
    // callmeter makes another instance, and sends again what was not flushed.
    let mut archive = open(config).unwrap();
    archive.write(&batch(2, calls(3, 1, AUGUST_6))).unwrap();
    archive.write(&batch(3, calls(4, 1, AUGUST_6))).unwrap();
    archive.flush().unwrap();
    let found = files(directory.path());
    assert_eq!(found["calls.csv.1"], ids(1..=2));
    assert_eq!(found["calls.csv"], ids(3..=4));
}

#[test]
fn a_file_that_is_truncated_while_it_is_written_gets_no_hole() {
    let directory = tempfile::tempdir().unwrap();
    let (config, file, mut archive) = one_file(directory.path());
    // As logrotate does with `copytruncate`.
    fs::copy(&file, directory.path().join("calls.csv.1")).unwrap();
    let emptied = fs::File::options().write(true).open(&file).unwrap();
    emptied.set_len(0).unwrap();
    let error = archive.write(&batch(2, calls(3, 1, AUGUST_6))).unwrap_err();
    let error = callmeter_plugin_sdk::Fail::from(error);
    assert!(
        error.is_fatal() && error.to_string().contains("has 0 bytes"),
        "{error}"
    );
    drop(archive);
    let mut archive = open(config).unwrap();
    archive.write(&batch(2, calls(3, 1, AUGUST_6))).unwrap();
    archive.flush().unwrap();
    let found = files(directory.path());
    assert_eq!(found["calls.csv.1"], ids(1..=2));
    assert_eq!(found["calls.csv"], ids(3..=3));
}

#[test]
fn no_planted_link_is_followed() {
    use std::os::unix::fs::symlink;
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    for name in [
        ".callmeter-csv.state",
        ".callmeter-csv.state.new",
        ".callmeter-csv.state.lock",
        "calls-2026-08-06.csv.partial",
        "calls-2026-08-06.csv",
        "calls-2026-08-06.csv.gz",
        ".calls-2026-08-06.csv.gz.1",
    ] {
        for hard in [false, true] {
            fs::write(&victim, "precious").unwrap();
            let directory = tempfile::tempdir_in(elsewhere.path()).unwrap();
            let link = directory.path().join(name);
            if hard {
                fs::hard_link(&victim, link).unwrap();
            } else {
                symlink(&victim, link).unwrap();
            }
            let config = json!({"directory": directory.path(), "compress": "gzip"});
            if let Ok(mut archive) = open(config) {
                archive.write(&batch(1, calls(1, 2, AUGUST_6))).unwrap();
                archive
                    .write(&batch(2, calls(3, 1, AUGUST_6 + DAY)))
                    .unwrap();
                archive.flush().unwrap();
                drop(pack_all(archive, 100));
            }
            assert_eq!(fs::read(&victim).unwrap(), b"precious", "{name}");
        }
    }
}
