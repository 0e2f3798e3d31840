//! Ends a process in which a plugin is still running.

/// Ends the process at once, without exit handlers.
///
/// Call it when [`Outputs::shutdown`] returned outputs that did not stop. A normal exit would run
/// the destructors of a library while its thread still uses it. Write everything to disk before.
///
/// [`Outputs::shutdown`]: crate::Outputs::shutdown
pub fn exit_now(code: u8) -> ! {
    // SAFETY: `_exit` takes any number, touches nothing of this process and does not return.
    unsafe { libc::_exit(code.into()) }
}
