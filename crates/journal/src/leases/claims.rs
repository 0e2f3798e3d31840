//! Claims: an instance that has work of its own for an account gets the lease from the others, and
//! keeps it until the work is done.

use std::collections::HashMap;

use crate::leases::fence::InstanceId;
use crate::leases::standings::Peer;
use crate::log::shared::SharedLog;

/// How the name of a claimed lease begins among those that an instance wants.
const CLAIM: char = '!';

/// A lease that the other instances leave to this one, as long as this value exists.
pub struct Claim {
    log: SharedLog,
    lease: String,
}

impl Claim {
    /// `None` if this instance does not want the lease.
    pub(crate) fn new(log: &SharedLog, lease: &str) -> Option<Self> {
        log.leases().add_claim(lease).then(|| Self {
            log: log.clone(),
            lease: lease.to_owned(),
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.log.leases().remove_claim(&self.lease);
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// How a claim is written.
pub(super) fn written(lease: &str) -> String {
    format!("{CLAIM}{lease}")
}

/// What each instance wants when claims are heeded: nobody else wants what one has claimed. If two
/// have claimed the same, the first of them gets it: all have `live` in the same order.
pub(super) fn heed(live: &mut [Peer]) {
    let mut claimed: HashMap<String, InstanceId> = HashMap::new();
    for peer in live.iter_mut() {
        let own = peer.id;
        peer.wanted.retain(|name| match name.strip_prefix(CLAIM) {
            Some(lease) => {
                claimed.entry(lease.to_owned()).or_insert(own);
                false
            }
            None => true,
        });
    }
    for peer in live {
        let own = peer.id;
        peer.wanted
            .retain(|name| claimed.get(name).is_none_or(|holder| *holder == own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_wants_what_is_claimed() {
        let peer = |id: u8, wanted: &[&str]| Peer {
            id: [id; 8],
            name: id.to_string(),
            wanted: wanted.iter().map(|name| (*name).to_owned()).collect(),
            state: Vec::new(),
        };
        let mut live = [
            peer(1, &["account/a", "account/b"]),
            peer(2, &["account/a", "account/b", "!account/b"]),
            peer(3, &["account/a", "account/b", "!account/b"]),
        ];
        heed(&mut live);
        let wanted = live.map(|peer| {
            let mut names: Vec<String> = peer.wanted.into_iter().collect();
            names.sort_unstable();
            names.join(" ")
        });
        assert_eq!(wanted, ["account/a", "account/a account/b", "account/a"]);
    }
}
