//! The guard round every call: panics of every kind, poison, error boxes, versions, and that an
//! array is released exactly once whatever happens.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::redundant_closure_for_method_calls,
    reason = "plays the host of the C ABI; a test fails by panicking"
)]

mod common;

use std::panic::panic_any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use callmeter_plugin_sdk::abi::{self, ErrorBox};
use callmeter_plugin_sdk::{
    Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin, RawConfig,
};
use common::{Driven, Produced, common as columns, host};

/// Does what its configuration says.
struct Puppet {
    host: Host,
    part: String,
    kept: Vec<Batch>,
}

/// Panics when it is dropped, and so does what that panic carries.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(self.0 == 0, "the payload's drop panics");
    }
}

impl Puppet {
    fn act(&self, place: &str) {
        let Some(act) = self
            .part
            .strip_prefix(place)
            .and_then(|rest| rest.strip_prefix(' '))
        else {
            return;
        };
        match act {
            "panics" => panic!("in {place}"),
            "panics with a number" => panic_any(42_u8),
            "panics with a bomb" => panic_any(Bomb(1)),
            "panics at length" => panic!("{}", "é".repeat(500_000)),
            "panics with a zero" => panic!("a\0b"),
            other => unreachable!("{other}"),
        }
    }
}

static CREATED: AtomicUsize = AtomicUsize::new(0);

impl OutputPlugin for Puppet {
    const NAME: &'static str = "puppet";
    const CONFIG_SCHEMA: Option<&'static str> = Some("{\"type\":\"string\"}");
    type Config = RawConfig;

