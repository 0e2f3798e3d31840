//! A PostgreSQL server for tests: one for all test processes of a run.
//!
//! The first process that needs it starts it, as an ordinary user, with its data in a temporary
//! directory. Every process that uses it holds a shared lock. A shell process waits for the
//! exclusive one, and stops the server when nobody has used it for some seconds. So the server also
//! ends when test processes are killed.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use postgres::error::SqlState;
use rustix::fs::{FlockOperation, flock};

/// `nobody` on Debian.
const NOBODY: u32 = 65_534;

/// Where the server notes that it runs. Tests within a crate are not told of a directory.
const TARGET: &str = match option_env!("CARGO_TARGET_TMPDIR") {
    Some(directory) => directory,
    None => concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tmp"),
};

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
        let place = Path::new(TARGET).join("postgres");
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

/// A port that nobody listens on. It is below those that the system gives to connections and to
/// other tests, so that none of them takes it before the server does.
pub(crate) fn free_port() -> u16 {
    loop {
        let random = RandomState::new().hash_one(std::process::id());
        let port = 15_000 + u16::try_from(random % 15_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server of one test, which may stop and start it.
pub(crate) struct OwnServer {
    data: tempfile::TempDir,
    pub(crate) port: u16,
    process: Option<Child>,
}

impl OwnServer {
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        initialize(data.path());
        let mut server = Self {
            data,
            port: free_port(),
            process: None,
        };
        server.resume();
        server
    }

    /// A running standby of this server.
    pub(crate) fn standby(&self) -> Self {
        let data = tempfile::tempdir().unwrap();
        // A server refuses data that others may read.
        fs::set_permissions(data.path(), fs::Permissions::from_mode(0o700)).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(data.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let output = as_ordinary_user(&programs().join("pg_basebackup"))
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                "callmeter",
                "-R",
                "-c",
                "fast",
                "-N",
                "-p",
            ])
            .arg(self.port.to_string())
            .arg("-D")
            .arg(data.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pg_basebackup: {text}");
        let mut server = Self {
            data,
            port: free_port(),
            process: None,
        };
        server.resume();
        server
    }

    /// Ends it as a power failure does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let id = rustix::process::Pid::from_child(&process);
            rustix::process::kill_process(id, rustix::process::Signal::QUIT).unwrap();
            process.wait().unwrap();
        }
    }

    /// Suspends all of its processes, or lets them go on.
    pub(crate) fn suspend(&self, is_suspended: bool) {
        use rustix::process::{Pid, Signal, kill_process};
        let Some(process) = &self.process else {
            return;
        };
        let main = process.id();
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        let signal = if is_suspended {
            Signal::STOP
        } else {
            Signal::CONT
        };
        for pid in std::iter::once(i32::try_from(main).unwrap()).chain(children) {
            // A child may have ended.
            let _gone = kill_process(Pid::from_raw(pid).unwrap(), signal);
        }
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://callmeter@127.0.0.1:{}/postgres", self.port)
    }

    /// Writes a file of its data, while it is stopped.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// Starts it again.
    pub(crate) fn resume(&mut self) {
        let mut command = Command::new("setpriv");
        if rustix::process::geteuid().is_root() {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        command
            .args(["--pdeathsig", "QUIT"])
            .arg(programs().join("postgres"));
        command
            .arg("-D")
            .arg(self.data())
            .arg("-p")
            .arg(self.port.to_string());
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        command
            .arg("-c")
            .arg(format!("unix_socket_directories={}", self.data().display()));
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.process = Some(quiet.spawn().unwrap());
        wait_for(self.data(), self.port);
    }

    /// Ends it at once, with all of its connections.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let id = rustix::process::Pid::from_child(&process);
            // Without waiting for clients, but with a checkpoint.
            rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.stop();
    }
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
        match postgres::Client::connect(&url, postgres::NoTls) {
            Err(error)
                if error.code().is_none()
                    || error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => {}
            // It may refuse this connection, but it runs.
            _ => return,
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = fs::read_to_string(place.join("log")).unwrap_or_default();
    panic!("PostgreSQL does not start: {log}");
}
