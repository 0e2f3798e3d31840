//! Whose password is compared next.
//!
//! A comparison costs a core tens of milliseconds or more, so only a few run at a time. Whoever
//! sends many guesses must not delay others: addresses take turns, and an address that sends more
//! than a few requests gives up its oldest ones.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Requests of one address that wait, and those among them that name the same user.
const WAITING: usize = 10;
const WAITING_FOR_A_USER: usize = 2;

/// Hands out turns.
#[derive(Debug)]
pub(crate) struct Turns {
    /// How many run at a time.
    parallel: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    running: usize,
    /// The addresses in the order of their turns, each with its requests, newest last.
    addresses: VecDeque<(IpAddr, Vec<Waiting>)>,
}

#[derive(Debug)]
struct Waiting {
    user: String,
    turn: oneshot::Sender<Turn>,
}

/// The permission to compare one password. Dropping it hands it on.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Turns>);

impl Turns {
    /// Guesses must not use all cores.
    pub(crate) fn on_half_of_the_cores() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new((cores / 2).max(1))
    }

    /// Hands out this many turns at a time.
    fn new(parallel: usize) -> Arc<Self> {
        Arc::new(Self {
            parallel,
            queue: Mutex::default(),
        })
    }

    #[cfg(test)]
    pub(crate) fn parallel(&self) -> usize {
        self.parallel
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each change is complete in itself, so a poisoned lock guards valid data.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn; `None` if the address sends more requests than can be served.
    pub(crate) async fn wait(self: &Arc<Self>, address: IpAddr, user: &str) -> Option<Turn> {
        let waiting = {
            let mut queue = self.queue();
            if queue.running < self.parallel {
                queue.running += 1;
                return Some(Turn(Arc::clone(self)));
            }
            let (turn, waiting) = oneshot::channel();
            let user = user.to_owned();
            queue.add(address, Waiting { user, turn });
            waiting
        };
        // The sender is dropped when a newer request takes the place.
        waiting.await.ok()
    }
}

impl Queue {
    fn add(&mut self, address: IpAddr, request: Waiting) {
        let known = self
            .addresses
            .iter()
            .position(|(known, _)| *known == address);
        let index = known.unwrap_or_else(|| {
            self.addresses.push_back((address, Vec::new()));
            self.addresses.len() - 1
        });
        let Some((_, requests)) = self.addresses.get_mut(index) else {
            return;
        };
        requests.retain(|waiting| !waiting.turn.is_closed());
        let same_user = |waiting: &Waiting| waiting.user == request.user;
        if requests.iter().filter(|waiting| same_user(waiting)).count() >= WAITING_FOR_A_USER {
            if let Some(oldest) = requests.iter().position(same_user) {
                requests.remove(oldest);
            }
        } else if requests.len() >= WAITING {
            requests.remove(0);
        }
        requests.push(request);
    }

    /// The newest request of the next address.
    fn next(&mut self) -> Option<Waiting> {
        loop {
            let (address, mut requests) = self.addresses.pop_front()?;
            let next = requests.pop();
            if !requests.is_empty() {
                self.addresses.push_back((address, requests));
            }
            // A client that went away needs no turn.
            if let Some(next) = next
                && !next.turn.is_closed()
            {
                return Some(next);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        let next = queue.next();
        if next.is_none() {
            queue.running -= 1;
        }
        drop(queue);
        if let Some(next) = next {
            // If the client has just gone away, the turn is dropped here, and handed on.
            let _unused = next.turn.send(Self(Arc::clone(&self.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const PROMETHEUS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    /// Who had a turn, in that order.
    type Served = Arc<Mutex<Vec<(IpAddr, String)>>>;

    /// Sends requests one after the other. They wait; the results say whether they had a turn.
    async fn send(
        turns: &Arc<Turns>,
        served: &Served,
        address: IpAddr,
        users: impl Iterator<Item = String>,
    ) -> Vec<tokio::task::JoinHandle<bool>> {
        let mut requests = Vec::new();
        for user in users {
            let (turns, served) = (Arc::clone(turns), Arc::clone(served));
            requests.push(tokio::spawn(async move {
                let turn = turns.wait(address, &user).await;
                if turn.is_some() {
                    served.lock().unwrap().push((address, user));
                }
                turn.is_some()
            }));
            tokio::task::yield_now().await;
        }
        requests
    }

    fn one(user: &str) -> std::iter::Once<String> {
        std::iter::once(user.to_owned())
    }

    #[tokio::test]
    async fn guesses_do_not_delay_another_address_or_another_user() {
        let (turns, served) = (Turns::new(1), Served::default());
        let first = turns.wait(ATTACKER, "admin").await.unwrap();
        let users = (0..100).map(|number| format!("user{number}"));
        let mut requests = send(&turns, &served, ATTACKER, users).await;
        let users = (0..100).map(|_| "admin".to_owned());
        requests.extend(send(&turns, &served, ATTACKER, users).await);
        requests.extend(send(&turns, &served, ATTACKER, one("neighbour")).await);
        requests.extend(send(&turns, &served, PROMETHEUS, one("prometheus")).await);
        drop(first);
        let mut had_a_turn = 0;
        for request in requests {
            had_a_turn += usize::from(request.await.unwrap());
        }
        // The newest request of the busy address, then the other address.
        let served = served.lock().unwrap();
        assert_eq!(served[0], (ATTACKER, "neighbour".to_owned()));
        assert_eq!(served[1], (PROMETHEUS, "prometheus".to_owned()));
        assert_eq!(had_a_turn, WAITING + 1);
        assert_eq!(turns.queue().running, 0);
    }

    #[tokio::test]
    async fn a_turn_of_a_client_that_went_away_is_handed_on() {
        let (turns, served) = (Turns::new(1), Served::default());
        let first = turns.wait(ATTACKER, "eve").await.unwrap();
        let gone = send(&turns, &served, ATTACKER, one("eve")).await;
        let stays = send(&turns, &served, PROMETHEUS, one("eve")).await;
        for gone in gone {
            gone.abort();
            assert!(gone.await.is_err());
        }
        drop(first);
        for stays in stays {
            assert!(stays.await.unwrap());
        }
        assert_eq!(turns.queue().running, 0);
    }
}
