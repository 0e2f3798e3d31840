//! Plugins that do harm: callmeter stays up, other outputs go on, nothing is lost, and the status
//! says which plugin did what.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use callmeter_plugin_testkit::host::{Limits, OutputState, OutputStatus};
use callmeter_plugin_testkit::{Rig, RigOptions};
use common::{PATIENCE, append_calls, hazard_options, own_process, talk_times, written};

/// Feeds a plugin that does harm once, in its third batch, beside a healthy one. Returns the error
/// that the operator sees.
fn recovers(dir: &Path, options: RigOptions) -> String {
    let rig = Rig::start(options);
    let healthy = format!(r#"{{"path":"{}"}}"#, dir.join("healthy").display());
    let other = Rig::start(RigOptions::library(talk_times(), dir.join("other")).config(healthy));
    for batch in 0..6 {
        append_calls(&rig, batch * 10 + 1, 10);
        append_calls(&other, batch * 10 + 1, 10);
    }
    other.settle(PATIENCE).unwrap();
    rig.settle(PATIENCE).unwrap();
    let status = rig.status();
    assert!(status.up, "it recovered: {status:#?}");
    assert_eq!(status.streams[0].delivered, 60);
    assert_eq!(
        written(&dir.join("out")),
        (1..=60).collect(),
        "nothing is lost"
    );
    rig.wait(PATIENCE, |status| status.last_error.is_some())
        .unwrap();
    assert!(rig.stop(PATIENCE) && other.stop(PATIENCE));
    status.last_error.map_or(String::new(), |error| error.text)
}

fn isolated(at: &str, harm: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut options = hazard_options(dir.path(), at, harm, true, true);
    if harm == "sleep for ever" {
        // Longer than any other call takes on a loaded machine.
        options.limits = Limits {
            call_timeout: Duration::from_secs(2),
            kill_after: Duration::from_millis(300),
            ..options.limits
        };
    }
    recovers(dir.path(), options)
}

#[test]
fn a_child_may_die_in_any_way() {
    for (harm, how) in [
        ("segfault", "(signal: 11 (SIGSEGV)"),
        ("abort", "(signal: 6 (SIGABRT)"),
        ("overflow the stack", "(signal: 6 (SIGABRT)"),
        ("exit", "(exit status: 3)"),
        ("panic", "the plugin panicked: the hazard panics in write"),
        ("close every file", "ended during write"),
    ] {
        let error = isolated("write", harm);
        assert!(error.contains(how), "{harm}: {error}");
    }
}

#[test]
fn a_child_may_die_at_any_place() {
    for at in ["create", "flush"] {
        let error = isolated(at, "segfault");
        assert!(
            error.contains(&format!("ended during {at} (signal: 11 (SIGSEGV)")),
            "{error}"
        );
    }
}

#[test]
fn a_child_that_hangs_is_killed_and_replaced() {
    let error = isolated("write", "sleep for ever");
    assert!(
        error.contains("did not return from write and was killed (signal: 9 (SIGKILL)"),
        "{error}"
    );
}

#[test]
fn what_a_plugin_prints_disturbs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(hazard_options(
        dir.path(),
        "write",
        "print to stdout",
        false,
        true,
    ));
    for batch in 0..6 {
        append_calls(&rig, batch * 10 + 1, 10);
    }
    rig.settle(PATIENCE).unwrap();
    assert!(rig.status().last_error.is_none());
    assert!(rig.stop(PATIENCE));
}

#[test]
fn a_segfault_when_the_instance_ends_is_harmless_in_a_child() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(hazard_options(dir.path(), "drop", "segfault", false, true));
    for batch in 0..6 {
        append_calls(&rig, batch * 10 + 1, 10);
    }
    rig.settle(PATIENCE).unwrap();
    assert!(rig.stop(PATIENCE));
    assert_eq!(written(&dir.path().join("out")), (1..=60).collect());
}

/// Tests without isolation. Each runs in its own process, so that an abort shows as its exit
/// status.
macro_rules! contained {
    ($($name:ident: $at:literal $harm:literal => $error:literal;)*) => {$(
        #[test]
        fn $name() {
            let status = own_process(stringify!($name), || {
                let dir = tempfile::tempdir().unwrap();
                let error = recovers(dir.path(), hazard_options(dir.path(), $at, $harm, true, false));
                assert!(error.contains($error), "{error}");
            });
            assert!(status.is_none_or(|status| status.success()), "{status:?}");
        }
    )*};
}

