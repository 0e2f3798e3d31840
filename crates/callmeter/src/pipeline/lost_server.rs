//! What a program that has to end does about the server of its journal, if that does not answer.

use std::pin::pin;
use std::time::Duration;

use callmeter_journal::Journal;

/// How long work may take before the server is asked whether it answers.
const WORK: Duration = Duration::from_secs(3);
/// How long the server may take to answer, and the writes that have begun to end.
const ANSWER: Duration = Duration::from_secs(5);

/// Finishes work that may need the journal. If its server does not answer, the journal is given up:
/// then this work, and all that comes after it, fails at once.
pub(crate) async fn finish<T>(journal: &Journal, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(WORK, &mut work).await {
            return done;
        }
        if give_up_if_lost(journal).await {
            return work.await;
        }
    }
}

/// Gives the journal up if its server does not answer. True if so.
pub(super) async fn give_up_if_lost(journal: &Journal) -> bool {
    let pinged = journal.clone();
    let ping = tokio::task::spawn_blocking(move || pinged.ping());
    let answer = tokio::time::timeout(ANSWER, ping).await;
    let is_lost = !matches!(answer, Ok(Ok(Ok(()))));
    if is_lost {
        journal.give_up();
    }
    is_lost
}
