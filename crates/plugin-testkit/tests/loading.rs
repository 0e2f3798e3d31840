//! What is loaded and what is refused, why, and that a refused file runs no code.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::time::Duration;

use callmeter_plugin_testkit::host::{
    LoadDecision, PluginFile, PluginSource, Scrub, Trust, check_settings, inspect,
};
use callmeter_plugin_testkit::{Rig, RigOptions};
use common::{CHILD, PATIENCE, append_calls, compile_c, hazard, odd, own_process, talk_times_c};

/// Why a plugin compiled with these flags is refused; `None` if it loads.
fn refusal(flags: &[&str]) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let library = odd(dir.path(), flags);
    match inspect(&library, None, Trust::Strict).decision {
        LoadDecision::Loads => None,
        LoadDecision::Refused(reason) => {
            Some(reason.replace(&dir.path().display().to_string(), "DIR"))
        }
    }
}

fn refused(flags: &[&str], reason: &str) {
    assert_eq!(refusal(flags).as_deref(), Some(reason), "{flags:?}");
}

#[test]
fn a_plugin_that_is_as_it_should_be_loads() {
    assert_eq!(refusal(&[]), None);
    assert_eq!(
        refusal(&["-DLONG_TABLE"]),
        None,
        "a later minor may have a longer table"
    );
}

#[test]
fn a_plugin_checks_its_settings_itself() {
    let dir = tempfile::tempdir().unwrap();
    let check = |flags: &[&str]| {
        let plugin = odd(dir.path(), flags);
        check_settings(
            &RigOptions::library(plugin, dir.path())
                .isolated(CHILD)
                .settings(),
        )
    };
    let refused = Err("its settings are not valid: `color` is not the one of the house".to_owned());
    assert_eq!(check(&["-DCHECK_STATUS=3"]), refused);
    assert_eq!(check(&["-DCHECK_STATUS=77"]), refused);
    assert_eq!(check(&["-DCHECK_STATUS=0"]), Ok(Vec::new()));
    assert_eq!(check(&[]), Ok(Vec::new()));
    assert_eq!(
        check(&["-DSHORT_TABLE"]),
        Ok(Vec::new()),
        "minor 0 has no check"
    );
    let crash = check(&["-DCHECK_STATUS=99"]).unwrap_err();
    assert!(
        crash.starts_with("the plugin's process ended during check (signal: 6 (SIGABRT)"),
        "{crash}"
    );
    // What the schema finds hides nothing of what the plugin finds.
    let schema = r#"-DSCHEMA="{\"required\":[\"size\"]}""#;
    let both = "its settings are not valid: lacks `size`; `color` is not the one of the house";
    assert_eq!(check(&["-DCHECK_STATUS=3", schema]).unwrap_err(), both);
    assert_eq!(
        check(&["-DCHECK_STATUS=0", schema]).unwrap_err(),
        "its settings are not valid: lacks `size`"
    );
}

#[test]
fn a_schema_that_cannot_be_used_is_shown_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = odd(dir.path(), &[r#"-DSCHEMA="{\"type\":7}""#]);
    let inspection = inspect(&plugin, None, Trust::Strict);
    assert!(inspection.loads());
    let warned = |warnings: &[String]| {
        warnings
            .iter()
            .any(|text| text.starts_with("the plugin's JSON Schema cannot be used: "))
    };
    assert!(warned(&inspection.warnings), "{inspection}");
    let settings = RigOptions::library(plugin, dir.path())
        .isolated(CHILD)
        .settings();
    assert!(warned(&check_settings(&settings).unwrap()));
}

/// Somebody reads it in a terminal, or pastes it into a ticket.
#[test]
fn what_a_check_says_is_one_line_without_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = odd(
        dir.path(),
        &[
            "-DCHECK_STATUS=3",
            "-DCHECK_TEXT=\"hun\\033ter2 hunter2\\ncallmeter.yml: valid\\342\\200\\256!\"",
        ],
    );
    let mut settings = RigOptions::library(plugin, dir.path())
        .isolated(CHILD)
        .settings();
    settings.scrub = Scrub::new(|text| text.replace("hunter2", "***"));
    assert_eq!(
        check_settings(&settings).unwrap_err(),
        "its settings are not valid: *** *** callmeter.yml: valid!"
    );
}

#[test]
fn other_versions_are_refused() {
    refused(
        &["-DNOTE_TEXT=\"abi=2.0;kind=output;name=odd;ver=1\""],
        "it is built for plugin ABI 2.0, this callmeter has 1.1",
    );
    refused(
        &["-DNOTE_TEXT=\"abi=1.0;kind=input;name=odd;ver=1\""],
        "it is a plugin of kind `input`, and an output is needed",
    );
    refused(
        &["-DOTHER_SYMBOL"],
        "it does not export callmeter_output_plugin_init_v1: it is built for another major of the plugin ABI",
    );
    refused(
        &["-DMINOR=9"],
        "it needs plugin ABI 1.9, this callmeter has 1.1: update callmeter",
    );
    refused(
        &["-DINIT_STATUS=4"],
        "its init function failed (unsupported ABI): it does not support this callmeter's plugin ABI",
    );
}