contained! {
    a_panic_in_create: "create" "panic" => "no instance can be made: the plugin panicked: the hazard panics in create";
    a_panic_in_write: "write" "panic" => "the instance failed: the plugin panicked: the hazard panics in write";
    a_panic_in_flush: "flush" "panic" => "the plugin panicked: the hazard panics in flush";
    a_panic_that_is_no_text: "write" "panic with a number" => "panicked with a value that is no text";
    a_panic_whose_payload_panics: "write" "panic with a bomb" => "panicked with a value that is no text";
    a_panic_with_a_long_text: "write" "panic at length" => "xxxxxxxx";
    a_panic_with_a_zero: "write" "panic with a zero" => "the plugin panicked: ab";
}

#[test]
fn a_panic_in_drop() {
    let status = own_process("a_panic_in_drop", || {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(hazard_options(dir.path(), "drop", "panic", false, false));
        for batch in 0..6 {
            append_calls(&rig, batch * 10 + 1, 10);
        }
        rig.settle(PATIENCE).unwrap();
        assert!(rig.stop(PATIENCE));
    });
    assert!(status.is_none_or(|status| status.success()));
}

#[test]
fn a_panic_in_a_thread() {
    let status = own_process("a_panic_in_a_thread", || {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(hazard_options(dir.path(), "thread", "panic", false, false));
        append_calls(&rig, 1, 10);
        rig.settle(PATIENCE).unwrap();
        assert!(rig.stop(PATIENCE));
    });
    assert!(status.is_none_or(|status| status.success()));
}

/// What isolation is for: the same harm without it takes the process down.
#[test]
fn without_isolation_a_segfault_ends_the_process() {
    let status = own_process("without_isolation_a_segfault_ends_the_process", || {
        let dir = tempfile::tempdir().unwrap();
        let _ = recovers(
            dir.path(),
            hazard_options(dir.path(), "write", "segfault", true, false),
        );
    });
    assert!(
        status.is_none_or(|status| status.signal() == Some(11)),
        "{status:?}"
    );
}

#[test]
fn a_hung_plugin_shows_and_holds_up_nobody() {
    let status = own_process("a_hung_plugin_shows_and_holds_up_nobody", || {
        let dir = tempfile::tempdir().unwrap();
        let mut options = hazard_options(dir.path(), "write", "sleep for ever", false, false);
        options.limits.call_timeout = Duration::from_millis(300);
        let rig = Rig::start(options);
        for batch in 0..6 {
            append_calls(&rig, batch * 10 + 1, 10);
        }
        // On a loaded machine another call may take too long before.
        let hangs = |status: &OutputStatus| {
            let call = status.call.map(|(operation, _)| operation);
            status.state == OutputState::Hung && call == Some("write")
        };
        rig.wait(PATIENCE, hangs).unwrap();
        assert!(!rig.status().up);
        // The lag of a hung output is still updated.
        append_calls(&rig, 61, 40);
        rig.wait(PATIENCE, |status| status.streams[0].backlog.records >= 80)
            .unwrap();
        let says_so = |status: &OutputStatus| {
            let error = status.last_error.as_ref();
            error.is_some_and(|error| error.text.starts_with("write has not returned for"))
        };
        rig.wait(PATIENCE, says_so).unwrap();

        let path = format!(r#"{{"path":"{}"}}"#, dir.path().join("healthy").display());
        let other = Rig::start(RigOptions::library(talk_times(), dir.path()).config(path));
        append_calls(&other, 1, 10);
        other.settle(PATIENCE).unwrap();

        assert!(
            !rig.stop(Duration::from_millis(400)),
            "it cannot be stopped, and says so"
        );
        // SAFETY: as callmeter leaves when an output did not end: without running destructors.
        #[expect(unsafe_code, reason = "no destructor may wait for the hung thread")]
        unsafe {
            libc::_exit(0)
        }
    });
    assert!(status.is_none_or(|status| status.success()), "{status:?}");
}

#[test]
fn a_call_that_takes_too_long_is_asked_to_return() {
    for isolated in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut options =
            hazard_options(dir.path(), "write", "sleep until cancelled", true, isolated);
        options.limits.call_timeout = Duration::from_millis(300);
        let error = recovers(dir.path(), options);
        assert!(error.contains("callmeter asks it to return"), "{error}");
    }
}