    fn create(host: Host, config: RawConfig) -> Result<Self, Fatal> {
        let part = String::from_utf8(config.0)?;
        let puppet = Self {
            host,
            part,
            kept: Vec::new(),
        };
        puppet.act("create");
        if puppet.part == "unlucky" {
            return Err(Fatal::new("no luck"));
        }
        CREATED.fetch_add(1, Ordering::SeqCst);
        Ok(puppet)
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        self.act("write");
        match self.part.as_str() {
            "keeps" => {
                self.kept.push(batch);
                Ok(())
            }
            "rejects" => Err(Fail::reject("never")),
            "retries" => Err(Fail::retry("later").after(Duration::from_millis(1_234))),
            "ends" => Err(Fail::fatal("over")),
            "sleeps" => {
                let slept = self.host.sleep(Duration::from_secs(10 * 60));
                Err(Fail::retry(format!("slept to the end: {slept}")))
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self, until: Deadline) -> Result<Durable, Fail> {
        self.act("flush");
        assert!(until.remaining() <= Duration::from_secs(1));
        match self.part.as_str() {
            "durable 1" => Ok(Durable::UpTo(1)),
            "durable 99" => Ok(Durable::UpTo(99)),
            "durable 1, then retry" => Err(Fail::retry("half").durable(1)),
            _ => Ok(Durable::All),
        }
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.act("drop");
    }
}

callmeter_plugin_sdk::export!(Puppet);

fn driven(part: &str) -> Driven {
    let mut driven = Driven::init(callmeter_plugin_sdk::entry::init::<Puppet>);
    assert_eq!(driven.create(part.as_bytes()), 0, "{}", driven.message());
    driven
}

/// An instance's pointer on its way to another thread, which the ABI allows.
#[derive(Clone, Copy)]
struct AnyThread(*mut std::ffi::c_void);

unsafe impl Send for AnyThread {}

impl AnyThread {
    fn get(self) -> *mut std::ffi::c_void {
        self.0
    }
}

fn produced() -> Produced {
    Produced::new(2, columns(2), 0)
}

#[test]
fn the_table_says_who_it_is() {
    let driven = Driven::init(callmeter_plugin_sdk::entry::init::<Puppet>);
    let text = |pointer| {
        unsafe { std::ffi::CStr::from_ptr(pointer) }
            .to_str()
            .unwrap()
    };
    assert_eq!(text(driven.table.name), "puppet");
    assert_eq!(text(driven.table.version), env!("CARGO_PKG_VERSION"));
    assert_eq!(text(driven.table.config_schema), "{\"type\":\"string\"}");
    assert_eq!(
        driven.table.struct_size,
        abi::size_u32::<abi::OutputPlugin>()
    );
}

#[test]
fn a_panic_in_create_is_an_error() {
    for (part, message) in [
        ("create panics", "the plugin panicked: in create"),
        (
            "create panics with a number",
            "the plugin panicked with a value that is no text",
        ),
        (
            "create panics with a bomb",
            "the plugin panicked with a value that is no text",
        ),
        ("unlucky", "no luck"),
    ] {
        let mut driven = Driven::init(callmeter_plugin_sdk::entry::init::<Puppet>);
        assert_eq!(driven.create(part.as_bytes()), 3);
        assert_eq!(driven.message(), message);
        assert!(driven.instance.is_null());
    }
    let mut driven = Driven::init(callmeter_plugin_sdk::entry::init::<Puppet>);
    assert_eq!(driven.create(b"\xff\xfe"), 3);
    assert!(driven.message().contains("utf-8"), "{}", driven.message());
}

#[test]
fn a_panic_in_write_poisons_the_instance_and_releases_the_batch() {
    for part in [
        "write panics",
        "write panics with a number",
        "write panics with a bomb",
    ] {
        let mut driven = driven(part);
        let mut first = produced();
        assert_eq!(driven.write(&first.batch(1, 1)), 3);
        let panic = driven.message();
        assert!(panic.starts_with("the plugin panicked"), "{panic}");
        assert_eq!(first.released(), 1);

        let mut second = produced();
        assert_eq!(driven.write(&second.batch(1, 2)), 3);
        assert_eq!(
            driven.message(),
            format!("the instance is poisoned: {panic}")
        );
        assert_eq!(second.released(), 0, "not taken: the host releases it");
        assert_eq!(driven.flush(), (3, 0));
        assert!(driven.message().starts_with("the instance is poisoned"));
    }
}

#[test]
fn a_panic_in_flush_or_drop_is_contained() {
    let mut flushing = driven("flush panics");
    assert_eq!(flushing.flush(), (3, 0));
    assert_eq!(flushing.message(), "the plugin panicked: in flush");
    driven("drop panics").destroy();
    driven("drop panics with a bomb").destroy();
}

#[test]
fn a_long_message_is_cut_between_characters_and_a_zero_is_kept() {
    let mut long = driven("write panics at length");
    assert_eq!(long.write(&produced().batch(1, 1)), 3);
    let message = long.message();
    assert!(message.len() <= ErrorBox::MESSAGE_LEN && message.len() >= ErrorBox::MESSAGE_LEN - 1);
    assert!(message.ends_with('é'));

    let mut zero = driven("write panics with a zero");
    assert_eq!(zero.write(&produced().batch(1, 1)), 3);
    assert_eq!(zero.message(), "the plugin panicked: a\0b");
}

#[test]
fn a_batch_is_released_exactly_once() {
    for (part, status) in [("takes", 0), ("rejects", 2), ("retries", 1), ("ends", 3)] {
        let mut driven = driven(part);
        let mut produced = produced();
        assert_eq!(driven.write(&produced.batch(1, 1)), status, "{part}");
        assert_eq!(produced.released(), 1, "{part}");
        // A second look at the same, now released, array.
        assert_eq!(driven.write(&produced.batch(1, 2)), 2);
        assert_eq!(
            driven.message(),
            "the batch is malformed: its array was released before"
        );
        assert_eq!(produced.released(), 1, "{part}");
    }
}

#[test]
fn a_batch_that_is_kept_lives_until_the_plugin_drops_it() {
    let mut driven = driven("keeps");
    let mut produced = produced();
    assert_eq!(driven.write(&produced.batch(1, 1)), 0);
    assert_eq!(produced.released(), 0);
    assert!(
        produced.array.release.is_none(),
        "moved out of the host's struct"
    );
    // Calls may come from another thread, and so may the release.
    let instance = AnyThread(driven.instance);
    let destroy = driven.table.destroy.unwrap();
    driven.instance = std::ptr::null_mut();
    std::thread::spawn(move || unsafe { destroy(instance.get()) })
        .join()
        .unwrap();
    assert_eq!(produced.released(), 1);
}

#[test]
fn a_retry_says_when() {
    let mut driven = driven("retries");
    assert_eq!(driven.write(&produced().batch(1, 1)), 1);
    assert_eq!(
        (driven.message().as_str(), driven.error.retry_after_ms),
        ("later", 1_234)
    );
}

#[test]
fn flush_says_what_is_durable_and_no_more_than_was_accepted() {
    for (part, writes, answer) in [
        ("all", 2, (0, 2)),
        ("all", 0, (0, 0)),
        ("durable 1", 2, (0, 1)),
        ("durable 99", 2, (0, 2)),
        ("durable 1, then retry", 2, (1, 1)),
        ("rejects", 2, (0, 0)),
    ] {
        let mut driven = driven(part);
        for seq in 1..=writes {
            driven.write(&produced().batch(1, seq));
        }
        assert_eq!(driven.flush(), answer, "{part}");
    }
}

#[test]
fn cancel_wakes_a_call_in_progress() {
    let mut driven = driven("sleeps");
    let (instance, cancel) = (AnyThread(driven.instance), driven.table.cancel.unwrap());
    let start = Instant::now();
    let canceller = std::thread::spawn(move || {
        // Cancel may come before the call begins, which clears it: so more than once.
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(20));
            unsafe { cancel(instance.get()) }
            if start.elapsed() > Duration::from_secs(1) {
                break;
            }
        }
    });
    assert_eq!(driven.write(&produced().batch(1, 1)), 1);
    assert_eq!(driven.message(), "slept to the end: false");
    canceller.join().unwrap();
}

