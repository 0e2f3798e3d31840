//! A server that does not answer: no wait for it is without end, and nothing is stored twice.

use std::thread;
use std::time::Duration;

use callmeter_error_chain::chain;
use callmeter_journal::{Journal, JournalError, PostgresJournal};

use crate::proxy::Proxy;
use crate::server::{OwnServer, free_port, shared};
use crate::support::{Engine, HOUR, NOON, Place, call, call_lines, on, poll_page, regular};

fn append(journal: &Journal, id: &str) -> Result<(), JournalError> {
    let mut poll = journal.ingest_session("acme", regular(NOON))?;
    let mut page = poll.page(NOON - 2 * HOUR..NOON, NOON)?;
    page.add(&call(id))?;
    page.commit(None).map(drop)
}

/// Who waits for the answer to a commit stops waiting when the journal is given up, whether the
/// server is there or not. The batch is stored at most once.
#[test]
fn a_commit_ends_when_the_journal_is_given_up() {
    for is_gone in [false, true] {
        let place = on(Engine::Server, Place::new);
        let proxy = Proxy::new(shared().port);
        let journal = Journal::connect(&place.behind(&proxy)).unwrap();
        append(&journal, "a").unwrap();
        thread::scope(|scope| {
            let commit = scope.spawn(|| {
                let mut poll = journal.ingest_session("acme", regular(NOON)).unwrap();
                let mut page = poll.page(NOON - 2 * HOUR..NOON, NOON).unwrap();
                page.add(&call("b")).unwrap();
                proxy.silence_after_commit();
                page.commit(None).map(drop)
            });
            while !proxy.is_silent() {
                assert!(!commit.is_finished());
                thread::sleep(Duration::from_millis(1));
            }
            if is_gone {
                proxy.lead_to(free_port());
            }
            thread::sleep(Duration::from_millis(300));
            assert!(!commit.is_finished());
            journal.give_up();
            let error = commit.join().unwrap().unwrap_err();
            assert!(error.is_transient(), "{error}");
        });
        // It could not know whether `b` is stored.
        proxy.silence(false);
        proxy.lead_to(shared().port);
        let error = append(&journal, "c").unwrap_err();
        assert!(
            chain(&error).contains("does not wait for the server"),
            "{}",
            chain(&error)
        );
        let next = place.open();
        poll_page(&next, NOON, &[call("a"), call("b")]);
        let lines = call_lines(&next);
        assert_eq!(lines.len(), 2, "{lines:#?}");
    }
}

/// A server whose processes are suspended accepts connections, and says nothing.
#[test]
fn a_server_that_does_not_answer_is_lost() {
    let server = OwnServer::start();
    let settings = PostgresJournal {
        connect_timeout: Duration::from_secs(3),
        answer_timeout: Duration::from_secs(3),
        ..PostgresJournal::new(server.url())
    };
    let journal = Journal::connect(&settings).unwrap();
    append(&journal, "a").unwrap();
    server.suspend(true);
    for error in [
        append(&journal, "b").unwrap_err(),
        journal.next_of_any(journal.head()).unwrap_err(),
        Journal::connect(&settings).unwrap_err(),
    ] {
        let text = chain(&error);
        assert!(
            text.contains("the server has not answered for 3 seconds"),
            "{text}"
        );
        assert!(error.is_transient(), "{text}");
    }
    server.suspend(false);
    append(&journal, "b").unwrap();
    assert_eq!(call_lines(&journal).len(), 2);
}
