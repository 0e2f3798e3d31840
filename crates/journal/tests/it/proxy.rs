//! A proxy before the server, which cuts connections, or keeps answers back, where a test says.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// No limit.
const ALL: i64 = i64::MAX / 2;

/// Which bytes a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// What is sent to the server.
    Up,
    /// What the server answers.
    Down,
}

/// A proxy on a port of its own.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    /// The port of the server.
    server: AtomicU16,
    /// Whether no answer passes any more.
    is_silent: AtomicBool,
    /// Whether no answer passes any more when a commit has been sent.
    is_silent_after_commit: AtomicBool,
    /// How many more bytes pass in each direction, before all connections are cut.
    left: [AtomicI64; 2],
    /// How many bytes have passed.
    passed: [AtomicU64; 2],
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    open: Vec<TcpStream>,
    /// How often all of them were cut.
    cuts: u64,
}

impl Proxy {
    pub(crate) fn new(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server: AtomicU16::new(server),
            is_silent: AtomicBool::new(false),
            is_silent_after_commit: AtomicBool::new(false),
            left: [AtomicI64::new(ALL), AtomicI64::new(ALL)],
            passed: [AtomicU64::new(0), AtomicU64::new(0)],
            connections: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        // It ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let server = own.server.load(Ordering::Acquire);
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server)))
                else {
                    continue;
                };
                own.connect(&client, &server);
            }
        });
        Self { port, shared }
    }

    /// How many bytes have passed since the start.
    pub(crate) fn passed(&self, way: Way) -> u64 {
        self.shared.passed[way as usize].load(Ordering::Acquire)
    }

    /// Lets so many more bytes pass, then cuts all connections. New ones pass everything.
    pub(crate) fn cut_after(&self, way: Way, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap();
        self.shared.left[way as usize].store(bytes, Ordering::Release);
    }

    /// From now on connections go to another server. Those that exist are cut.
    pub(crate) fn lead_to(&self, server: u16) {
        self.shared.server.store(server, Ordering::Release);
        self.shared.cut();
    }

    /// Lets no answer pass from now on, or again all of them. Those that were kept back are lost
    /// with their connections.
    pub(crate) fn silence(&self, is_silent: bool) {
        self.shared.is_silent.store(is_silent, Ordering::Release);
        self.shared
            .is_silent_after_commit
            .store(false, Ordering::Release);
        if !is_silent {
            self.shared.cut();
        }
    }

    /// Lets no answer pass any more as soon as somebody has sent a commit.
    pub(crate) fn silence_after_commit(&self) {
        self.shared
            .is_silent_after_commit
            .store(true, Ordering::Release);
    }

    /// Whether no answer passes.
    pub(crate) fn is_silent(&self) -> bool {
        self.shared.is_silent.load(Ordering::Acquire)
    }

    /// Cuts all connections now.
    pub(crate) fn cut(&self) {
        self.shared.cut();
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let clone = |stream: &TcpStream| stream.try_clone().unwrap();
        let cuts = {
            let mut connections = self.connections.lock().unwrap();
            connections.open.extend([clone(client), clone(server)]);
            connections.cuts
        };
        for (way, mut from, mut to) in [
            (Way::Up, clone(client), clone(server)),
            (Way::Down, clone(server), clone(client)),
        ] {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = from.read(&mut buffer) {
                    let has = |word: &[u8]| buffer[..read].windows(word.len()).any(|at| at == word);
                    if way == Way::Up
                        && shared.is_silent_after_commit.load(Ordering::Acquire)
                        && has(b"COMMIT\0")
                    {
                        shared.is_silent.store(true, Ordering::Release);
                    }
                    if way == Way::Down && shared.is_silent.load(Ordering::Acquire) {
                        continue;
                    }
                    let wanted = i64::try_from(read).unwrap();
                    let left = shared.left[way as usize].fetch_sub(wanted, Ordering::AcqRel);
                    let passes = usize::try_from(left.clamp(0, wanted)).unwrap();
                    let _ = to.write_all(&buffer[..passes]);
                    shared.passed[way as usize].fetch_add(passes as u64, Ordering::AcqRel);
                    if left < wanted {
                        shared.cut_those_since(cuts);
                    }
                }
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    }

    fn cut(&self) {
        self.cut_all(&mut self.connections.lock().unwrap());
    }

    /// Cuts all connections, unless that was done since there were so many cuts: the thread of a
    /// connection that is gone must not cut new ones.
    fn cut_those_since(&self, cuts: u64) {
        let mut connections = self.connections.lock().unwrap();
        if connections.cuts == cuts {
            self.cut_all(&mut connections);
        }
    }

    fn cut_all(&self, connections: &mut Connections) {
        connections.cuts += 1;
        for stream in connections.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for left in &self.left {
            left.store(ALL, Ordering::Release);
        }
    }
}
