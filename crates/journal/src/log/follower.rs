//! Follows a journal on a server, to which other instances append.

use std::thread;
use std::time::Duration;

use callmeter_records::BatchSeq;

use crate::error::Result;
use crate::log::head;
use crate::postgres::connection;
use crate::postgres::settings::PostgresJournal;

/// How often the head is read if nothing is heard of.
const POLL: Duration = Duration::from_secs(1);

/// Calls `publish` with the last batch whenever it may have changed, in a thread of its own, on a
/// connection of its own. Ends when `publish` returns false.
pub(crate) fn start(
    journal: PostgresJournal,
    publish: impl Fn(Option<BatchSeq>) -> bool + Send + 'static,
) -> std::io::Result<()> {
    thread::Builder::new()
        .name("journal-follower".to_owned())
        .spawn(move || {
            while publish(None) {
                match follow(&journal, &publish) {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::debug!(%error, "cannot follow the journal; will try again");
                    }
                }
                thread::sleep(POLL);
            }
        })
        .map(drop)
}

fn follow(journal: &PostgresJournal, publish: &impl Fn(Option<BatchSeq>) -> bool) -> Result<()> {
    let conn = connection::listener(journal)?;
    loop {
        let (_, next_batch) = head::read_head(&conn)?;
        if !publish(Some(BatchSeq::from_sql(next_batch - 1))) {
            return Ok(());
        }
        conn.wait_for_change(POLL)
            .map_err(|source| conn.failed("follow", source))?;
    }
}
