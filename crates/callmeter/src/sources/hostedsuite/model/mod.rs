//! The model test of the whole reader: client, poll and journal in simulated time, without sockets.
//!
//! Each case draws a server with its habits, a history of calls, failures, jumps of the clock and
//! restarts. Two laws are checked after every poll: nothing is silently incomplete, and no id
//! counts twice. Then the faults stop, and the journal must equal what the server lists.

mod history;
mod laws;
mod run;
mod server;
