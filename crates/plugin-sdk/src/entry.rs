//! The C functions behind [`export!`](crate::export), each with a guard against panics.
//!
//! A panic must not reach the host. It is caught, its text goes into the host's error box, and the
//! instance is poisoned, because its state after the panic is unknown.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callmeter_plugin_abi::{self as abi, ErrorBox, Status, Str, level};

use crate::batch::{Batch, SchemaCache};
use crate::config::FromConfig as _;
use crate::host::{Host, HostTable, Interrupt};
use crate::outcome::{Deadline, Durable, Fail, FailAction};
use crate::output_plugin::OutputPlugin;

/// A plugin's name, version and schema, as zero-terminated texts.
#[derive(Debug, Clone, Copy)]
pub struct About {
    pub name: &'static [u8],
    pub version: &'static [u8],
    pub config_schema: Option<&'static [u8]>,
}

/// Implemented by `export!`, because only the plugin's crate knows its name and version.
pub trait Exported: OutputPlugin {
    const ABOUT: About;
}

/// A text with a zero byte at its end. A zero byte inside the text fails the build.
pub const fn terminated<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    assert!(N == bytes.len() + 1);
    let mut out = [0; N];
    let mut i = 0;
    while i < bytes.len() {
        assert!(bytes[i] != 0, "a zero byte would end the text early");
        out[i] = bytes[i];
        i += 1;
    }
    out
}

/// An instance as the host holds it. `cancel` may come while another call is in progress, so the
/// state that calls change is behind a lock.
struct Instance<P> {
    host: HostTable,
    interrupt: Arc<Interrupt>,
    state: Mutex<State<P>>,
}

struct State<P> {
    plugin: P,
    /// The panic that ended the instance.
    poisoned: Option<String>,
    schemas: SchemaCache,
    last_accepted: u64,
}

/// The `init` of the plugin `P`, which the exported function calls. It is also the entry point of a
/// statically linked plugin.
///
/// # Safety
/// As the ABI says: `host` and `out` with truthful sizes, `error` null or a box.
pub unsafe extern "C" fn init<P: Exported>(
    host: *const abi::Host,
    out: *mut abi::OutputPlugin,
    error: *mut ErrorBox,
) -> i32 {
    guard(error, || {
        if host.is_null() || out.is_null() {
            return Err(Fail::fatal("the host passed no table"));
        }
        // SAFETY: not null, and the caller vouches for the sizes.
        let (table, room) = unsafe { (HostTable::read(host), (*out).struct_size as usize) };
        if table.major() != abi::ABI_MAJOR {
            return Ok(Status::UnsupportedAbi);
        }
        let mut plugin = abi::OutputPlugin {
            struct_size: 0,
            abi_major: abi::ABI_MAJOR,
            abi_minor: 0,
            features: 0,
            name: P::ABOUT.name.as_ptr().cast(),
            version: P::ABOUT.version.as_ptr().cast(),
            config_schema: P::ABOUT
                .config_schema
                .map_or(std::ptr::null(), |schema| schema.as_ptr().cast()),
            create: Some(create::<P>),
            write_batch: Some(write_batch::<P>),
            flush: Some(flush::<P>),
            cancel: Some(cancel::<P>),
            destroy: Some(destroy::<P>),
            check: Some(check::<P>),
        };
        let bytes = room.min(size_of::<abi::OutputPlugin>());
        #[expect(clippy::cast_possible_truncation, reason = "no larger than the table")]
        {
            plugin.struct_size = bytes as u32;
        }
        // SAFETY: `out` has room for so many bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(
                (&raw const plugin).cast::<u8>(),
                out.cast::<u8>(),
                bytes,
            );
        }
        Ok(Status::Ok)
    })
}

unsafe extern "C" fn check<P: OutputPlugin>(
    _: *const abi::Host,
    config: Str,
    error: *mut ErrorBox,
) -> i32 {
    guard(error, || {
        // SAFETY: live for the call.
        let config = unsafe { bytes(&config) };
        let config = P::Config::from_config(config).map_err(Fail::fatal)?;
        P::check(&config)?;
        Ok(Status::Ok)
    })
}

