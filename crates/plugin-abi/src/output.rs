//! The tables and boxes that pass between the host and an output plugin.

use core::ffi::{c_char, c_void};

use crate::arrow::{ArrowArray, ArrowSchema};

/// Text from the other side: UTF-8, counted, not zero-terminated. Valid for the call only.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Str {
    /// The first byte; may be null when `len` is 0.
    pub ptr: *const c_char,
    /// Bytes.
    pub len: usize,
}

/// What a function of a plugin returns, as an `i32`.
///
/// The host treats any other number as [`Status::Retry`], and as [`Status::Fatal`] the second time
/// in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// Accepted; not necessarily durable yet.
    Ok = 0,
    /// Nothing was accepted, or it is unknown: the host sends the same batch again.
    Retry = 1,
    /// This batch will never succeed: the host stores it as a dead letter and goes on.
    Reject = 2,
    /// The instance cannot go on: the host destroys it, creates a new one and sends again the
    /// batches that were not durable.
    Fatal = 3,
    /// From `init` only: the host is too old or too new for the plugin.
    UnsupportedAbi = 4,
}

impl Status {
    /// The status with this number; `None` for a number that the ABI does not define.
    #[must_use]
    pub const fn from_code(code: i32) -> Option<Self> {
        match code {
            0 => Some(Self::Ok),
            1 => Some(Self::Retry),
            2 => Some(Self::Reject),
            3 => Some(Self::Fatal),
            4 => Some(Self::UnsupportedAbi),
            _ => None,
        }
    }
}

/// What the records of a batch are: `kind` of [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum StreamKind {
    /// Calls, schema `calls/1`.
    Calls = 1,
    /// Allowance balances, schema `balances/1`.
    Balances = 2,
    /// Call rates, schema `rates/1`.
    Rates = 3,
    /// Billing settings, schema `billing/1`.
    Billing = 4,
    /// What calls cost, schema `charges/1`.
    Charges = 5,
}

/// Levels of a log line, for [`Host::log`].
pub mod level {
    /// Something failed.
    pub const ERROR: i32 = 1;
    /// Something is unusual, but the plugin goes on.
    pub const WARN: i32 = 2;
    /// What an operator wants to see in normal operation.
    pub const INFO: i32 = 3;
    /// What helps to find a fault.
    pub const DEBUG: i32 = 4;
    /// Every step.
    pub const TRACE: i32 = 5;
}

/// What the host offers to a plugin. It and `ctx` stay valid until the process ends, and every
/// function may be called from any thread.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Host {
    /// The size of this struct as the host knows it, in bytes.
    pub struct_size: u32,
    /// The host's [`crate::ABI_MAJOR`].
    pub abi_major: u16,
    /// The host's [`crate::ABI_MINOR`].
    pub abi_minor: u16,
    /// Bits of optional behaviour; none is defined yet.
    pub features: u64,
    /// Handed back in each call.
    pub ctx: *mut c_void,
    /// Writes a log line at one of [`level`]: level, target, message.
    pub log: Option<unsafe extern "C" fn(*mut c_void, i32, Str, Str)>,
    /// Nonzero if a line of this level would be written.
    pub log_enabled: Option<unsafe extern "C" fn(*mut c_void, i32) -> i32>,
    /// Nonzero when the call in progress should give up: shutdown, or its deadline passed.
    pub cancelled: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
}

/// The box into which a plugin writes why something failed. The host owns it; it is valid for the
/// call only.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ErrorBox {
    /// The size of this struct as the host knows it, in bytes.
    pub struct_size: u32,
    /// Bytes used of `msg`.
    pub len: u32,
    /// With [`Status::Retry`]: the shortest wait in milliseconds; 0 leaves it to the host.
    pub retry_after_ms: u64,
    /// UTF-8, cut at a character boundary. It must not quote the configuration, which may hold
    /// secrets.
    pub msg: [u8; Self::MESSAGE_LEN],
}

impl ErrorBox {
    /// Bytes of the longest message.
    pub const MESSAGE_LEN: usize = 1008;

    /// An empty box of this version.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            struct_size: size_u32::<Self>(),
            len: 0,
            retry_after_ms: 0,
            msg: [0; Self::MESSAGE_LEN],
        }
    }
}

