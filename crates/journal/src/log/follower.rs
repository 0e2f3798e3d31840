//! Follows a journal on a server, to which other instances append.

use std::thread;
use std::time::Duration;

use callmeter_records::BatchSeq;

use crate::ending::Ending;
use crate::error::Result;
use crate::log::head;
use crate::postgres::connection;
use crate::postgres::settings::PostgresJournal;

/// How often the head is read if nothing is heard of.
const POLL: Duration = Duration::from_secs(1);

/// What is heard of other instances.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    Nothing,
    /// The last batch, whenever it may have changed.
    Head(BatchSeq),
    /// Leases are free.
    Released,
}

/// Calls `publish` with what is heard, in a thread of its own, on a connection of its own. Ends
/// when `publish` returns false.
pub(crate) fn start(
    journal: PostgresJournal,
    ending: Ending,
    publish: impl Fn(News) -> bool + Send + 'static,
) -> std::io::Result<()> {
    thread::Builder::new()
        .name("journal-follower".to_owned())
        .spawn(move || {
            while publish(News::Nothing) {
                match follow(&journal, &ending, &publish) {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::debug!(%error, "cannot follow the journal; will try again");
                    }
                }
                ending.sleep(POLL);
                if ending.is_given_up() {
                    return;
                }
            }
        })
        .map(drop)
}

fn follow(
    journal: &PostgresJournal,
    ending: &Ending,
    publish: &impl Fn(News) -> bool,
) -> Result<()> {
    let conn = connection::listener(journal, ending)?;
    loop {
        let (_, next_batch) = head::read_head(&conn)?;
        if !publish(News::Head(BatchSeq::from_sql(next_batch - 1))) {
            return Ok(());
        }
        let released = conn
            .wait_for_change(POLL)
            .map_err(|source| conn.failed("follow", source))?;
        if released && !publish(News::Released) {
            return Ok(());
        }
    }
}
