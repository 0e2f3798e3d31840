//! The plan for a request: which faults hit it, and what they do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::kinds::Faults;
use super::request_kinds::{Echo, FailedDay, FailedPage, Hit, ServerError, Throttle};
use crate::random::{self, Purpose};

/// Plans each request, and counts the hits of each fault.
#[derive(Debug, Default)]
pub(crate) struct RequestFaults {
    requests: AtomicU64,
    /// Of those, the ones before the last change of the faults.
    earlier: AtomicU64,
    /// Hits of each fault since the last change of the faults.
    hits: [AtomicU64; REQUEST_FAULTS],
}

/// What happens to one request.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) wait: Duration,
    /// Replaces the server's answer.
    pub(crate) instead: Option<Instead>,
    pub(crate) delivery: Delivery,
    pub(crate) expire_token: bool,
    pub(crate) change_deck: bool,
}

/// How the body of an answer is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delivery {
    #[default]
    AtOnce,
    /// With a pause in the middle.
    Stalled(Duration),
    /// Only the first half; then the connection is closed.
    CutOff,
}

/// What replaces the answer of the server.
#[derive(Debug)]
pub(crate) enum Instead {
    Disconnect,
    Throttle(Throttle),
    ServerError(ServerError),
    Html,
    Echo(Echo),
}

/// The faults that hit requests.
#[derive(Clone, Copy)]
enum RequestFault {
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
    FailPage,
    FailDay,
}

const REQUEST_FAULTS: usize = RequestFault::FailDay as usize + 1;

impl RequestFaults {
    /// Plans the next request. `path` is in lower case.
    pub(crate) fn plan(&self, faults: &Faults, path: &str) -> Plan {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let hits = |fault: RequestFault, hit: &Hit| self.hits(fault, hit, number, path);
        let mut plan = Plan::default();

        if let Some(fault) = &faults.latency
            && hits(RequestFault::Latency, &fault.hit())
        {
            let bits = random::draw(fault.seed, Purpose::Request, number);
            let jitter = random::below(bits, fault.jitter_ms.saturating_add(1));
            plan.wait = Duration::from_millis(fault.ms.saturating_add(jitter));
        }
        if let Some(fault) = &faults.stall
            && hits(RequestFault::Stall, &fault.hit())
        {
            plan.delivery = Delivery::Stalled(Duration::from_secs(fault.seconds));
        }
        if let Some(hit) = &faults.truncate
            && hits(RequestFault::Truncate, hit)
        {
            plan.delivery = Delivery::CutOff;
        }
        plan.expire_token = (faults.expire_tokens.as_ref())
            .is_some_and(|hit| hits(RequestFault::ExpireTokens, hit));
        plan.change_deck =
            (faults.deck_changes.as_ref()).is_some_and(|hit| hits(RequestFault::DeckChanges, hit));
        plan.instead = if let Some(hit) = &faults.disconnect
            && hits(RequestFault::Disconnect, hit)
        {
            Some(Instead::Disconnect)
        } else if let Some(fault) = &faults.throttle
            && hits(RequestFault::Throttle, &fault.hit())
        {
            Some(Instead::Throttle(fault.clone()))
        } else if let Some(fault) = &faults.server_error
            && hits(RequestFault::ServerError, &fault.hit())
        {
            Some(Instead::ServerError(fault.clone()))
        } else if let Some(hit) = &faults.html
            && hits(RequestFault::Html, hit)
        {
            Some(Instead::Html)
        } else if let Some(fault) = &faults.echo
            && hits(RequestFault::Echo, &fault.hit())
        {
            Some(Instead::Echo(fault.clone()))
        } else {
            None
        };
        plan
    }

    /// Whether a fault of one page hits the request that was planned last.
    pub(crate) fn fails_page(&self, fault: &FailedPage, path: &str) -> bool {
        self.hits(RequestFault::FailPage, &fault.hit(), self.last(), path)
    }

    /// Whether a fault of one day hits the request that was planned last.
    pub(crate) fn fails_day(&self, fault: &FailedDay, path: &str) -> bool {
        self.hits(RequestFault::FailDay, &fault.hit(), self.last(), path)
    }

    /// The number of the last request.
    fn last(&self) -> u64 {
        self.requests.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// How many requests came before the last one since the faults changed.
    pub(crate) fn since_change(&self) -> u64 {
        let earlier = self.earlier.load(Ordering::Relaxed);
        self.last().saturating_sub(earlier)
    }

    /// Resets the hits after a change of the faults.
    pub(crate) fn reset(&self) {
        let requests = self.requests.load(Ordering::Relaxed);
        self.earlier.store(requests, Ordering::Relaxed);
        for hits in &self.hits {
            hits.store(0, Ordering::Relaxed);
        }
    }

    fn hits(&self, fault: RequestFault, hit: &Hit, number: u64, path: &str) -> bool {
        let Some(count) = self.hits.get(fault as usize) else {
            return false;
        };
        // Different for each fault, so that two faults with the same rate and seed do not always
        // hit the same requests.
        let seed = hit.seed ^ ((fault as u64) << 48);
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