#[test]
fn what_is_wrong_inside_is_refused() {
    refused(
        &["-DNO_NOTE"],
        "DIR/libodd.so: it holds no callmeter note (.note.callmeter), so it is not a plugin; a plugin gets one by `export!` or CALLMETER_PLUGIN_NOTE",
    );
    refused(
        &["-DINIT_STATUS=3"],
        "its init function failed (status 3): not today",
    );
    refused(
        &["-DINIT_STATUS=99"],
        "its init function failed (status 99): not today",
    );
    refused(&["-DNO_FLUSH"], "it does not provide `flush`");
    refused(
        &["-DOTHER_NAME"],
        "its table says name `even`, its note `odd`",
    );
    // RTLD_NOW: found here, not in the first call.
    refused(
        &["-DUNDEFINED_SYMBOL"],
        "the dynamic linker refuses it: DIR/libodd.so: undefined symbol: nobody_defines_this",
    );
}

#[test]
fn a_refused_file_runs_no_code() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("ran");
    let load_marker = format!("-DLOAD_MARKER=\"{}\"", marker.display());
    let old = [
        load_marker.as_str(),
        "-DNOTE_TEXT=\"abi=2.0;kind=output;name=odd;ver=1\"",
    ];
    let library = odd(dir.path(), &old);
    assert!(!inspect(&library, None, Trust::Strict).loads());
    assert!(!marker.exists(), "the note was checked after loading");
    // The constructor does run when the file is accepted, which shows that the check above can
    // fail.
    let library = odd(dir.path(), &[&load_marker]);
    assert!(inspect(&library, None, Trust::Strict).loads());
    assert!(marker.exists());
}

#[test]
fn a_pinned_plugin_is_loaded_from_what_was_checked() {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("libpinned.so");
    std::fs::copy(hazard(), &library).unwrap();
    let sha256 = inspect(&hazard(), None, Trust::Development).sha256.unwrap();
    assert!(inspect(&library, Some(&sha256), Trust::Strict).loads());
    // Overwrite the file. The plugin was loaded from a sealed copy and goes on; without a pin this
    // would change the code of the running plugin.
    let mut bytes = std::fs::read(&library).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&library, bytes).unwrap();
    let LoadDecision::Refused(reason) = inspect(&library, Some(&sha256), Trust::Strict).decision
    else {
        panic!("it loads")
    };
    assert!(
        reason.ends_with(&format!("but the configuration pins {sha256}")),
        "{reason}"
    );
}

/// The dynamic linker knows a library by the path it was given; a descriptor's number must not be
/// used twice.
#[test]
fn one_library_is_not_taken_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let odd = odd(dir.path(), &[]);
    for _ in 0..3 {
        for (library, name) in [
            (hazard(), "hazard"),
            (common::talk_times(), "talk-times"),
            (odd.clone(), "odd"),
        ] {
            let found = inspect(&library, None, Trust::Development);
            assert!(found.loads(), "{found}");
            assert_eq!(found.facts.unwrap().note.name, name);
        }
    }
}

#[test]
fn an_inspection_reads_well() {
    let text = inspect(&hazard(), None, Trust::Development).to_string();
    let directory = hazard().parent().map(Path::to_path_buf).unwrap();
    insta::with_settings!({filters => vec![
        (regex_escape(&directory.display().to_string()).as_str(), "DIR"),
        (r"sha256    [0-9a-f]{64}", "sha256    HASH"),
        (r"needs     .*", "needs     LIBRARIES"),
        (r"\nwarning   it is not linked with[^\n]*", ""),
    ]}, {
        insta::assert_snapshot!(text);
    });
}

fn regex_escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_alphanumeric() {
                vec![c]
            } else {
                vec!['\\', c]
            }
        })
        .collect()
}

#[test]
fn statuses_that_do_not_exist_are_retried_once_and_then_fatal() {
    let dir = tempfile::tempdir().unwrap();
    let library = odd(dir.path(), &["-DGARBAGE_STATUS"]);
    let rig = Rig::start(RigOptions::library(&library, dir.path()));
    append_calls(&rig, 1, 5);
    rig.settle(PATIENCE).unwrap();
    let status = rig.status();
    // 77, -1 (fatal), 77, -1 (fatal), 77, then it behaves.
    assert_eq!((status.restarts, status.streams[0].delivered), (2, 5));
}

#[test]
fn an_error_box_full_of_nonsense_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let library = odd(dir.path(), &["-DLYING_ERROR"]);
    let rig = Rig::start(RigOptions::library(&library, dir.path()));
    append_calls(&rig, 1, 5);
    rig.settle(PATIENCE).unwrap();
    assert_eq!(rig.status().retries, 2);
}

