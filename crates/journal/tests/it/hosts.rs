//! Several hosts in the URL: the next one is tried when one does not answer, or is not the right
//! one.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use callmeter_error_chain::chain;
use callmeter_journal::{Journal, JournalError, PostgresJournal, Reader};

use crate::proxy::Proxy;
use crate::server::{OwnServer, free_port, shared};
use crate::support::{Engine, NOON, Place, call, call_lines, on, poll_page};

/// A host that accepts connections, and says nothing.
struct Silent(TcpListener);

impl Silent {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// How many have connected since the last call.
    fn connections(&self) -> usize {
        self.0.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| self.0.accept().ok()).count()
    }
}

/// A host that drops packets: its queue is full.
struct Dropping {
    address: SocketAddr,
    _silent: Silent,
    _queue: Vec<TcpStream>,
}

impl Dropping {
    fn new() -> Self {
        let silent = Silent::new();
        let address = silent.address();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
        let queue = std::iter::from_fn(connect).collect();
        Self {
            address,
            _silent: silent,
            _queue: queue,
        }
    }
}

/// A journal of a place, with other hosts in its URL.
fn at(place: &Place, hosts: &str) -> PostgresJournal {
    let Place::Schema(journal) = place else {
        panic!("a journal in a file has no hosts");
    };
    PostgresJournal {
        url: format!("postgres://callmeter@{hosts}"),
        connect_timeout: Duration::from_secs(1),
        ..journal.clone()
    }
}

/// The next host is tried, and the one that was silent is not asked each time.
#[test]
fn a_host_that_does_not_answer() {
    let place = on(Engine::Server, Place::new);
    let server = shared().port;
    let silent = Silent::new();
    let hosts = format!("{},127.0.0.1:{server}/postgres", silent.address());
    let journal = Journal::connect(&at(&place, &hosts)).unwrap();
    poll_page(&journal, NOON, &[call("a")]);
    Reader::connect(&at(&place, &hosts)).unwrap();
    assert_eq!(silent.connections(), 1);
    let dropping = Dropping::new();
    let hosts = format!("{},127.0.0.1:{server}/postgres", dropping.address);
    let journal = Journal::connect(&at(&place, &hosts)).unwrap();
    assert_eq!(call_lines(&journal).len(), 1);
}

/// A host whose name is not known does not keep callmeter from the others.
#[test]
fn a_host_without_an_address() {
    let place = on(Engine::Server, Place::new);
    let server = shared().port;
    for hosts in [
        format!("nowhere.invalid,127.0.0.1:{server}/postgres"),
        format!("127.0.0.1:{server},nowhere.invalid/postgres"),
        format!("nowhere.invalid,127.0.0.1:{server}/postgres?load_balance_hosts=random"),
    ] {
        Journal::connect(&at(&place, &hosts)).unwrap();
    }
}

/// The host that is in use becomes silent: the other one is used, and nothing is stored twice.
#[test]
fn a_host_that_becomes_silent() {
    let place = on(Engine::Server, Place::new);
    let [first, second] = [(); 2].map(|()| Proxy::new(shared().port));
    let hosts = format!(
        "127.0.0.1:{},127.0.0.1:{}/postgres",
        first.port, second.port
    );
    let journal = Journal::connect(&PostgresJournal {
        answer_timeout: Duration::from_secs(2),
        ..at(&place, &hosts)
    })
    .unwrap();
    let append = |id: &str| -> Result<(), JournalError> {
        let mut poll = journal.ingest_session("acme", crate::support::regular(NOON))?;
        let mut page = poll.page(NOON - crate::support::DAY..NOON, NOON)?;
        page.add(&call(id))?;
        page.commit(None).map(drop)
    };
    append("a").unwrap();
    for (silent, other, id) in [(&first, &second, "b"), (&second, &first, "c")] {
        other.silence(false);
        silent.silence(true);
        while let Err(error) = append(id) {
            assert!(error.is_transient(), "{error}");
        }
    }
    assert_eq!(call_lines(&journal).len(), 3);
}

/// The primary is found behind a host that is silent and a standby.
#[test]
fn the_host_that_takes_writes() {
    let primary = OwnServer::start();
    let standby = primary.standby();
    let silent = Silent::new();
    let journal = |attributes: &str| PostgresJournal {
        connect_timeout: Duration::from_secs(1),
        ..PostgresJournal::new(format!(
            "postgres://callmeter@{},127.0.0.1:{},127.0.0.1:{}/postgres{attributes}",
            silent.address(),
            standby.port,
            primary.port
        ))
    };
    let open = Journal::connect(&journal("?target_session_attrs=read-write")).unwrap();
    poll_page(&open, NOON, &[call("a")]);
    // Without it, the standby is taken, and the message says what to do.
    let error = Journal::connect(&journal("")).unwrap_err();
    assert!(matches!(error, JournalError::Standby { .. }), "{error}");
}

/// If no host can be used, the message says of each of them why.
#[test]
fn no_host_can_be_used() {
    let mut server = OwnServer::start();
    server.stop();
    server.write("pg_hba.conf", "hostssl all all 127.0.0.1/32 trust\n");
    server.resume();
    let (silent, closed) = (Silent::new(), free_port());
    let journal = |hosts: &str| PostgresJournal {
        connect_timeout: Duration::from_secs(1),
        ..PostgresJournal::new(format!("postgres://callmeter@{hosts}/postgres"))
    };
    let text = |hosts: &str, is_transient: bool| {
        let error = Journal::connect(&journal(hosts)).unwrap_err();
        assert_eq!(error.is_transient(), is_transient, "{error}");
        chain(&error)
            .replace(&silent.address().port().to_string(), "SILENT")
            .replace(&closed.to_string(), "CLOSED")
            .replace(&server.port.to_string(), "SERVER")
    };
    let own = format!("127.0.0.1:{}", server.port);
    let texts = [
        text(
            &format!("127.0.0.1:{closed},{},{own}", silent.address()),
            true,
        ),
        text(&format!("{own},{own}"), false),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}