#[test]
fn a_stop_asks_a_sleeping_call_to_return() {
    for isolated in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(hazard_options(
            dir.path(),
            "write",
            "sleep until cancelled",
            false,
            isolated,
        ));
        for batch in 0..4 {
            append_calls(&rig, batch * 10 + 1, 10);
        }
        rig.wait(PATIENCE, |status| {
            status
                .call
                .is_some_and(|(_, time)| time > Duration::from_millis(200))
        })
        .unwrap();
        assert!(rig.stop(Duration::from_secs(6)));
    }
}

/// An output that has just started is as far behind as the journal says, not up to date.
#[test]
fn the_lag_is_known_before_there_is_an_instance() {
    let dir = tempfile::tempdir().unwrap();
    let before = Rig::start(hazard_options(dir.path(), "none", "none", false, false));
    assert!(before.stop(PATIENCE));
    append_calls(&before, 1, 30);
    let options = hazard_options(dir.path(), "create", "sleep for ever", false, true);
    let rig = Rig::start_over(before.batches(), options);
    assert_eq!(rig.status().streams[0].backlog.records, 30);
    assert!(rig.stop(Duration::from_millis(500)));
}

/// Its standard error goes to callmeter's log, which removes secrets, and nowhere else. This
/// process has no log.
#[test]
fn what_a_child_writes_to_standard_error_is_not_passed_through() {
    let test = "what_a_child_writes_to_standard_error_is_not_passed_through";
    if std::env::var("OWN_PROCESS").as_deref() == Ok(test) {
        let error = isolated("write", "panic");
        assert!(error.contains("the hazard panics in write"), "{error}");
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("OWN_PROCESS", test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("the hazard panics"), "{said}");
}

#[test]
fn a_child_that_hangs_is_killed_when_its_output_stops() {
    for at in ["write", "drop"] {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(hazard_options(dir.path(), at, "sleep for ever", true, true));
        for batch in 0..4 {
            append_calls(&rig, batch * 10 + 1, 10);
        }
        if at == "write" {
            rig.wait(PATIENCE, |_| dir.path().join("once").exists())
                .unwrap();
        } else {
            rig.settle(PATIENCE).unwrap();
        }
        // Its thread ends only when the process is gone.
        assert!(rig.stop(Duration::from_millis(500)), "{at}");
        assert!(dir.path().join("once").exists(), "{at}: it did not hang");
    }
}

/// The child is told to end, its `destroy` hangs, and then callmeter ends.
#[test]
fn a_child_ends_with_callmeter_even_while_its_instance_is_destroyed() {
    let noted = Path::new(env!("CARGO_TARGET_TMPDIR")).join("destroyed-child");
    let status = own_process(
        "a_child_ends_with_callmeter_even_while_its_instance_is_destroyed",
        || {
            let dir = tempfile::tempdir().unwrap();
            let options = hazard_options(dir.path(), "drop", "sleep for ever", true, true);
            let rig = Rig::start(options);
            for batch in 0..4 {
                append_calls(&rig, batch * 10 + 1, 10);
            }
            rig.settle(PATIENCE).unwrap();
            std::fs::write(&noted, children().join(" ")).unwrap();
            std::thread::spawn(move || rig.stop(PATIENCE));
            while !dir.path().join("once").exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            // SAFETY: as if callmeter was killed: without running destructors.
            #[expect(unsafe_code, reason = "no destructor may stop the child")]
            unsafe {
                libc::_exit(0)
            }
        },
    );
    let Some(status) = status else { return };
    assert!(status.success(), "{status:?}");
    let child = std::fs::read_to_string(noted).unwrap();
    let process = Path::new("/proc").join(&child).join("cmdline");
    let end = std::time::Instant::now() + PATIENCE;
    // A process that nobody waited for has no command line.
    while std::fs::read(&process).is_ok_and(|line| !line.is_empty()) {
        assert!(std::time::Instant::now() < end, "process {child} goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The child processes of this process.
fn children() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_library_stays_mapped_when_its_output_ends() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(hazard_options(dir.path(), "none", "none", false, false));
    append_calls(&rig, 1, 10);
    rig.settle(PATIENCE).unwrap();
    assert!(rig.stop(PATIENCE));
    drop(rig);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains("libhazard.so"), "the library was unloaded");
}
