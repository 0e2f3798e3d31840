//! Runs other programs and shows their command lines.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program could not be started.
    #[error("{program} cannot be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed ({status})")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A program is missing and could not be installed.
    #[error("{0}")]
    Missing(String),
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A check found a problem.
    #[error("{0}")]
    Found(String),
}

/// Runs commands in the repository.
#[derive(Debug)]
pub(crate) struct Shell {
    /// The repository's root.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Shell {
    pub(crate) fn new() -> Result<Self, Error> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_owned();
        // This program is TARGET/PROFILE/xtask, wherever cargo was told to build.
        let target = std::env::current_exe()
            .ok()
            .and_then(|program| Some(program.parent()?.parent()?.to_owned()))
            .ok_or_else(|| {
                Error::Missing("the target directory of this program is unknown".to_owned())
            })?;
        Ok(Self { root, target })
    }

    /// The directory of the tools that tasks install.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// Cargo's directory of built programs and libraries.
    pub(crate) fn built(&self, release: bool) -> PathBuf {
        self.target.join(if release { "release" } else { "debug" })
    }

    /// A command in the repository's root, building where this program was built.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Cargo, the one that runs this program.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.command(cargo);
        command.args(arguments);
        // Cargo sets these for this program. Build scripts that depend on them would run again.
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if [
                "CARGO_PKG_",
                "CARGO_MANIFEST_",
                "CARGO_BIN_",
                "CARGO_CRATE_",
                "CARGO_PRIMARY_",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(&variable);
            }
        }
        command
    }
}

/// Shows a command, runs it, and fails if it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    say(command);
    let status = command
        .status()
        .map_err(|source| start_error(command, source))?;
    check(command, status)
}

/// Runs a command without showing it; returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, Error> {
    let output = command
        .stderr(Stdio::null())
        .output()
        .map_err(|source| start_error(command, source))?;
    check(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command without output; returns whether it succeeds.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Like [`run`]; also returns the lines of both outputs for which `keep` is true.
pub(crate) fn run_keeping(
    command: &mut Command,
    keep: fn(&str) -> bool,
) -> (Result<(), Error>, Vec<String>) {
    say(command);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(source) => return (Err(start_error(command, source)), Vec::new()),
    };
    let errors = child.stderr.take();
    let side = std::thread::spawn(move || {
        errors.map_or_else(Vec::new, |errors| tee(errors, std::io::stderr(), keep))
    });
    let mut kept = child
        .stdout
        .take()
        .map_or_else(Vec::new, |lines| tee(lines, std::io::stdout(), keep));
    kept.extend(side.join().unwrap_or_default());
    let result = child
        .wait()
        .map_err(|source| start_error(command, source))
        .and_then(|status| check(command, status));
    (result, kept)
}

fn tee(from: impl Read, mut to: impl Write, keep: fn(&str) -> bool) -> Vec<String> {
    let mut kept = Vec::new();
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // The reader may be gone. The program continues.
        let _ = writeln!(to, "{line}");
        if keep(&line) {
            kept.push(line.trim_end().to_owned());
        }
    }
    kept
}

/// A program in the background that is killed on drop.
#[derive(Debug)]
pub(crate) struct Server(Child);

impl Server {
    /// Starts a command that writes to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self, Error> {
        let file_error = |source| Error::File {
            path: log.to_owned(),
            source,
        };
        let out = std::fs::File::create(log).map_err(file_error)?;
        let errors = out.try_clone().map_err(file_error)?;
        say(command);
        command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .map(Self)
            .map_err(|source| start_error(command, source))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may already have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something listens on a local port, for at most a minute.
pub(crate) fn wait_for_port(port: u16, log: &Path) -> Result<(), Error> {
    for _ in 0..600 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Err(Error::Missing(format!(
        "nothing listens at port {port} after a minute; see {}",
        log.display()
    )))
}

/// A port that nothing listens on.
pub(crate) fn free_port() -> Result<u16, Error> {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| Error::Missing(format!("no port is free on this machine: {source}")))
}

fn say(command: &Command) {
    eprintln!("$ {}", line(command));
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

fn start_error(command: &Command, source: std::io::Error) -> Error {
    Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}

fn check(command: &Command, status: ExitStatus) -> Result<(), Error> {
    if status.success() {
        Ok(())
    } else {
        Err(Error::Failed {
            command: line(command),
            status,
        })
    }
}
