//! Delivery: at least once, in order, no cursor ahead of what is durable, no batch dropped without
//! a dead letter. The plugin here is linked statically and answers as each test says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod scripted;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use callmeter_plugin_testkit::generate::{self, Recipe};
use callmeter_plugin_testkit::host::{BatchLog as _, DeadLetter, OutputState, PluginSource, Scrub};
use callmeter_plugin_testkit::{Rig, RigOptions, Stream};
use common::{PATIENCE, append_calls};
use proptest::prelude::*;
use scripted::{Answer, SCRIPTS, Script, Scripted};

struct Stage {
    rig: Rig,
    script: Arc<Mutex<Script>>,
    dir: tempfile::TempDir,
}

fn script(name: &str, script: Script) -> Arc<Mutex<Script>> {
    let script = Arc::new(Mutex::new(script));
    SCRIPTS
        .lock()
        .unwrap()
        .insert(name.to_owned(), Arc::clone(&script));
    script
}

fn options(name: &str, dir: &std::path::Path) -> RigOptions {
    let mut options = RigOptions::library("/none", dir).config(name);
    options.source = PluginSource::Static(callmeter_plugin_sdk::entry::init::<Scripted>);
    options.limits.retry_least = Duration::from_millis(1);
    options.limits.retry_most = Duration::from_millis(4);
    options
}

fn stage(name: &str, with: Script) -> Stage {
    stage_with(name, with, |_| ())
}

fn stage_with(name: &str, with: Script, change: impl FnOnce(&mut RigOptions)) -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let script = script(name, with);
    let mut options = options(name, dir.path());
    change(&mut options);
    Stage {
        rig: Rig::start(options),
        script,
        dir,
    }
}

fn queue(answers: &[Answer]) -> VecDeque<Answer> {
    answers.iter().cloned().collect()
}

#[test]
fn a_retry_sends_the_same_batch_again() {
    let stage = stage(
        "retry",
        Script {
            writes: queue(&[Answer::Retry(0), Answer::Retry(30)]),
            ..Script::default()
        },
    );
    append_calls(&stage.rig, 1, 5);
    append_calls(&stage.rig, 6, 5);
    stage.rig.settle(PATIENCE).unwrap();
    let script = stage.script.lock().unwrap();
    let attempts: Vec<_> = script
        .seen
        .iter()
        .map(|(_, attempt, _, first)| (*attempt, *first))
        .collect();
    assert_eq!(attempts, [(1, 1), (2, 1), (3, 1), (1, 6)]);
    assert_eq!(script.seen[0].0, script.seen[2].0, "the id stays");
    assert_ne!(script.seen[0].0, script.seen[3].0);
    assert_eq!(script.durable["calls"], (1..=10).collect::<Vec<_>>());
    assert_eq!(stage.rig.status().retries, 2);
}

#[test]
fn a_plugin_may_say_how_long_to_wait() {
    let stage = stage(
        "retry after",
        Script {
            writes: queue(&[Answer::Retry(400)]),
            ..Script::default()
        },
    );
    let start = Instant::now();
    append_calls(&stage.rig, 1, 5);
    stage
        .rig
        .wait(PATIENCE, |status| status.state == OutputState::Retrying)
        .unwrap();
    stage.rig.settle(PATIENCE).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(400));
}

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
    assert!(rig.stop(Duration::from_secs(5)));
    let batches = rig.batches();
    assert_eq!(batches.open("rig", Stream::Calls).unwrap().0, 0);

    std::fs::remove_file(&blocked).unwrap();
    let rig = Rig::start_over(batches, options("refused at a stop", dir.path()));
    rig.settle(PATIENCE).unwrap();
    let durable = script.lock().unwrap().durable["calls"].clone();
    assert_eq!(durable, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_fatal_instance_is_replaced_and_gets_everything_unflushed_again() {
    for (name, answer) in [("fatal", Answer::Fatal), ("panic", Answer::Panic)] {
        let writes = queue(&[Answer::Accept, Answer::Accept, answer]);
        // Nothing is durable before the end.
        let flushes = queue(&vec![Answer::Retry(0); 2]);
        let stage = stage(
            name,
            Script {
                writes,
                flushes,
                ..Script::default()
            },
        );
        for batch in 0..4 {
            append_calls(&stage.rig, batch * 5 + 1, 5);
        }
        stage.rig.settle(PATIENCE).unwrap();
        let script = stage.script.lock().unwrap();
        assert_eq!(script.creations, 2);
        let mut durable = script.durable["calls"].clone();
        durable.sort_unstable();
        durable.dedup();
        assert_eq!(durable, (1..=20).collect::<Vec<_>>());
        let status = stage.rig.status();
        assert_eq!(
            (status.streams[0].received, status.streams[0].delivered),
            (20, 20),
            "each once"
        );
        assert_eq!(status.restarts, 1);
    }
}

#[test]
fn an_instance_that_cannot_be_made_is_down_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(options("nobody wrote this script", dir.path()));
    append_calls(&rig, 1, 5);
    rig.wait(PATIENCE, |status| {
        let text = status
            .last_error
            .as_ref()
            .map_or("", |error| error.text.as_str());
        !status.up && text == "no instance can be made: there is no such script"
    })
    .unwrap();
    script("nobody wrote this script", Script::default());
    rig.settle(PATIENCE).unwrap();
    assert!(rig.status().up);
}

