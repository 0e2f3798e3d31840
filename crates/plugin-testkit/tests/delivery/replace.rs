//! Outputs that a reload replaces.

use std::sync::Arc;
use std::time::{Duration, Instant};

use callmeter_plugin_testkit::Stream;
use callmeter_plugin_testkit::generate::{self, Recipe};
use callmeter_plugin_testkit::host::{
    DeadLetters, Isolation, MemoryLog, OutputSettings, Outputs, Scrub,
};

use crate::common::PATIENCE;
use crate::scripted::Script;
use crate::{options, script};

/// What a reload does: the new instance is created while the old one works.
#[test]
fn an_output_is_replaced_only_by_one_that_can_be_created() {
    let dir = tempfile::tempdir().unwrap();
    let batches = Arc::new(MemoryLog::default());
    let outputs = Outputs::new(Arc::clone(&batches) as _).unwrap();
    let settings = |script: &str| {
        let options = options(script, dir.path());
        OutputSettings {
            name: "out".to_owned(),
            source: options.source,
            streams: vec![Stream::Calls],
            config: options.config,
            isolation: Isolation::None,
            dead_letters: DeadLetters::new(dir.path().join("letters"), 1 << 20),
            limits: options.limits,
            child_command: Vec::new(),
            scrub: Scrub::default(),
        }
    };
    let append = |first| {
        let recipe = Recipe {
            first,
            ..Recipe::rows(5)
        };
        batches.append(Stream::Calls, generate::batch(Stream::Calls, recipe));
    };
    let settle = || {
        let end = Instant::now() + PATIENCE;
        while !batches.settled("out", Stream::Calls) {
            assert!(Instant::now() < end, "{:#?}", outputs.status());
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    let old = script("replaced", Script::default());
    outputs.start(&settings("replaced")).unwrap();
    append(1);
    settle();

    let refused = outputs.prepare(&settings("no such script")).unwrap();
    let reason = refused.created(PATIENCE).unwrap_err();
    assert_eq!(reason, "there is no such script");
    drop(refused);
    append(6);
    settle();
    assert_eq!(
        old.lock().unwrap().durable["calls"],
        (1..=10).collect::<Vec<_>>()
    );
    assert_eq!(old.lock().unwrap().creations, 1);

    let new = script("replacing", Script::default());
    let prepared = outputs.prepare(&settings("replacing")).unwrap();
    prepared.created(PATIENCE).unwrap();
    append(11);
    settle();
    assert!(new.lock().unwrap().seen.is_empty(), "it is not fed yet");
    assert!(outputs.stop(&["out".to_owned()], PATIENCE).is_empty());
    outputs.admit(prepared).unwrap();
    append(16);
    settle();
    assert_eq!(
        new.lock().unwrap().durable["calls"],
        (16..=20).collect::<Vec<_>>()
    );
    assert_eq!(new.lock().unwrap().creations, 1);
    assert!(outputs.shutdown(PATIENCE).is_empty());
}
