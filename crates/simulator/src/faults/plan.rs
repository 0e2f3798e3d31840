//! Which requests are hit by which faults.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::kinds::{Echo, Faults, Hit, ServerError, Throttle};
use crate::random::{self, Purpose};

/// Which of the two servers a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    HostedSuite,
    PortSip,
}

/// Draws for each request what happens to it; counts what has happened.
#[derive(Debug, Default)]
pub(crate) struct RequestFaults {
    requests: AtomicU64,
    /// How often each kind has hit since its setting was changed.
    hits: [AtomicU64; KINDS],
}

/// What is to happen to one request.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) wait: Duration,
    /// In place of the server's own answer.
    pub(crate) instead: Option<Instead>,
    pub(crate) delivery: Delivery,
    pub(crate) expire_token: bool,
    pub(crate) change_deck: bool,
}

/// How an answer's body gets to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delivery {
    #[default]
    AtOnce,
    /// With such a pause in the middle.
    Stalled(Duration),
    /// The first half only, and then the connection is closed.
    CutOff,
}

/// What happens instead of an answer, in or in front of the server.
#[derive(Debug)]
pub(crate) enum Instead {
    Disconnect,
    Throttle(Throttle),
    ServerError(ServerError),
    Html,
    Echo(Echo),
}

#[derive(Clone, Copy)]
enum Kind {
    Latency,
    Stall,
    Disconnect,
    Truncate,
    Throttle,
    ServerError,
    Html,
    Echo,
    ExpireTokens,
    DeckChanges,
}

const KINDS: usize = Kind::DeckChanges as usize + 1;

impl RequestFaults {
    /// What happens to the next request, for `path` in lower case.
    pub(crate) fn plan(&self, faults: &Faults, path: &str) -> Plan {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let hits = |kind: Kind, hit: &Hit| self.hits(kind, hit, number, path);
        let mut plan = Plan::default();

        if let Some(fault) = &faults.latency
            && hits(Kind::Latency, &fault.hit())
        {
            let bits = random::draw(fault.seed, Purpose::Request, number);
            let jitter = random::below(bits, fault.jitter_ms.saturating_add(1));
            plan.wait = Duration::from_millis(fault.ms.saturating_add(jitter));
        }
        if let Some(fault) = &faults.stall
            && hits(Kind::Stall, &fault.hit())
        {
            plan.delivery = Delivery::Stalled(Duration::from_secs(fault.seconds));
        }
        if let Some(hit) = &faults.truncate
            && hits(Kind::Truncate, hit)
        {
            plan.delivery = Delivery::CutOff;
        }
        plan.expire_token =
            (faults.expire_tokens.as_ref()).is_some_and(|hit| hits(Kind::ExpireTokens, hit));
        plan.change_deck =
            (faults.deck_changes.as_ref()).is_some_and(|hit| hits(Kind::DeckChanges, hit));
        plan.instead = if let Some(hit) = &faults.disconnect
            && hits(Kind::Disconnect, hit)
        {
            Some(Instead::Disconnect)
        } else if let Some(fault) = &faults.throttle
            && hits(Kind::Throttle, &fault.hit())
        {
            Some(Instead::Throttle(fault.clone()))
        } else if let Some(fault) = &faults.server_error
            && hits(Kind::ServerError, &fault.hit())
        {
            Some(Instead::ServerError(fault.clone()))
        } else if let Some(hit) = &faults.html
            && hits(Kind::Html, hit)
        {
            Some(Instead::Html)
        } else if let Some(fault) = &faults.echo
            && hits(Kind::Echo, &fault.hit())
        {
            Some(Instead::Echo(fault.clone()))
        } else {
            None
        };
        plan
    }

    /// Starts counting anew, as a change of the settings does.
    pub(crate) fn reset(&self) {
        for hits in &self.hits {
            hits.store(0, Ordering::Relaxed);
        }
    }

    fn hits(&self, kind: Kind, hit: &Hit, number: u64, path: &str) -> bool {
        let Some(count) = self.hits.get(kind as usize) else {
            return false;
        };
        // Apart from each other, so that two faults of the same rate and seed
        // do not always hit the same requests.
        let seed = hit.seed ^ ((kind as u64) << 48);
        let wanted = (hit.path.as_ref()).is_none_or(|part| path.contains(&part.to_lowercase()))
            && random::selects(hit.rate, seed, Purpose::Request, number);
        let limit = hit.times.unwrap_or(u64::MAX);
        wanted
            && count
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |hits| {
                    (hits < limit).then(|| hits.saturating_add(1))
                })
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disconnects(word: &str, paths: &[&str]) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.merge_word(word).expect("usable");
        let requests = RequestFaults::default();
        (paths.iter())
            .map(|path| requests.plan(&faults, path).instead.is_some())
            .collect()
    }

    #[test]
    fn times_and_path_narrow_a_fault() {
        let word = r#"disconnect={"times":2,"path":"/Calls"}"#;
        let paths = [
            "/api/clients",
            "/api/calls",
            "/api/calls.json",
            "/api/calls",
        ];
        assert_eq!(disconnects(word, &paths), [false, true, true, false]);
    }

    #[test]
    fn a_rate_hits_about_that_share_and_the_same_requests_again() {
        let paths = vec!["/api/calls"; 2_000];
        let first = disconnects("disconnect=0.2", &paths);
        let hits = first.iter().filter(|hit| **hit).count();
        assert!((300..500).contains(&hits), "{hits} of 2,000");
        assert_eq!(first, disconnects("disconnect=0.2", &paths));
        assert_ne!(
            first,
            disconnects(r#"disconnect={"rate":0.2,"seed":7}"#, &paths)
        );
    }
}
