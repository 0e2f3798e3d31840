//! Waits for a server, but only for a limited time.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::database::error::{DatabaseError, DatabaseResult};
use crate::ending::Ending;

/// The result of `work`, unless it takes longer than `limit`, or the journal is given up.
pub(crate) async fn in_time<T>(
    limit: Duration,
    ending: &Ending,
    work: impl Future<Output = DatabaseResult<T>>,
) -> DatabaseResult<T> {
    let mut work = pin!(work);
    let mut given_up = pin!(ending.given_up());
    let mut over = pin!(tokio::time::sleep(limit));
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        if given_up.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(DatabaseError::GivenUp));
        }
        let no_answer = || Err(DatabaseError::NoAnswer { limit });
        over.as_mut().poll(context).map(|()| no_answer())
    })
    .await
}
