//! A standby takes over while pages are committed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use callmeter_journal::{Journal, PostgresJournal, Reader};

use crate::server::OwnServer;
use crate::support::{HOUR, NOON, call, call_lines, regular};

const PAGES: u64 = 400;

/// With a synchronous standby no page that was committed is lost, and the page that was in the
/// middle of its commit is there once.
#[test]
fn a_standby_takes_over() {
    let mut primary = OwnServer::start();
    let standby = primary.standby();
    let connect =
        |server: &OwnServer| postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    let mut client = connect(&primary);
    client
        .batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        .unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    let is_synchronous = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
    while client.query(is_synchronous, &[]).unwrap().is_empty() {
        thread::sleep(Duration::from_millis(20));
    }
    drop(client);
    let journal = PostgresJournal::new(format!(
        "postgres://callmeter@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        primary.port, standby.port
    ));
    let open = Journal::connect(&journal).unwrap();
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let commit = |id: &str| {
                let mut poll = open.ingest_session("acme", regular(NOON))?;
                let mut page = poll.page(NOON - 2 * HOUR..NOON, NOON)?;
                page.add(&call(id))?;
                page.commit(None)
            };
            let mut failures = 0;
            while done.load(Ordering::Acquire) < PAGES {
                let page = done.load(Ordering::Acquire);
                match commit(&format!("call {page}")) {
                    Ok(_) => {
                        done.fetch_add(1, Ordering::AcqRel);
                    }
                    Err(error) => {
                        assert!(error.is_transient(), "{error}");
                        failures += 1;
                        thread::sleep(Duration::from_millis(50));
                    }
                }
            }
            failures
        });
        while done.load(Ordering::Acquire) < PAGES / 4 {
            assert!(!writer.is_finished());
            thread::sleep(Duration::from_millis(1));
        }
        primary.kill();
        connect(&standby)
            .query_one("SELECT pg_promote()", &[])
            .unwrap();
        writer.join().unwrap();
    });
    let lines = call_lines(&open);
    assert_eq!(lines.len() as u64, PAGES);
    assert!(lines.iter().all(|line| line.contains(" r0 ")), "{lines:#?}");
    let verified = Reader::connect(&journal).unwrap().verify(|_| ()).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
}
