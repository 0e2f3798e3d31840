//! The limit of file descriptors: a soft limit of 1,024 is common, and too low for many accounts.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

use crate::config::Config;

/// For the journal, the log, the web server and its clients.
const OWN: u64 = 512;
/// For an account: connections that are in use or kept for the next poll, and name look-ups.
const ACCOUNT: u64 = 4;
/// For an output: the pipes of its process, and its plugin's files.
const OUTPUT: u64 = 16;

/// Raises the soft limit to the hard limit, as every user may.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => debug!(from = current, to = maximum, "limit of open files raised"),
        Err(error) => warn!(%error, limit = current, "cannot raise the limit of open files"),
    }
}

/// Warns if the configuration may need more descriptors than there are.
pub(crate) fn check(config: &Config) {
    let limit = getrlimit(Resource::Nofile).current;
    let needed = needed(config.accounts.len(), config.outputs.len());
    if let Some(limit) = limit.filter(|limit| *limit < needed) {
        warn!(
            limit,
            needed,
            "the limit of open files may be too low for this configuration: raise the hard limit, \
             with systemd by LimitNOFILE"
        );
    }
}

fn needed(accounts: usize, outputs: usize) -> u64 {
    let many = |count: usize, each: u64| u64::try_from(count).unwrap_or(u64::MAX) * each;
    OWN + many(accounts, ACCOUNT) + many(outputs, OUTPUT)
}