#[test]
fn a_plugin_that_boasts_moves_the_cursor_no_further_than_it_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let library = odd(dir.path(), &["-DBOASTS", "-DKEEPS_ARRAY"]);
    let rig = Rig::start(RigOptions::library(&library, dir.path()));
    for batch in 0..100 {
        append_calls(&rig, batch * 5 + 1, 5);
    }
    rig.settle(PATIENCE).unwrap();
    assert_eq!(rig.delivered(), 500);
}

/// The C twin and the Rust original write the same bytes, in this process and in a child.
#[test]
fn c_and_rust_write_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let c = talk_times_c(dir.path());
    let mut texts = Vec::new();
    for (library, isolated) in [
        (common::talk_times(), false),
        (c.clone(), false),
        (common::talk_times(), true),
        (c, true),
    ] {
        let path = dir.path().join(format!("lines-{}", texts.len()));
        let config = format!(r#"{{"path":"{}"}}"#, path.display());
        let options = RigOptions::library(library, dir.path()).config(config);
        let rig = Rig::start(if isolated {
            options.isolated(CHILD)
        } else {
            options
        });
        let stream = callmeter_plugin_testkit::Stream::Calls;
        let whole = callmeter_plugin_testkit::generate::batch(
            stream,
            callmeter_plugin_testkit::generate::Recipe::rows(700),
        );
        for (offset, length) in [(0, 1), (1, 7), (13, 500), (513, 0), (513, 187)] {
            rig.append(stream, whole.slice(offset, length));
        }
        rig.settle(PATIENCE).unwrap();
        assert!(rig.stop(PATIENCE));
        texts.push(std::fs::read_to_string(path).unwrap());
    }
    assert_eq!(texts[0].lines().count(), 695);
    assert!(texts[0].contains(" -\n"), "nulls are among them");
    assert!(texts.iter().all(|text| *text == texts[0]));
}

#[test]
fn a_plugin_in_c_keeps_the_rules() {
    let dir = tempfile::tempdir().unwrap();
    let library = talk_times_c(dir.path());
    let config = |dir: &Path| format!(r#"{{"path":"{}/lines"}}"#, dir.display());
    let report = callmeter_plugin_testkit::conformance::run(&library, config);
    assert!(report.passed(), "{report}");
}

/// A plugin that forgets the offset, the validity bitmap or the rules must not pass.
#[test]
fn the_conformance_checks_can_fail() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["-DINIT_STATUS=3"];
    let library = odd(dir.path(), &flags);
    assert!(!callmeter_plugin_testkit::conformance::run(&library, |_| "{}".to_owned()).passed());
    // This plugin refuses batches without rows. A check of its own finds that.
    let source = dir.path().join("picky.c");
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/odd.c"))
            .unwrap();
    let text = text.replace(
        "    writes++;",
        "    if (batch->array->length == 0) return CALLMETER_REJECT;",
    );
    std::fs::write(&source, text).unwrap();
    // In another directory, because the other library is mapped.
    let elsewhere = tempfile::tempdir().unwrap();
    let picky = compile_c(&source, "odd", elsewhere.path(), &[]);
    let report = callmeter_plugin_testkit::conformance::run(&picky, |_| "{}".to_owned());
    let text = report.to_string();
    assert!(!report.passed());
    assert!(
        text.contains("FAILED    takes empty batches and single records: it refused"),
        "{text}"
    );
}

callmeter_plugin_testkit::conformance!("talk_times", |dir| {
    format!(r#"{{"path":"{}/lines"}}"#, dir.display())
});

#[test]
fn a_plugin_that_cannot_be_loaded_leaks_nothing_however_often_it_is_tried() {
    let status = own_process(
        "a_plugin_that_cannot_be_loaded_leaks_nothing_however_often_it_is_tried",
        || {
            let dir = tempfile::tempdir().unwrap();
            let library = odd(dir.path(), &["-DINIT_STATUS=3"]);
            let file = PluginFile::open(&library, None, Trust::Development).unwrap();
            for pin in [None, Some(file.sha256().to_owned())] {
                let mut options = RigOptions::library(&library, dir.path());
                options.limits.retry_least = Duration::from_millis(1);
                options.limits.retry_most = Duration::from_millis(2);
                options.source = PluginSource::File {
                    path: library.clone(),
                    sha256: pin,
                    trust: Trust::Development,
                };
                let rig = Rig::start(options);
                let mut tries = std::collections::BTreeSet::new();
                rig.wait(PATIENCE, |status| {
                    tries.extend(status.last_error.as_ref().map(|error| error.at));
                    tries.len() >= 20
                })
                .unwrap();
                assert!(rig.stop(PATIENCE));
            }
            drop(file);
            let held = std::fs::read_dir("/proc/self/fd")
                .unwrap()
                .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
                .filter(|target| {
                    let target = target.to_string_lossy();
                    target.contains("libodd") || target.contains("callmeter-plugin")
                })
                .count();
            assert_eq!(held, 1, "the loaded library itself");
        },
    );
    assert!(status.is_none_or(|status| status.success()), "{status:?}");
}
