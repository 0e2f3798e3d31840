//! Leaving a process in which a plugin is still at work.

/// Ends the process at once, without running anything at its exit: for after [`Outputs::shutdown`]
/// named outputs that did not end. An orderly exit would run destructors of a library under the feet
/// of its own thread. What is to be on disk has to be there before.
///
/// [`Outputs::shutdown`]: crate::Outputs::shutdown
pub fn exit_now(code: u8) -> ! {
    // SAFETY: `_exit` takes any number, touches nothing of this process and does not return.
    unsafe { libc::_exit(code.into()) }
}
