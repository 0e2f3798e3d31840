//! callmeter as a service of systemd: notifications, watchdog, sockets. The test plays systemd.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use callmeter_tests::{Exporter, Process, Web, callmeter, published};
use rustix::process::Signal;

use crate::examples::packaged_with_server;
use crate::site::{Site, end};

/// The socket that systemd names in `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    pending: VecDeque<String>,
}

impl Manager {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        Self {
            socket,
            pending: VecDeque::new(),
        }
    }

    /// Waits for a notification that starts like this; skips others.
    fn until(&mut self, start: &str) -> String {
        loop {
            while let Some(line) = self.pending.pop_front() {
                if line.starts_with(start) {
                    return line;
                }
            }
            let mut bytes = [0; 4096];
            let length = self
                .socket
                .recv(&mut bytes)
                .unwrap_or_else(|error| panic!("no notification {start}: {error}"));
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            self.pending.extend(text.lines().map(str::to_owned));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_when_it_is_ready_reloads_lives_and_stops() {
    let site = Site::with_calls(40).await;
    let config = site.configure(&[site.suite("acme")], &[]);
    let notify = site.world.path("notify");
    let mut manager = Manager::listen(&notify);
    let mut command = Command::new(callmeter());
    command
        .arg(format!("--config.file={}", config.display()))
        .args(["--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle"])
        .env("NOTIFY_SOCKET", &notify)
        .env("WATCHDOG_USEC", "200000");
    let process = Process::start(&mut command, &site.world.path("callmeter.log"));

    // A long start asks for more time.
    manager.until("EXTEND_TIMEOUT_USEC=60000000");
    manager.until("READY=1");
    // The port answers, and the journal is counted.
    let exporter = Exporter::listening(process, Web::default()).await;
    assert_eq!(exporter.get("/-/ready").await.status, 200);
    assert_eq!(
        manager.until("STATUS="),
        "STATUS=1 account, 0 outputs".to_owned()
    );
    manager.until("WATCHDOG=1");
    manager.until("WATCHDOG=1");
    // The program that systemd started is the same process still, with one pool of memory.
    let system = format!("/proc/{}", exporter.process().pid().as_raw_nonzero());
    let environment = std::fs::read(format!("{system}/environ")).unwrap();
    let pools = b"MALLOC_ARENA_MAX=1".as_slice();
    assert!(
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == pools)
    );
    let name = std::fs::read_to_string(format!("{system}/comm")).unwrap();
    assert_eq!(name.trim(), "callmeter");

    // SIGHUP, and a request; one that is refused ends as well.
    exporter.process().signal(Signal::HUP);
    manager.until("RELOADING=1");
    manager.until("MONOTONIC_USEC=");
    manager.until("READY=1");
    site.world.write("callmeter.yml", "nonsense: 1\n");
    assert_eq!(exporter.try_reload().await.status, 500);
    manager.until("RELOADING=1");
    manager.until("READY=1");

    exporter.process().signal(Signal::TERM);
    manager.until("STOPPING=1");
    end(exporter);
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_systemd_are_served() {
    let site = Site::with_calls(40).await;
    let config = site.configure(&[site.suite("acme")], &[]);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // systemd passes sockets from number 3 on. The shell moves its standard input there.
    let serve = |variables: &str| {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!(
                "exec 3<&0 0</dev/null; {variables} exec \"$0\" \"--config.file=$1\" --web.systemd-socket"
            ))
            .arg(callmeter())
            .arg(&config);
        command
    };
    let log = site.world.path("callmeter.log");
    let input = Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
    let process = Process::start_with_input(&mut serve("LISTEN_FDS=1 LISTEN_PID=$$"), input, &log);
    let exporter = Exporter::adopt(process, Web::default()).await;
    assert_eq!(exporter.address(), address);
    // The health check of an image.
    let healthy = |address: String| {
        let mut command = Command::new(callmeter());
        command.arg("healthcheck").arg(address).output().unwrap()
    };
    let checked = healthy(address.to_string());
    assert!(checked.status.success(), "{checked:?}");
    end(exporter);
    drop(socket);
    assert_eq!(healthy(address.to_string()).status.code(), Some(1));

    // Without sockets, or with something else.
    for (variables, said) in [
        ("", "systemd passed no socket"),
        ("LISTEN_FDS=1 LISTEN_PID=$$", "fd 3 is not a socket"),
    ] {
        let output = serve(variables).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("--web.systemd-socket") && text.contains(said),
            "{text}"
        );
    }
}

/// The unit of the packages, with the packaged example of a journal on a server: while the server
/// is away, callmeter ends in a way that lets systemd start it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_starts_when_the_server_of_its_journal_does() {
    const UNIT: &str = include_str!("../../packaging/systemd/callmeter.service");
    let of_unit = |key: &str| {
        let line = UNIT.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap().split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(of_unit("Restart="), ["on-failure"]);
    assert!(of_unit("After=").contains(&"postgresql.service"));
    let site = Site::with_calls(40).await;
    let packaged = packaged_with_server();
    let (_, journal) = packaged.split_once("\njournal:\n").unwrap();
    let mut server = tokio::task::block_in_place(crate::postgres::OwnServer::start);
    site.world.write("journal.url", &server.url());
    let directory = site.world.path("").display().to_string();
    let account = site.suite("acme").yaml(&site.world, "simulated");
    let text = format!("accounts:\n{account}journal:\n{journal}")
        .replace("/etc/callmeter/", &directory)
        .replace("/var/lib/callmeter", &directory)
        // The server of this test has no certificate.
        .replace("tls: verify-full", "tls: disable");
    let config = site.world.write("callmeter.yml", &text);
    let notify = site.world.path("notify");
    let mut manager = Manager::listen(&notify);
    let mut command = Command::new(callmeter());
    command
        .arg("run")
        .arg(format!("--config.file={}", config.display()))
        .arg("--web.listen-address=127.0.0.1:0")
        .env("NOTIFY_SOCKET", &notify);
    tokio::task::block_in_place(|| server.stop());
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    let code = ended.status.code().unwrap();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("the server cannot be reached"), "{said}");
    assert!(!of_unit("RestartPreventExitStatus=").contains(&code.to_string().as_str()));
    tokio::task::block_in_place(|| server.resume());
    let process = Process::start(&mut command, &site.world.path("callmeter.log"));
    manager.until("READY=1");
    let exporter = Exporter::listening(process, Web::default()).await;
    exporter
        .until("counted", async |exporter| {
            let totals = exporter.metrics().await.totals(&["account=\"acme\""]);
            totals == published(site.truth().total)
        })
        .await;
    end(exporter);
}
