//! The speed of the simulator, which must never limit its reader: pages of 1,000 records out of a
//! million over a connection that stays open, and a rate deck of 300,000.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;

use callmeter_simulator::{Options, Running, Simulator};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tokio::runtime::Runtime;

const CALLS: u64 = 1_000_000;
const ROWS: u64 = 1_000;

struct World {
    running: Running,
    _runtime: Runtime,
}

/// Two threads for the server, as on a small machine.
static WORLD: LazyLock<Option<World>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .ok()?;
    let options = Options {
        calls: Some(CALLS),
        days: 30,
        clients: 200,
        rates: 300_000,
        ..Options::default()
    };
    let running = runtime.block_on(Simulator::start(options)).ok()?;
    Some(World {
        running,
        _runtime: runtime,
    })
});

fn main() {
    divan::main();
}

/// A connection that is used again and again.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(1 << 16, stream)))
    }

    /// Sends a request and returns the length of the body of the answer.
    fn exchange(&mut self, request: &str) -> std::io::Result<usize> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        std::io::copy(&mut self.0.by_ref().take(length), &mut std::io::sink())?;
        usize::try_from(length).map_err(std::io::Error::other)
    }
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: simulator\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn calls(page: u64, filter: &str) -> String {
    let body = format!(
        "{{\"CustomerName\":\"Acme\",\"UserName\":\"exporter\",\"Password\":\"simulated\",\
         \"Page\":{page},\"ItemsPerPage\":{ROWS}{filter}}}"
    );
    post("/api/calls", &body)
}

fn bench_page(bencher: Bencher<'_, '_>, page: u64, filter: &str) {
    let world = WORLD
        .as_ref()
        .map(|world| world.running.hostedsuite_address());
    let connection = world.map(Connection::open).and_then(Result::ok);
    let Some(mut connection) = connection else {
        return;
    };
    let request = calls(page, filter);
    let length = connection.exchange(&request).unwrap_or_default();
    bencher
        .counter(ItemsCount::new(ROWS))
        .counter(BytesCount::new(length))
        .bench_local(|| connection.exchange(&request).unwrap_or_default());
}

/// The newest page, one in the middle and the oldest of a million.
#[divan::bench(args = [0, 500, 999])]
fn page_of_1000(bencher: Bencher<'_, '_>, page: u64) {
    bench_page(bencher, page, "");
}

/// A filter for which every call has to be read.
#[divan::bench]
fn page_of_1000_incoming(bencher: Bencher<'_, '_>) {
    bench_page(bencher, 10, ",\"CallType\":\"Incoming\"");
}

/// Balances of 200 clients from a million calls.
#[divan::bench]
fn balances(bencher: Bencher<'_, '_>) {
    let world = WORLD
        .as_ref()
        .map(|world| world.running.hostedsuite_address());
    let connection = world.map(Connection::open).and_then(Result::ok);
    let Some(mut connection) = connection else {
        return;
    };
    let request = post(
        "/api/call-allowance/balance",
        "{\"CustomerName\":\"Acme\",\"UserName\":\"exporter\",\"Password\":\"simulated\",\
         \"BillTalk\":true,\"CallRounding\":\"NextMinute\"}",
    );
    bencher.bench_local(|| connection.exchange(&request).unwrap_or_default());
}
