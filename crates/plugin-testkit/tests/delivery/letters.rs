//! Batches that a plugin refuses: none is dropped before it is stored, and each can be replayed.

use callmeter_plugin_testkit::generate::{self, Recipe};
use callmeter_plugin_testkit::host::{BatchLog as _, DeadLetter, Scrub};
use callmeter_plugin_testkit::{Rig, Stream};

use crate::common::{PATIENCE, append_calls};
use crate::scripted::{Answer, Script};
use crate::{options, queue, script, stage, stage_with};

#[test]
fn a_refused_batch_becomes_a_dead_letter_and_can_be_replayed() {
    let stage = stage(
        "reject",
        Script {
            poisonous: vec![7],
            ..Script::default()
        },
    );
    let rig = &stage.rig;
    for batch in 0..3 {
        append_calls(rig, batch * 5 + 1, 5);
    }
    rig.settle(PATIENCE).unwrap();
    let status = rig.status();
    assert_eq!(
        (status.streams[0].delivered, status.streams[0].dropped),
        (10, 5)
    );
    assert!(status.up, "a refusal is no failure of the output");

    let letters = rig.dead_letters().list().unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (letter.place, letter.records, letter.reason.as_str()),
        (2, 5, "poisonous")
    );
    assert_eq!(
        letter.plugin,
        format!("scripted {}", env!("CARGO_PKG_VERSION"))
    );

    // Still refused: it becomes a dead letter again.
    rig.dead_letters()
        .replay(&letter.output, &letter.name())
        .unwrap();
    assert!(rig.dead_letters().list().unwrap().is_empty());
    rig.wait(PATIENCE, |_| rig.dead_letters().list().unwrap().len() == 1)
        .unwrap();
    assert_eq!(rig.dead_letters().list().unwrap()[0].attempts, 2);

    // No longer refused: it is delivered unchanged, with the same id.
    stage.script.lock().unwrap().poisonous.clear();
    rig.dead_letters()
        .replay(&letter.output, &letter.name())
        .unwrap();
    rig.wait(PATIENCE, |status| status.streams[0].delivered == 15)
        .unwrap();
    assert!(rig.dead_letters().list().unwrap().is_empty());
    let script = stage.script.lock().unwrap();
    let last = script.seen.last().unwrap();
    assert_eq!(
        (last.0.as_str(), last.1, last.3),
        (letter.id.as_str(), 3, 6)
    );
    assert!(script.durable["calls"].ends_with(&[6, 7, 8, 9, 10]));

    let unknown = rig
        .dead_letters()
        .replay("rig", "calls-9")
        .unwrap_err()
        .to_string();
    assert_eq!(unknown, "output rig has no dead letter `calls-9`");
}

#[test]
fn a_damaged_dead_letter_hides_no_other() {
    let stage = stage(
        "damaged letters",
        Script {
            poisonous: (1..=40).collect(),
            ..Script::default()
        },
    );
    let rig = &stage.rig;
    for batch in 0..8 {
        append_calls(rig, batch * 5 + 1, 5);
    }
    rig.settle(PATIENCE).unwrap();
    let letters = rig.dead_letters();
    let listed = letters.list_output("rig").unwrap();
    assert_eq!((listed.letters.len(), listed.damaged.len()), (8, 0));
    let at = |name: &str, end: &str| {
        let directory = stage.dir.path().join("dead-letters/rig");
        directory.join(format!("{name}.{end}"))
    };
    let names: Vec<String> = listed.letters.iter().map(DeadLetter::name).collect();
    std::fs::write(at(&names[0], "json"), "{").unwrap();
    // A sidecar that names the files of another one.
    std::fs::copy(at(&names[2], "json"), at(&names[1], "json")).unwrap();
    // This one shows only when it is replayed.
    std::fs::write(at(&names[3], "arrow"), "damaged").unwrap();

    let listed = letters.list_output("rig").unwrap();
    assert_eq!((listed.letters.len(), listed.damaged.len()), (6, 2));
    let errors: Vec<String> = listed.damaged.iter().map(ToString::to_string).collect();
    for name in &names[..2] {
        assert!(
            errors.iter().any(|error| error.contains(name)),
            "{errors:?}"
        );
    }
    stage.script.lock().unwrap().poisonous.clear();
    let (queued, damaged) = letters.replay_all("rig").unwrap();
    assert_eq!((queued, damaged.len()), (6, 2));
    rig.wait(PATIENCE, |status| status.streams[0].delivered == 25)
        .unwrap();
    let mut durable = stage.script.lock().unwrap().durable["calls"].clone();
    durable.sort_unstable();
    assert_eq!(durable, (11..=15).chain(21..=40).collect::<Vec<_>>());
    assert!(at(&names[0], "arrow").exists() && at(&names[1], "arrow").exists());
    let status = rig.status();
    assert!(status.up, "{status:#?}");
    assert!(status.last_error.unwrap().text.contains(&names[3]));
}

