//! Delivery: at least once, in order, no cursor ahead of what is durable, no batch dropped without
//! a dead letter. The plugin here is linked statically and answers as each test says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod letters;
mod replace;
mod scripted;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use callmeter_plugin_testkit::generate::{self, Recipe};
use callmeter_plugin_testkit::host::{BatchLog as _, OutputState, OutputStatus, PluginSource};
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

/// A server that asks for a wait of an hour keeps everything waiting.
#[test]
fn an_output_that_waits_for_long_is_down() {
    for (name, minutes, up) in [("waits", 0, false), ("waits a moment", 60, true)] {
        let stage = stage_with(
            name,
            Script {
                writes: queue(&[Answer::Retry(3_600_000)]),
                ..Script::default()
            },
            |options| options.limits.down_after = Duration::from_secs(minutes * 60),
        );
        append_calls(&stage.rig, 1, 5);
        let waits = |status: &OutputStatus| {
            status.state == OutputState::Retrying && status.retries == 1 && status.up == up
        };
        stage.rig.wait(PATIENCE, waits).unwrap();
        assert!(stage.rig.stop(PATIENCE));
    }
}

/// One attempt that fails is no outage, whatever is durable later.
#[test]
fn an_output_that_delivers_again_is_up() {
    let stage = stage_with(
        "waited",
        Script {
            writes: queue(&[Answer::Retry(1)]),
            ..Script::default()
        },
        |options| options.limits.down_after = Duration::ZERO,
    );
    append_calls(&stage.rig, 1, 5);
    stage.rig.settle(PATIENCE).unwrap();
    stage.rig.wait(PATIENCE, |status| status.up).unwrap();
    assert_eq!(stage.rig.status().retries, 1);
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
        options.limits.linger = Duration::from_hours(1);
        options.limits.flush_every = Duration::from_hours(1);
    });
    for batch in 0..10_usize {
        append_calls(&stage.rig, i64::try_from(batch).unwrap() * 2 + 1, 2);
        // The output has seen this batch, and waits for more.
        let has_come = |_: &OutputStatus| stage.script.lock().unwrap().seen.len() > batch;
        stage.rig.wait(PATIENCE, has_come).unwrap();
    }
    assert_eq!(stage.script.lock().unwrap().flushed, 0);
    // A stop does not wait.
    assert!(stage.rig.stop(PATIENCE));
    assert_eq!(stage.script.lock().unwrap().flushed, 1);
    assert!(stage.rig.settled());
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
    assert!(stage.rig.stop(PATIENCE));
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