#[test]
fn a_flush_may_make_some_durable() {
    let flushes = queue(&[
        Answer::Durable(1),
        Answer::Retry(0),
        Answer::Durable(1),
        Answer::Fatal,
    ]);
    let stage = stage(
        "partial",
        Script {
            flushes,
            ..Script::default()
        },
    );
    for batch in 0..5 {
        append_calls(&stage.rig, batch * 5 + 1, 5);
    }
    stage.rig.settle(PATIENCE).unwrap();
    let script = stage.script.lock().unwrap();
    let mut durable = script.durable["calls"].clone();
    durable.sort_unstable();
    assert_eq!(
        durable,
        (1..=25).collect::<Vec<_>>(),
        "what was durable does not come again"
    );
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

#[test]
fn the_cursor_does_not_move_before_the_flush() {
    let flushes = queue(&vec![Answer::Retry(0); 10_000]);
    let stage = stage(
        "cursor",
        Script {
            flushes,
            ..Script::default()
        },
    );
    append_calls(&stage.rig, 1, 5);
    stage
        .rig
        .wait(PATIENCE, |status| status.retries > 3)
        .unwrap();
    let cursor = stage.rig.batches().open("rig", Stream::Calls).unwrap();
    assert_eq!(cursor.0, 0);
    assert_eq!(stage.rig.delivered(), 0);
    stage.script.lock().unwrap().flushes.clear();
    stage.rig.settle(PATIENCE).unwrap();
}

#[test]
fn the_unflushed_window_is_bounded() {
    let flushes = queue(&vec![Answer::Retry(0); 20]);
    let stage = stage_with(
        "window",
        Script {
            flushes,
            ..Script::default()
        },
        |options| {
            options.limits.unflushed_batches = 4;
        },
    );
    for batch in 0..40 {
        append_calls(&stage.rig, batch * 2 + 1, 2);
    }
    stage.rig.settle(PATIENCE).unwrap();
    let most = stage.script.lock().unwrap().most_unflushed;
    assert!((1..=4).contains(&most), "{most}");
}

/// The pages of a poll follow each other, and each flush costs the plugin an fsync.
#[test]
fn batches_that_follow_each_other_share_a_flush() {
    let stage = stage_with("linger", Script::default(), |options| {
        options.limits.linger = Duration::from_secs(3);
    });
    for batch in 0..10 {
        append_calls(&stage.rig, batch * 2 + 1, 2);
        std::thread::sleep(Duration::from_millis(20));
    }
    stage.rig.settle(PATIENCE).unwrap();
    assert_eq!(stage.script.lock().unwrap().flushed, 1);
}

#[test]
fn streams_come_in_the_journals_order() {
    let dir = tempfile::tempdir().unwrap();
    let script = script("streams", Script::default());
    let rig = Rig::start_over(Arc::default(), options("streams", dir.path()));
    let order = [
        Stream::Calls,
        Stream::Rates,
        Stream::Calls,
        Stream::Billing,
        Stream::Balances,
        Stream::Rates,
    ];
    for (index, stream) in order.iter().enumerate() {
        let first = i64::try_from(index).unwrap() * 10 + 1;
        rig.append(
            *stream,
            generate::batch(
                *stream,
                Recipe {
                    first,
                    ..Recipe::rows(10)
                },
            ),
        );
    }
    rig.settle(PATIENCE).unwrap();
    let seen: Vec<_> = script
        .lock()
        .unwrap()
        .seen
        .iter()
        .map(|(_, _, stream, _)| *stream)
        .collect();
    let all: Vec<_> = order.iter().map(|stream| stream.name()).collect();
    // The output may have been faster than this test and seen only some of them at first. The order
    // is the same.
    assert_eq!(seen, all);
}

#[test]
fn a_journal_that_fails_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let script = script("journal", Script::default());
    let rig = Rig::start(options("journal", dir.path()));
    append_calls(&rig, 1, 5);
    rig.settle(PATIENCE).unwrap();
    rig.batches().set_failing(true);
    append_calls(&rig, 6, 5);
    rig.wait(PATIENCE, |status| status.last_error.is_some())
        .unwrap();
    rig.batches().set_failing(false);
    rig.settle(PATIENCE).unwrap();
    let mut durable = script.lock().unwrap().durable["calls"].clone();
    durable.sort_unstable();
    durable.dedup();
    assert_eq!(durable, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_stop_flushes_what_was_accepted() {
    // The first flushes fail, so that something is left to do at the stop.
    let flushes = queue(&vec![Answer::Retry(0); 3]);
    let stage = stage(
        "stop",
        Script {
            flushes,
            ..Script::default()
        },
    );
    append_calls(&stage.rig, 1, 5);
    stage
        .rig
        .wait(PATIENCE, |_| !stage.script.lock().unwrap().seen.is_empty())
        .unwrap();
    assert!(stage.rig.stop(Duration::from_secs(10)));
    assert_eq!(
        stage.script.lock().unwrap().durable["calls"],
        [1, 2, 3, 4, 5]
    );
    assert!(stage.rig.settled());
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let answer = prop_oneof![
        4 => Just(Answer::Accept),
        2 => Just(Answer::Retry(0)),
        1 => Just(Answer::Reject),
        1 => Just(Answer::Fatal),
        1 => Just(Answer::Panic),
        2 => (0..4_u64).prop_map(Answer::Durable),
    ];
    prop::collection::vec(answer, 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a plugin answers: every record ends up durable or as a dead letter, none is
    /// skipped, new batches come in order, and the counters say so.
    #[test]
    fn nothing_is_lost_whatever_the_plugin_answers(
        writes in answers(),
        flushes in answers(),
        batches in 1..12_i64,
        window in 1..6_usize,
    ) {
        let name = "anything";
        let script = Script { writes: writes.into(), flushes: flushes.into(), ..Script::default() };
        let stage = stage_with(name, script, |options| options.limits.unflushed_batches = window);
        for batch in 0..batches {
            append_calls(&stage.rig, batch * 3 + 1, 3);
        }
        stage.rig.settle(PATIENCE).unwrap();
        let status = stage.rig.status();
        prop_assert!(stage.rig.stop(PATIENCE));
        let script = stage.script.lock().unwrap();
        let mut ended: Vec<i64> = script.durable.get("calls").cloned().unwrap_or_default();
        for letter in stage.rig.dead_letters().list().unwrap() {
            let first = (i64::try_from(letter.place).unwrap() - 1) * 3 + 1;
            ended.extend(first..first + 3);
        }
        ended.sort_unstable();
        ended.dedup();
        prop_assert_eq!(ended, (1..=batches * 3).collect::<Vec<_>>());
        // Batches are in order when they are first seen.
        let mut first_sights: Vec<i64> = Vec::new();
        for (_, _, _, first) in &script.seen {
            if !first_sights.contains(first) {
                first_sights.push(*first);
            }
        }
        prop_assert!(first_sights.is_sorted());
        prop_assert!(script.most_unflushed <= window);
        let calls = status.streams[0];
        prop_assert_eq!(calls.received, calls.delivered + calls.dropped);
        prop_assert_eq!(calls.received, u64::try_from(batches * 3).unwrap());
    }
}
