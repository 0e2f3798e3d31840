//! A PostgreSQL server for tests: one for all test processes of a run.
//!
//! The first process that needs it starts it, as an ordinary user, with its data in a temporary
//! directory. Every process that uses it holds a shared lock. A shell process waits for the
//! exclusive one, and stops the server when nobody has used it for some seconds. So the server also
//! ends when test processes are killed.

use std::fs::{self, File, OpenOptions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// `nobody` on Debian.
const NOBODY: u32 = 65_534;

/// Waits for the lock of the users, and stops the server when they are gone.
const WATCH: &str = r#"
exec 9>>users
$RUN "$BIN/postgres" -D "$DATA" -p "$PORT" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories="$DATA" -c fsync=off -c full_page_writes=off \
    -c wal_level=minimal -c max_wal_senders=0 -c max_connections=300 -c shared_buffers=64MB \
    -c max_wal_size=256MB -c min_wal_size=64MB -c max_locks_per_transaction=256 >log 2>&1 9>&- &
server=$!
while kill -0 $server 2>/dev/null; do
    flock -x 9
    flock -u 9
    sleep 15
    exec 8>>start
    flock -x 8
    if flock -n -x 9; then
        rm -f port
        kill -QUIT $server
        wait $server
        rm -rf "$DATA"
        exit
    fi
    exec 8>&-
done
"#;

/// The server of this run. Panics if there is none: tests must not be left out silently.
pub(crate) fn shared() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
    &SERVER
}

/// A running server, as long as this value exists.
pub(crate) struct Server {
    pub(crate) port: u16,
    _user: File,
}

impl Server {
    fn start() -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
        fs::create_dir_all(&place).unwrap();
        let user = lock(&place.join("users"), FlockOperation::LockShared);
        let _start = lock(&place.join("start"), FlockOperation::LockExclusive);
        let port = running(&place).unwrap_or_else(|| {
            let port = free_port();
            let data = tempfile::Builder::new()
                .prefix("callmeter-postgres-")
                .tempdir()
                .unwrap()
                .keep();
            initialize(&data);
            watch(&place, &data, port);
            wait_for(&place, port);
            fs::write(place.join("port"), port.to_string()).unwrap();
            port
        });
        Self { port, _user: user }
    }
}

fn lock(path: &Path, how: FlockOperation) -> File {
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).open(path).unwrap();
    flock(&file, how).unwrap();
    file
}

fn running(place: &Path) -> Option<u16> {
    let port = fs::read_to_string(place.join("port")).ok()?.parse().ok()?;
    TcpStream::connect(("127.0.0.1", port)).ok()?;
    Some(port)
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The programs of the newest version that is installed.
pub(crate) fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = versions
        .filter_map(|version| {
            let path = version.ok()?.path().join("bin");
            let number: u32 = path.parent()?.file_name()?.to_str()?.parse().ok()?;
            path.join("initdb").exists().then_some((number, path))
        })
        .max();
    match newest {
        Some((_, path)) => path,
        None => panic!("these tests need PostgreSQL: sudo apt-get install postgresql"),
    }
}

/// A command that runs as an ordinary user: a server refuses to run as root.
pub(crate) fn as_ordinary_user(program: &Path) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/").env("LC_ALL", "C.UTF-8");
    command
}

/// Makes an empty directory the data of a server.
pub(crate) fn initialize(data: &Path) {
    if rustix::process::geteuid().is_root() {
        chown(data, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let output = as_ordinary_user(&programs().join("initdb"))
        .arg("-D")
        .arg(data)
        .args([
            "-U",
            "callmeter",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "-N",
            "--locale=C.UTF-8",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "initdb: {text}");
}

/// Starts the server, and what stops it.
#[expect(clippy::zombie_processes, reason = "it outlives this process")]
fn watch(place: &Path, data: &Path, port: u16) {
    let run = if rustix::process::geteuid().is_root() {
        "setpriv --reuid=65534 --regid=65534 --clear-groups --pdeathsig QUIT"
    } else {
        "setpriv --pdeathsig QUIT"
    };
    Command::new("sh")
        .args(["-c", WATCH])
        .current_dir(place)
        .env("RUN", run)
        .env("BIN", programs())
        .env("DATA", data)
        .env("PORT", port.to_string())
        .env("LC_ALL", "C.UTF-8")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
}

fn wait_for(place: &Path, port: u16) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_mins(1) {
        let url = format!("postgres://callmeter@127.0.0.1:{port}/postgres");
        if postgres::Client::connect(&url, postgres::NoTls).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = fs::read_to_string(place.join("log")).unwrap_or_default();
    panic!("PostgreSQL does not start: {log}");
}
