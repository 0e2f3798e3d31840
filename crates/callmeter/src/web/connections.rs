//! The open connections, and which of them gives way when there are too many.
//!
//! A connection is idle until its first request and between two requests. When no place is left,
//! the address with the most idle connections loses its oldest one, so that idle connections do not
//! keep anyone out. If all are busy, the oldest gives way once it has taken longer than a request
//! of a client that reads its response.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::peer::Peer;

/// The connections of one socket.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    /// The time after which a busy connection may have to give way.
    patience: Duration,
    open: Mutex<Open>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    busy: bool,
    since: Instant,
    /// Closes the connection when it is dropped.
    _close: oneshot::Sender<()>,
}

/// The place of an open connection. Dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    all: Arc<Connections>,
    id: u64,
    closed: oneshot::Receiver<()>,
}

/// Marks the connection as busy until it is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    all: Arc<Connections>,
    id: u64,
}

/// Tells when a connection is busy.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    all: Arc<Connections>,
    id: u64,
}

impl Connections {
    pub(super) fn new(most: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            most,
            patience,
            open: Mutex::default(),
            changed: Notify::new(),
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Each change is complete in itself, so a poisoned lock guards valid data.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place, which another connection may have to give up.
    pub(super) async fn place(self: &Arc<Self>, peer: Peer) -> Place {
        loop {
            let changed = self.changed.notified();
            if let Some(place) = self.try_place(peer) {
                return place;
            }
            // All are busy: one ends, or one has been busy for too long.
            let _either = tokio::time::timeout(Duration::from_secs(1), changed).await;
        }
    }

    fn try_place(self: &Arc<Self>, peer: Peer) -> Option<Place> {
        let mut open = self.open();
        if open.connections.len() >= self.most {
            let loser = open.loser(self.patience)?;
            open.connections.remove(&loser);
        }
        let id = open.next;
        open.next += 1;
        let (close, closed) = oneshot::channel();
        let entry = Entry {
            peer,
            busy: false,
            since: Instant::now(),
            _close: close,
        };
        open.connections.insert(id, entry);
        Some(Place {
            all: Arc::clone(self),
            id,
            closed,
        })
    }

    fn set(&self, id: u64, busy: bool) {
        if let Some(entry) = self.open().connections.get_mut(&id) {
            entry.busy = busy;
            entry.since = Instant::now();
        }
        if !busy {
            self.changed.notify_one();
        }
    }
}

impl Open {
    /// The connection that gives way.
    fn loser(&self, patience: Duration) -> Option<u64> {
        let mut idle: HashMap<Peer, (usize, Instant, u64)> = HashMap::new();
        for (id, entry) in self.connections.iter().filter(|(_, entry)| !entry.busy) {
            let (count, since, oldest) = idle.entry(entry.peer).or_insert((0, entry.since, *id));
            *count += 1;
            if entry.since <= *since {
                (*since, *oldest) = (entry.since, *id);
            }
        }
        let most_idle = idle
            .into_values()
            .max_by_key(|(count, since, _)| (*count, std::cmp::Reverse(*since)));
        if let Some((_, _, oldest)) = most_idle {
            return Some(oldest);
        }
        let oldest = self.connections.iter().min_by_key(|(_, entry)| entry.since);
        oldest
            .filter(|(_, entry)| entry.since.elapsed() > patience)
            .map(|(id, _)| *id)
    }
}

impl Place {
    /// Tells when this connection is busy.
    pub(super) fn activity(&self) -> Activity {
        Activity {
            all: Arc::clone(&self.all),
            id: self.id,
        }
    }

    /// Waits until this connection has to give way.
    pub(super) async fn lost(&mut self) {
        // Nothing is sent: the sender is dropped.
        let _dropped = (&mut self.closed).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.open().connections.remove(&self.id);
        self.all.changed.notify_one();
    }
}

impl Activity {
    /// The connection is busy until the result is dropped.
    pub(super) fn busy(&self) -> Busy {
        self.all.set(self.id, true);
        Busy {
            all: Arc::clone(&self.all),
            id: self.id,
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.all.set(self.id, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> Peer {
        Peer([192, 0, 2, last].into())
    }

    fn ids(all: &Connections) -> Vec<u64> {
        let mut ids: Vec<_> = all.open().connections.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    #[tokio::test]
    async fn idle_connections_give_way_oldest_first_of_the_address_with_the_most() {
        let all = Connections::new(4, Duration::from_hours(1));
        let _alone = all.place(peer(1)).await;
        let mut many = Vec::new();
        for _ in 0..3 {
            many.push(all.place(peer(2)).await);
        }
        let _busy = many[0].activity().busy();
        // The oldest of all is alone at its address, and the oldest of the others is busy.
        let _newcomer = all.place(peer(3)).await;
        many[1].lost().await;
        assert_eq!(ids(&all), [0, 1, 3, 4]);
    }

    #[tokio::test]
    async fn busy_connections_give_way_only_after_a_while() {
        let all = Connections::new(1, Duration::from_hours(1));
        let first = all.place(peer(1)).await;
        let busy = first.activity().busy();
        assert!(all.try_place(peer(2)).is_none());
        drop(busy);
        assert!(all.try_place(peer(2)).is_some());

        let all = Connections::new(1, Duration::ZERO);
        let mut first = all.place(peer(1)).await;
        let _busy = first.activity().busy();
        let _second = all.place(peer(2)).await;
        first.lost().await;
    }
}