#[test]
fn a_host_with_less_room_gets_less() {
    let init = callmeter_plugin_sdk::entry::init::<Puppet>;
    // A host of an earlier minor, whose table ends before `cancel`.
    let short = std::mem::offset_of!(abi::OutputPlugin, cancel);
    let mut table = abi::OutputPlugin::offered();
    table.struct_size = u32::try_from(short).unwrap();
    let (host, mut error) = (host(), ErrorBox::new());
    assert_eq!(
        unsafe { init(&raw const host, &raw mut table, &raw mut error) },
        0
    );
    assert_eq!(table.struct_size as usize, short);
    assert!(table.flush.is_some() && table.cancel.is_none() && table.destroy.is_none());
}

#[test]
fn a_host_of_another_major_is_refused() {
    let init = callmeter_plugin_sdk::entry::init::<Puppet>;
    let (mut host, mut error) = (host(), ErrorBox::new());
    host.abi_major = 2;
    let mut table = abi::OutputPlugin::offered();
    assert_eq!(
        unsafe { init(&raw const host, &raw mut table, &raw mut error) },
        4
    );
    assert_eq!(
        unsafe { init(std::ptr::null(), &raw mut table, &raw mut error) },
        3
    );
}

#[test]
fn a_host_that_knows_less_than_the_plugin_works() {
    // Only the first members: no log, no cancelled.
    let mut short = host();
    short.struct_size = u32::try_from(std::mem::offset_of!(abi::Host, log)).unwrap();
    let driven = Driven::init(callmeter_plugin_sdk::entry::init::<Puppet>);
    let (create, destroy) = (driven.table.create.unwrap(), driven.table.destroy.unwrap());
    let mut instance = std::ptr::null_mut();
    let mut error = ErrorBox::new();
    let status = unsafe {
        create(
            &raw const short,
            common::to_str(b"x"),
            common::to_str(b"t"),
            &raw mut instance,
            &raw mut error,
        )
    };
    assert_eq!(status, 0);
    unsafe { destroy(instance) };
}

#[test]
fn an_error_box_of_an_older_host_is_not_overrun() {
    let mut driven = driven("ends");
    let write = driven.table.write_batch.unwrap();
    let mut produced = produced();
    let batch = produced.batch(1, 1);
    let mut error = ErrorBox::new();
    error.struct_size = u32::try_from(std::mem::offset_of!(ErrorBox, msg) + 2).unwrap();
    assert_eq!(
        unsafe { write(driven.instance, &raw const batch, &raw mut error) },
        3
    );
    assert_eq!((error.len, &error.msg[..3]), (2, b"ov\0".as_slice()));
    // And a host that gives no box at all.
    assert_eq!(
        unsafe { write(driven.instance, &raw const batch, std::ptr::null_mut()) },
        2
    );
    driven.destroy();
}
