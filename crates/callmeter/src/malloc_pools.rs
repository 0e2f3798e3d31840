//! One pool of memory for all threads.
//!
//! glibc gives each thread a pool of its own, and each pool keeps the memory of the largest page
//! that its thread has read: 130 MiB after a million calls, with one pool 85. glibc reads its
//! settings when a program starts, so the program starts once more.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

const SETTING: &str = "MALLOC_ARENA_MAX";

/// Starts this program again in the same process, with one pool, unless the environment says how
/// many pools there are. Returns if that is so, or if the system does not allow it.
pub fn use_one() {
    if std::env::var_os(SETTING).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut arguments = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Returns only if it fails, and the program works as well with several pools.
    let _error = again.args(arguments).env(SETTING, "1").exec();
}
