//! Loads the image in Docker and runs it as `docs/OPERATING.md` says.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::files;
use super::image::USER;
use super::page::commands;
use super::release::Release;
use crate::report::Outcome;
use crate::shell::{self, Error, Shell, output};
use crate::tools;

/// How long Docker, or a container in it, may take to do what is waited for. The first health
/// check is made after 30 seconds.
const PATIENCE: Duration = Duration::from_mins(3);

/// A configuration whose account answers nothing.
const CONFIGURATION: &str = "\
accounts:
  - name: acme
    hostedsuite:
      url: http://127.0.0.1:1/api
      customer: Acme
      username: exporter
      password_file: acme.password
      time_zone: America/New_York
journal: { path: /var/lib/callmeter/journal.db }
";

/// Skipped on a machine without Docker, or where it does not start. It is not installed: its
/// package would start a service that changes the machine's network.
pub(super) fn check(shell: &Shell, release: &Release) -> Outcome {
    if tools::on_path("dockerd").is_none() {
        return Outcome::Skipped(
            "the image was not loaded in Docker, which is missing: install docker.io".to_owned(),
        );
    }
    match Docker::start(&release.work.join("docker")) {
        Ok(Some(docker)) => run(&docker, shell, release).into(),
        Ok(None) => Outcome::Skipped(
            "Docker does not start on this machine: the image was not loaded in it".to_owned(),
        ),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn run(docker: &Docker, shell: &Shell, release: &Release) -> Result<(), Error> {
    let (configuration, state) = (docker.work.join("etc"), docker.work.join("state"));
    files::write(
        &configuration.join("callmeter.yml"),
        CONFIGURATION.as_bytes(),
    )?;
    files::write(&configuration.join("acme.password"), b"secret\n")?;
    files::directory(&state, 0o700)?;
    shell::run(Command::new("chown").arg(USER).arg(&state))?;

    let page = shell.root.join("docs/OPERATING.md");
    // How to start it, to work with it, and to stop it.
    let [start, work, stop] = commands(&page, "The image")?;
    let start = start
        .replace(
            "--volume /etc/callmeter:",
            &format!("--volume {}:", configuration.display()),
        )
        .replace(
            "--volume /var/lib/callmeter:",
            &format!("--volume {}:", state.display()),
        )
        // This Docker changes nothing of the machine's network.
        .replace("--publish 10177:10177", "--network none");
    docker.script(&start, &release.out)?;
    docker.until("{{.State.Health.Status}}", "healthy")?;
    if docker.inspect("{{.Config.User}}")? != format!("{USER}:{USER}") {
        return Err(Error::Found(
            "the image does not run as its user".to_owned(),
        ));
    }
    docker.script(&work, &release.out)?;
    if !state.join("backup.db").is_file() {
        return Err(Error::Found("the backup was not made".to_owned()));
    }
    docker.until_log("configuration reloaded")?;
    docker.script(&stop, &release.out)?;
    docker.until("{{.State.Status}} {{.State.ExitCode}}", "exited 0")?;
    docker.until_log("callmeter has shut down")
}

/// A Docker of its own. It ends when this is dropped.
struct Docker {
    daemon: Child,
    work: PathBuf,
    socket: String,
}

impl Docker {
    /// Starts it; none if it does not start.
    fn start(work: &Path) -> Result<Option<Self>, Error> {
        files::empty(work)?;
        let log = work.join("dockerd.log");
        let file = std::fs::File::create(&log).map_err(|source| Error::File {
            path: log.clone(),
            source,
        })?;
        // A path of a socket has at most 107 bytes.
        let socket = format!("unix:///run/callmeter-dist-{}.sock", std::process::id());
        let at = |name: &str| work.join(name).display().to_string();
        let daemon = Command::new("dockerd")
            .arg(format!("--host={socket}"))
            .arg(format!("--data-root={}", at("data")))
            .arg(format!("--exec-root={}", at("exec")))
            .arg(format!("--pidfile={}", at("pid")))
            .args(["--storage-driver=vfs", "--bridge=none"])
            .args(["--iptables=false", "--ip-forward=false", "--ip-masq=false"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(|source| Error::Start {
                program: "dockerd".to_owned(),
                source,
            })?;
        let mut docker = Self {
            daemon,
            work: work.to_owned(),
            socket,
        };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if shell::succeeds(docker.command().arg("version")) {
                return Ok(Some(docker));
            }
            if docker.daemon.try_wait().ok().flatten().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        eprintln!("see {}", log.display());
        Ok(None)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", &self.socket);
        command
    }

    /// Runs commands of the page, as they are there.
    fn script(&self, lines: &str, directory: &Path) -> Result<(), Error> {
        shell::run(
            Command::new("bash")
                .args(["-euxc", lines])
                .current_dir(directory)
                .env("DOCKER_HOST", &self.socket),
        )
    }

    fn inspect(&self, format: &str) -> Result<String, Error> {
        let text = output(
            self.command()
                .args(["inspect", "callmeter", "--format", format]),
        )?;
        Ok(text.trim().to_owned())
    }

    fn until(&self, format: &str, wanted: &str) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let found = self.inspect(format)?;
            if found == wanted {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let _shown = shell::run(self.command().args(["logs", "callmeter"]));
                return Err(Error::Found(format!(
                    "the container is \"{found}\", not \"{wanted}\""
                )));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Waits until the container has logged a message.
    fn until_log(&self, wanted: &str) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            // The program logs to its standard error.
            let log = output(
                Command::new("bash")
                    .env("DOCKER_HOST", &self.socket)
                    .args(["-c", "docker logs callmeter 2>&1"]),
            )?;
            if log.contains(wanted) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(Error::Found(format!("no \"{wanted}\" in the log: {log}")));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _removed = shell::succeeds(self.command().args(["rm", "--force", "callmeter"]));
        let daemon = self.daemon.id().to_string();
        // An orderly end, so that the daemon ends its containerd.
        let _ended = shell::succeeds(Command::new("kill").arg(daemon));
        let _waited = self.daemon.wait();
    }
}