unsafe extern "C" fn create<P: OutputPlugin>(
    host: *const abi::Host,
    config: Str,
    name: Str,
    instance: *mut *mut c_void,
    error: *mut ErrorBox,
) -> i32 {
    guard(error, || {
        if host.is_null() || instance.is_null() {
            return Err(Fail::fatal(
                "the host passed no table or no place for the instance",
            ));
        }
        // SAFETY: not null, live for the call.
        let (host, config, name) = unsafe { (HostTable::read(host), bytes(&config), bytes(&name)) };
        let config = P::Config::from_config(config).map_err(Fail::fatal)?;
        let interrupt = Arc::new(Interrupt::default());
        let handle = Host::new(host, &String::from_utf8_lossy(name), Arc::clone(&interrupt));
        let state = State {
            plugin: P::create(handle, config)?,
            poisoned: None,
            schemas: SchemaCache::default(),
            last_accepted: 0,
        };
        let made = Box::new(Instance {
            host,
            interrupt,
            state: Mutex::new(state),
        });
        // SAFETY: not null; the host takes the instance over.
        unsafe { *instance = Box::into_raw(made).cast() };
        Ok(Status::Ok)
    })
}

unsafe extern "C" fn write_batch<P: OutputPlugin>(
    instance: *mut c_void,
    batch: *const abi::Batch,
    error: *mut ErrorBox,
) -> i32 {
    // SAFETY: the host passes the instance that `create` made.
    let instance = unsafe { borrow::<P>(instance) };
    enter(instance, error, |state| {
        // SAFETY: the host vouches for the batch.
        let batch = unsafe { Batch::take(batch, &mut state.schemas)? };
        let seq = batch.seq();
        state.plugin.write(batch)?;
        state.last_accepted = seq;
        Ok(())
    })
}

unsafe extern "C" fn flush<P: OutputPlugin>(
    instance: *mut c_void,
    deadline_ms: u64,
    durable_seq: *mut u64,
    error: *mut ErrorBox,
) -> i32 {
    // SAFETY: the host passes the instance that `create` made.
    let instance = unsafe { borrow::<P>(instance) };
    enter(instance, error, |state| {
        let answer = state
            .plugin
            .flush(Deadline::within(Duration::from_millis(deadline_ms)));
        let durable = match &answer {
            Ok(Durable::All) => Some(state.last_accepted),
            Ok(Durable::UpTo(seq)) => Some(*seq),
            Err(fail) => fail.durable,
        };
        if let Some(seq) = durable
            && !durable_seq.is_null()
        {
            // SAFETY: not null, the host's for the call. More than was accepted cannot be durable.
            unsafe { *durable_seq = seq.min(state.last_accepted) };
        }
        answer.map(|_| ())
    })
}

unsafe extern "C" fn cancel<P: OutputPlugin>(instance: *mut c_void) {
    // SAFETY: the host passes the instance that `create` made.
    if let Some(instance) = unsafe { borrow::<P>(instance) } {
        let raised = catch_unwind(AssertUnwindSafe(|| instance.interrupt.raise()));
        if let Err(payload) = raised {
            let text = panic_text(payload);
            instance
                .host
                .log(level::ERROR, "callmeter-plugin-sdk", &text);
        }
    }
}

unsafe extern "C" fn destroy<P: OutputPlugin>(instance: *mut c_void) {
    if instance.is_null() {
        return;
    }
    // SAFETY: the instance that `create` made, which the host gives back now.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance<P>>()) };
    let host = instance.host;
    if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(instance))) {
        let text = panic_text(payload);
        host.log(
            level::ERROR,
            "callmeter-plugin-sdk",
            &format!("while it was dropped, {text}"),
        );
    }
}

