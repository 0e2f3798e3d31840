//! A clean Debian in a directory, and programs that run in it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{files, image};
use crate::shell::{self, Error};
use crate::tools;

/// How long a program may take to do what is waited for.
const PATIENCE: Duration = Duration::from_mins(3);

/// How many seconds a boot with its script may take.
const BOOT_LIMIT: &str = "900";

/// The unit that runs the script and ends the boot.
const CHECK: &str = "\
[Unit]
Description=The check of the package
Wants=systemd-journald.service
[Service]
Type=oneshot
ExecStart=/root/check.sh
StandardOutput=file:/root/check.log
StandardError=file:/root/check.log
ExecStopPost=/bin/systemctl --no-block poweroff
";

/// The root of a Debian.
#[derive(Debug)]
pub(super) struct Chroot(pub(super) PathBuf);

impl Chroot {
    /// Makes it a new minimal Debian with systemd.
    pub(super) fn create(&self) -> Result<(), Error> {
        tools::program(
            "mmdebstrap",
            "mmdebstrap",
            "packages are installed in a clean Debian",
        )?;
        files::empty(&self.0)?;
        shell::run(
            Command::new("mmdebstrap")
                .args([
                    "--variant=minbase",
                    "--quiet",
                    "--include=adduser,ca-certificates,systemd",
                ])
                .arg(image::suite()?)
                .arg(&self.0)
                .args(image::sources()),
        )
    }

    /// Makes it a copy of another, which must exist.
    pub(super) fn copy(&self, of: &Self) -> Result<(), Error> {
        if !of.0.is_dir() {
            return Err(Error::Missing(format!(
                "there is no Debian in {}; its step has failed",
                of.0.display()
            )));
        }
        files::empty(&self.0)?;
        shell::run(
            Command::new("cp")
                .args(["--archive", "--no-target-directory"])
                .args([&of.0, &self.0]),
        )
    }

    /// Boots it and runs a script there; returns the script's output, which is empty if the boot
    /// failed. It has no network but its own loopback.
    pub(super) fn boot(&self, script: &Path) -> Result<String, Error> {
        tools::program(
            "systemd-nspawn",
            "systemd-container",
            "the service runs under systemd",
        )?;
        files::copy(script, &self.path("/root/check.sh"), 0o755)?;
        let units = self.path("/etc/systemd/system");
        files::write(&units.join("check.service"), CHECK.as_bytes())?;
        let output = self.path("/root/check.log");
        files::write(&output, b"")?;
        let console = self.0.with_extension("boot.log");
        let file = std::fs::File::create(&console).map_err(|source| Error::File {
            path: console,
            source,
        })?;
        let mut boot = Command::new("timeout");
        boot.args(["--kill-after=10", BOOT_LIMIT, "systemd-nspawn", "--quiet"])
            .args(["--register=no", "--keep-unit", "--private-network"])
            .args(["--console=pipe", "--boot"])
            .arg(format!("--directory={}", self.0.display()))
            .arg("systemd.unit=check.service")
            .stdin(Stdio::null())
            .stdout(file);
        // Its exit status says little; the script's output says all.
        let _ended = shell::run(&mut boot);
        let text = files::read(&output)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name.trim_start_matches('/'))
    }

    /// A command in it as root, with its own /proc. The command has process id 1, and its end ends
    /// everything that it started.
    pub(super) fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child"])
            .arg(format!("--root={}", self.0.display()))
            .args(["--mount-proc", "--"])
            .args(line)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// The same as the user callmeter.
    pub(super) fn as_callmeter(&self, line: &[&str]) -> Command {
        let mut whole = vec![
            "setpriv",
            // Becoming another user cancels what --kill-child has set.
            "--pdeathsig=KILL",
            "--reuid=callmeter",
            "--regid=callmeter",
            "--clear-groups",
        ];
        whole.extend(line);
        self.command(&whole)
    }

    /// Runs a command as root that must succeed.
    pub(super) fn run(&self, line: &[&str]) -> Result<(), Error> {
        shell::run(&mut self.command(line))
    }
}

/// A program in the background. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    log: PathBuf,
    port: u16,
}

impl Running {
    /// Starts a command whose web server listens on `port`.
    pub(super) fn start(command: &mut Command, port: u16, log: &Path) -> Result<Self, Error> {
        let file = std::fs::File::create(log)
            .and_then(|file| Ok((file.try_clone()?, file)))
            .map_err(|source| Error::File {
                path: log.to_owned(),
                source,
            })?;
        eprintln!("$ {command:?}");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.0)
            .stderr(file.1)
            .spawn()
            .map_err(|source| Error::Start {
                program: "unshare".to_owned(),
                source,
            })?;
        Ok(Self {
            child,
            log: log.to_owned(),
            port,
        })
    }

    /// Waits until a page contains what is wanted; returns the page.
    pub(super) fn until(
        &mut self,
        path: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, Error> {
        let begun = Instant::now();
        loop {
            let page = get(self.port, path).unwrap_or_default();
            if wanted(&page) {
                return Ok(page);
            }
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || begun.elapsed() > PATIENCE {
                return Err(Error::Found(format!(
                    "{path} does not show what is wanted ({ended:?}); see {}; the page: {page:.2000}",
                    self.log.display()
                )));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The program that `unshare` started. It has process id 1 in its namespace.
    fn program(&self) -> Result<Vec<String>, Error> {
        let parent = self.child.id();
        let children = format!("/proc/{parent}/task/{parent}/children");
        let children = files::read(Path::new(&children))?;
        let children = String::from_utf8_lossy(&children);
        Ok(children.split_whitespace().map(str::to_owned).collect())
    }

    /// Sends SIGTERM to the program and waits for a success.
    pub(super) fn terminate(mut self) -> Result<(), Error> {
        for program in self.program()? {
            shell::run(Command::new("kill").args(["-TERM", &program]))?;
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(None) => std::thread::sleep(Duration::from_millis(100)),
                Ok(Some(_)) | Err(_) => break,
            }
        }
        Err(Error::Found(format!(
            "it did not end in order; see {}",
            self.log.display()
        )))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of process 1 ends its namespace. A program that has become another user does not
        // end with `unshare`. All may already have ended.
        for program in self.program().unwrap_or_default() {
            let _killed = shell::succeeds(Command::new("kill").args(["-KILL", &program]));
        }
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// The body of a page.
fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let body = answer.split_once("\r\n\r\n");
    Ok(body.map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// The sum of a counter's samples on a page of metrics.
pub(super) fn sum(page: &str, metric: &str) -> f64 {
    page.lines()
        .filter(|line| {
            line.strip_prefix(metric)
                .is_some_and(|rest| rest.starts_with('{'))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