impl Default for ErrorBox {
    fn default() -> Self {
        Self::new()
    }
}

/// Records for `write_batch`. The struct is valid for the call only.
#[derive(Debug)]
#[repr(C)]
pub struct Batch {
    /// The size of this struct as the host knows it, in bytes.
    pub struct_size: u32,
    /// One of [`StreamKind`]. A plugin skips a kind that it does not know, and returns
    /// [`Status::Ok`].
    pub kind: u32,
    /// 1, 2, 3, … within the instance: what `flush` acknowledges.
    pub seq: u64,
    /// The same whenever this batch is sent again, also after a restart: an idempotency key.
    pub batch_id: [u8; 16],
    /// 1 for the first time, then 2, 3, …
    pub attempt: u32,
    /// Changes when `schema` points to another schema.
    pub schema_id: u32,
    /// Borrowed; unchanged and valid as long as the instance.
    pub schema: *const ArrowSchema,
    /// A struct array: one child per column. The plugin may take it.
    pub array: *mut ArrowArray,
}

/// The table of functions of an output plugin. The host zeroes it and writes `struct_size` before
/// `init`; the plugin fills no more than that many bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct OutputPlugin {
    /// Before `init`: the bytes that the host offers. After it: the bytes that the plugin filled.
    pub struct_size: u32,
    /// The plugin's [`crate::ABI_MAJOR`].
    pub abi_major: u16,
    /// The lowest [`crate::ABI_MINOR`] that the plugin needs.
    pub abi_minor: u16,
    /// Bits of optional behaviour; none is defined yet.
    pub features: u64,
    /// The plugin's name: static, zero-terminated, the same as in the note.
    pub name: *const c_char,
    /// The plugin's version: static, zero-terminated, the same as in the note.
    pub version: *const c_char,
    /// A JSON Schema of its configuration: static, zero-terminated; or null.
    pub config_schema: *const c_char,
    /// Makes an instance: host, configuration as JSON, the output's name. Checks the configuration
    /// in full and does not wait for other systems.
    pub create:
        Option<unsafe extern "C" fn(*const Host, Str, Str, *mut *mut c_void, *mut ErrorBox) -> i32>,
    /// Takes a batch. [`Status::Ok`] means accepted, perhaps only buffered.
    pub write_batch: Option<unsafe extern "C" fn(*mut c_void, *const Batch, *mut ErrorBox) -> i32>,
    /// Makes the accepted batches durable within the given milliseconds, and returns the last `seq`
    /// that is durable. The number may also rise when the status is not [`Status::Ok`].
    /// [`Status::Reject`] rejects the batch after it.
    pub flush: Option<unsafe extern "C" fn(*mut c_void, u64, *mut u64, *mut ErrorBox) -> i32>,
    /// Asks a call in progress to return soon. The only function that may overlap another. Null if
    /// the plugin calls [`Host::cancelled`] itself.
    pub cancel: Option<unsafe extern "C" fn(*mut c_void)>,
    /// Destroys the instance. All its threads must have ended when this returns.
    pub destroy: Option<unsafe extern "C" fn(*mut c_void)>,
    /// Checks a configuration in JSON, without an instance: it changes nothing, opens no connection
    /// and does not wait. [`Status::Ok`], or any other number and why in the box. Since minor 1;
    /// may be null.
    pub check: Option<unsafe extern "C" fn(*const Host, Str, *mut ErrorBox) -> i32>,
}

impl OutputPlugin {
    /// A table as the host offers it to `init`: everything is zero except its size.
    #[must_use]
    pub const fn offered() -> Self {
        Self {
            struct_size: size_u32::<Self>(),
            abi_major: 0,
            abi_minor: 0,
            features: 0,
            name: core::ptr::null(),
            version: core::ptr::null(),
            config_schema: core::ptr::null(),
            create: None,
            write_batch: None,
            flush: None,
            cancel: None,
            destroy: None,
            check: None,
        }
    }
}

/// The type of the function named [`crate::INIT_SYMBOL`].
pub type InitFn = unsafe extern "C" fn(*const Host, *mut OutputPlugin, *mut ErrorBox) -> i32;

/// The size of `T` for a `struct_size`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the structs are a few hundred bytes"
)]
pub const fn size_u32<T>() -> u32 {
    size_of::<T>() as u32
}