#[test]
fn a_link_in_the_directory_of_dead_letters_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let letters = dir.path().join("dead-letters/rig");
    std::fs::create_dir_all(&letters).unwrap();
    let name = format!("calls-{:012}-{}{:016x}", 1, "cd".repeat(8), 1);
    for end in ["arrow", "json"] {
        let link = letters.join(format!("{name}.{end}.partial"));
        std::os::unix::fs::symlink(&victim, link).unwrap();
    }
    let _script = script(
        "linked",
        Script {
            poisonous: vec![1],
            ..Script::default()
        },
    );
    let rig = Rig::start(options("linked", dir.path()));
    append_calls(&rig, 1, 5);
    rig.settle(PATIENCE).unwrap();
    assert_eq!(rig.dead_letters().list().unwrap()[0].name(), name);
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn what_a_plugin_says_is_stored_without_secrets() {
    let stage = stage_with(
        "scrubbed",
        Script {
            poisonous: vec![1],
            writes: queue(&[Answer::Retry(0)]),
            ..Script::default()
        },
        |options| {
            options.scrub =
                Scrub::new(|text| text.replace("poisonous", "***").replace("busy", "***"));
        },
    );
    append_calls(&stage.rig, 6, 5);
    append_calls(&stage.rig, 1, 5);
    stage.rig.settle(PATIENCE).unwrap();
    assert_eq!(stage.rig.dead_letters().list().unwrap()[0].reason, "***");
    let error = stage.rig.status().last_error.unwrap().text;
    assert!(error.ends_with(": ***"), "{error}");
}

#[test]
fn a_dead_letter_holds_the_batch_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let _script = script(
        "letter",
        Script {
            poisonous: vec![3],
            ..Script::default()
        },
    );
    let rig = Rig::start(options("letter", dir.path()));
    let records = generate::batch(Stream::Rates, Recipe::rows(9)).slice(2, 5);
    rig.append(Stream::Rates, records.clone());
    rig.settle(PATIENCE).unwrap();
    let letter = rig.dead_letters().list().unwrap().remove(0);
    let path = dir
        .path()
        .join("dead-letters/rig")
        .join(format!("{}.arrow", letter.name()));
    let file = std::fs::File::open(path).unwrap();
    let again = arrow_ipc::reader::FileReader::try_new(file, None)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(again, records);
    assert_eq!(again.schema().metadata(), records.schema().metadata());
}

#[test]
fn a_dead_letter_that_cannot_be_written_stops_its_output_not_the_batch() {
    let dir = tempfile::tempdir().unwrap();
    // A file where the directory should be.
    std::fs::write(dir.path().join("dead-letters"), "in the way").unwrap();
    let script = script(
        "blocked",
        Script {
            poisonous: vec![1],
            ..Script::default()
        },
    );
    let rig = Rig::start(options("blocked", dir.path()));
    append_calls(&rig, 1, 5);
    append_calls(&rig, 6, 5);
    rig.wait(PATIENCE, |status| {
        let text = status
            .last_error
            .as_ref()
            .map_or("", |error| error.text.as_str());
        text.starts_with("cannot store a refused batch as a dead letter")
    })
    .unwrap();
    rig.wait(PATIENCE, |status| !status.up).unwrap();
    assert!(script.lock().unwrap().durable.is_empty());
    std::fs::remove_file(dir.path().join("dead-letters")).unwrap();
    rig.settle(PATIENCE).unwrap();
    assert_eq!(rig.dead_letters().list().unwrap().len(), 1);
}

#[test]
fn a_batch_that_a_flush_refuses_is_not_settled_before_it_is_a_dead_letter() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("dead-letters");
    std::fs::write(&blocked, "in the way").unwrap();
    let script = script(
        "refused at a stop",
        Script {
            flushes: queue(&[Answer::Reject]),
            ..Script::default()
        },
    );
    let rig = Rig::start(options("refused at a stop", dir.path()));
    append_calls(&rig, 1, 5);
    rig.wait(PATIENCE, |status| {
        let error = status.last_error.as_ref();
        error.is_some_and(|error| error.text.contains("as a dead letter"))
    })
    .unwrap();
    append_calls(&rig, 6, 5);
    assert!(rig.stop(PATIENCE));
    let batches = rig.batches();
    assert_eq!(batches.open("rig", Stream::Calls).unwrap().0, 0);

    std::fs::remove_file(&blocked).unwrap();
    let rig = Rig::start_over(batches, options("refused at a stop", dir.path()));
    rig.settle(PATIENCE).unwrap();
    let durable = script.lock().unwrap().durable["calls"].clone();
    assert_eq!(durable, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_flush_may_refuse_a_batch() {
    let flushes = queue(&[Answer::Reject]);
    let stage = stage(
        "flush reject",
        Script {
            flushes,
            ..Script::default()
        },
    );
    for batch in 0..3 {
        append_calls(&stage.rig, batch * 5 + 1, 5);
    }
    stage.rig.settle(PATIENCE).unwrap();
    let letters = stage.rig.dead_letters().list().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].place, letters[0].reason.as_str()),
        (1, "on second thoughts")
    );
    let status = stage.rig.status();
    assert_eq!(
        (status.streams[0].delivered, status.streams[0].dropped),
        (10, 5)
    );
}