/// # Safety
/// `instance` is null or was made by `create` of the same `P` and not destroyed.
unsafe fn borrow<'a, P>(instance: *mut c_void) -> Option<&'a Instance<P>> {
    // SAFETY: the caller vouches for it.
    unsafe { instance.cast::<Instance<P>>().as_ref() }
}

/// Runs a call on an instance, unless it is poisoned. A panic poisons it.
fn enter<P>(
    instance: Option<&Instance<P>>,
    error: *mut ErrorBox,
    call: impl FnOnce(&mut State<P>) -> Result<(), Fail>,
) -> i32 {
    let Some(instance) = instance else {
        return guard(error, || Err(Fail::fatal("the host passed no instance")));
    };
    let mut state = instance
        .state
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(panic) = &state.poisoned {
        let reason = format!("the instance is poisoned: {panic}");
        return guard(error, || Err(Fail::fatal(reason)));
    }
    instance.interrupt.clear();
    let mut panicked = None;
    let status = guard(error, || {
        match catch_unwind(AssertUnwindSafe(|| call(&mut state))) {
            Ok(answer) => answer.map(|()| Status::Ok),
            Err(payload) => {
                let text = panic_text(payload);
                panicked = Some(text.clone());
                Err(Fail::fatal(text))
            }
        }
    });
    if panicked.is_some() {
        state.poisoned = panicked;
    }
    status
}

/// Runs `call`, and turns its result or its panic into a status and a filled error box.
fn guard(error: *mut ErrorBox, call: impl FnOnce() -> Result<Status, Fail>) -> i32 {
    let answer = catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|payload| Err(Fail::fatal(panic_text(payload))));
    match answer {
        Ok(status) => status as i32,
        Err(fail) => {
            // SAFETY: the host passes null or its own box.
            unsafe { fill(error, &fail) };
            match fail.action {
                FailAction::Retry => Status::Retry as i32,
                FailAction::Reject => Status::Reject as i32,
                FailAction::Fatal => Status::Fatal as i32,
            }
        }
    }
}

/// The text of a panic. Dropping its payload may panic again, with another payload. One that is
/// left after several rounds is leaked.
fn panic_text(payload: Box<dyn Any + Send>) -> String {
    let text = if let Some(text) = payload.downcast_ref::<&str>() {
        format!("the plugin panicked: {text}")
    } else if let Some(text) = payload.downcast_ref::<String>() {
        format!("the plugin panicked: {text}")
    } else {
        "the plugin panicked with a value that is no text".to_owned()
    };
    let mut payload = payload;
    for _ in 0..8 {
        match catch_unwind(AssertUnwindSafe(move || drop(payload))) {
            Ok(()) => return text,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
    text
}

/// Writes a failure into the host's box, cut at a character boundary.
///
/// # Safety
/// `error` is null or points to a box with a truthful `struct_size`.
unsafe fn fill(error: *mut ErrorBox, fail: &Fail) {
    if error.is_null() {
        return;
    }
    let after = fail.after.map_or(0, |wait| {
        u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
    });
    let mut end = fail.reason.len().min(ErrorBox::MESSAGE_LEN);
    // SAFETY: not null; an older box may be shorter than the one known here.
    unsafe {
        let room = ((*error).struct_size as usize)
            .saturating_sub(std::mem::offset_of!(ErrorBox, msg))
            .min(ErrorBox::MESSAGE_LEN);
        end = end.min(room);
        while !fail.reason.is_char_boundary(end) {
            end -= 1;
        }
        let message = (&raw mut (*error).msg).cast::<u8>();
        std::ptr::copy_nonoverlapping(fail.reason.as_ptr(), message, end);
        // No more than `MESSAGE_LEN`, which fits.
        (*error).len = u32::try_from(end).unwrap_or(0);
        (*error).retry_after_ms = after;
    }
}

/// # Safety
/// `text` is live.
unsafe fn bytes<'a>(text: &Str) -> &'a [u8] {
    if text.ptr.is_null() || text.len == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { std::slice::from_raw_parts(text.ptr.cast(), text.len) }
}
