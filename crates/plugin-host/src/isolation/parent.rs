//! The parent process: starts children, sends them requests, and finds out how they ended.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak, mpsc};
use std::time::{Duration, Instant};

use callmeter_plugin_abi::level;
use serde::Serialize;

use super::child::CHILD_ARGUMENT;
use super::protocol::{self, Create, Reply, Request};
use crate::callbacks::{self, LogSink};
use crate::delivery::MakeSink;
use crate::delivery::shared::Shared;
use crate::line_limit;
use crate::plugin_answer::PluginAnswer;
use crate::settings::{OutputSettings, PluginSource};
use crate::sink::{BatchRequest, Interrupt, Sink};
use crate::status::{OWN_PROCESS, PluginIdentity};

/// A longer line of standard error is logged in pieces.
const MAX_LINE: u64 = 8 * 1024;
const OTHER_ANSWER: &str = "the plugin's process gave another answer than it was asked for";
/// Room for requests on the way to a child, in bytes: the most that every user may have. A batch of
/// a thousand calls fits, so that neither process waits for the other while it is handed over.
const PIPE_SIZE: usize = 1 << 20;
/// How long a child that closed its output may take to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// The environment variables that a child gets. All others stay with callmeter, because they may
/// hold passwords, and a process shows its environment to everything that runs as the same user.
const PASSED_ON: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TZDIR",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "XDG_RUNTIME_DIR",
];
/// What the names of further ones start with: locale, dynamic linker and memory, diagnosis.
const PASSED_ON_FAMILIES: [&str; 6] = ["LC_", "LD_", "MALLOC_", "GLIBC_", "RUST_", "LLVM_"];

fn is_passed_on(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    PASSED_ON.contains(&name)
        || PASSED_ON_FAMILIES
            .iter()
            .any(|family| name.starts_with(family))
}

/// Makes instances in children.
pub(crate) struct ChildMaker {
    command: Vec<OsString>,
    source: PluginSource,
    name: String,
    config: String,
}

impl ChildMaker {
    pub(crate) fn new(settings: &OutputSettings) -> Self {
        Self {
            command: settings.child_command.clone(),
            source: settings.source.clone(),
            name: settings.name.clone(),
            config: settings.config.clone(),
        }
    }

    fn command(&self) -> Command {
        let mut words = self.command.iter();
        let mut command = if let Some(program) = words.next() {
            let mut command = Command::new(program);
            command.args(words);
            command
        } else {
            // The link, not its target: it still leads to this program if the file was replaced.
            let mut command = Command::new("/proc/self/exe");
            command.arg(CHILD_ARGUMENT);
            command
        };
        // Its own process group: Ctrl-C on the terminal is for callmeter, which then ends the
        // child.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| is_passed_on(name)));
        command
    }
}

/// Loads the plugin of an output in a child process, and checks the output's configuration with the
/// plugin's JSON Schema and by the plugin itself. Creates no instance. Returns warnings. They and
/// the error are lines for the operator, without secrets.
pub fn check_settings(settings: &OutputSettings) -> Result<Vec<String>, String> {
    let maker = ChildMaker::new(settings);
    let answer = maker.start(|interrupt| {
        // Ends a plugin that hangs while it is loaded.
        let limit = settings.limits.call_timeout;
        let _ = std::thread::Builder::new().spawn(move || {
            std::thread::sleep(limit);
            if let Some(interrupt) = interrupt.upgrade() {
                interrupt.kill();
            }
        });
    });
    let checked = answer
        .and_then(|(sink, create)| {
            let create = Create {
                check_only: true,
                ..create
            };
            sink.ask("check", &Request::Create(Box::new(create)), &[])
        })
        .and_then(|reply| match reply {
            Reply::Checked(checked) => checked,
            _ => Err(OTHER_ANSWER.to_owned()),
        });
    let clean = |text: String| settings.scrub.scrub(&text);
    checked
        .map(|warnings| warnings.into_iter().map(clean).collect())
        .map_err(clean)
}

impl MakeSink for ChildMaker {
    fn make(&self, shared: &Shared) -> Result<(Box<dyn Sink>, PluginIdentity), String> {
        let (sink, create) = self.start(|interrupt| {
            if let Some(interrupt) = interrupt.upgrade() {
                shared.set_interrupt(interrupt);
            }
        })?;
        match sink.ask("create", &Request::Create(Box::new(create)), &[])? {
            Reply::Created(Ok(identity)) => Ok((Box::new(sink), identity)),
            Reply::Created(Err(reason)) => Err(reason),
            _ => Err(OTHER_ANSWER.to_owned()),
        }
    }
}

impl ChildMaker {
    /// Starts a child. Returns the first request for it, too. `started` gets a handle to end it by.
    fn start(
        &self,
        started: impl FnOnce(Weak<dyn Interrupt>),
    ) -> Result<(ChildSink, Create), String> {
        let PluginSource::File {
            path,
            sha256,
            trust,
        } = &self.source
        else {
            return Err("a statically linked plugin cannot be isolated".to_owned());
        };
        let child = self
            .command()
            .spawn()
            .map_err(|error| format!("cannot start a process for the plugin: {error}"))?;
        let sink = ChildSink::new(child, &self.name)?;
        started(Arc::downgrade(&sink.interrupt()));
        let create = Create {
            path: path.clone(),
            sha256: sha256.clone(),
            trust: *trust,
            name: self.name.clone(),
            config: self.config.clone(),
            log_level: callbacks::most_detailed(),
            check_only: false,
        };
        Ok((sink, create))
    }
}

/// An instance in a child.
struct ChildSink {
    handle: Arc<Handle>,
    replies: mpsc::Receiver<Reply>,
    /// Reused to encode each batch.
    encoded: Vec<u8>,
}

/// What other threads need of a child.
struct Handle {
    child: Mutex<Child>,
    requests: Mutex<BufWriter<ChildStdin>>,
    killed: AtomicBool,
}

impl ChildSink {
    fn new(mut child: Child, output: &str) -> Result<Self, String> {
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(requests), Some(replies), Some(errors)) = pipes else {
            return Err("the plugin's process has no pipes".to_owned());
        };
        // The system may not allow it: then a batch goes through in more, smaller parts.
        let _size = rustix::pipe::fcntl_setpipe_size(&requests, PIPE_SIZE);
        let log = Arc::new(line_limit::plugin_log(output));
        let errors_log = Arc::clone(&log);
        std::thread::Builder::new()
            .name(format!("err {output}"))
            .spawn(move || log_lines(errors, errors_log.as_ref()))
            .map_err(|error| format!("cannot start a thread for the plugin's process: {error}"))?;
        let (sender, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .name(format!("from {output}"))
            .spawn(move || {
                let mut replies = BufReader::with_capacity(64 * 1024, replies);
                // Ends with the child's output. The channel then closes, which ends the wait for a
                // reply.
                while let Ok(Some((reply, _))) = protocol::receive(&mut replies) {
                    match reply {
                        Reply::Log {
                            level,
                            target,
                            message,
                        } => log.line(level, &target, &message),
                        reply => {
                            if sender.send(reply).is_err() {
                                break;
                            }
                        }
                    }
                }
            })
            .map_err(|error| format!("cannot start a thread for the plugin's process: {error}"))?;
        let handle = Handle {
            child: Mutex::new(child),
            requests: Mutex::new(BufWriter::new(requests)),
            killed: AtomicBool::new(false),
        };
        Ok(Self {
            handle: Arc::new(handle),
            replies: receiver,
            encoded: Vec::new(),
        })
    }

    /// Sends a request and waits for its reply. A child that hangs is killed by the watchdog, which
    /// ends the wait.
    fn ask(&self, operation: &str, request: &Request, bytes: &[u8]) -> Result<Reply, String> {
        let sent = self.handle.send(request, bytes);
        if let Ok(Ok(reply)) = sent.map(|()| self.replies.recv()) {
            return Ok(reply);
        }
        let how = self.handle.how_it_ended();
        if self.handle.killed.load(Ordering::SeqCst) {
            return Err(format!(
                "{OWN_PROCESS} did not return from {operation} and was killed ({how})"
            ));
        }
        Err(format!("{OWN_PROCESS} ended during {operation} ({how})"))
    }

    fn call(&self, operation: &str, request: &Request, bytes: &[u8]) -> (PluginAnswer, u64) {
        match self.ask(operation, request, bytes) {
            Ok(Reply::Done {
                code,
                reason,
                retry_after_ms,
                durable,
            }) => (protocol::answer(code, &reason, retry_after_ms), durable),
            Ok(_) => {
                let reason =
                    format!("the plugin's process gave another answer than for {operation}");
                (PluginAnswer::Fatal { reason }, 0)
            }
            Err(reason) => (PluginAnswer::Fatal { reason }, 0),
        }
    }
}

/// Logs what a child writes to standard error, line by line: callmeter's log has no secrets.
fn log_lines(errors: ChildStderr, log: &impl LogSink) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    loop {
        line.clear();
        // An endless line is logged in pieces.
        match (&mut errors).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                log.line(level::WARN, "stderr", text.trim_end());
            }
        }
    }
}

impl Sink for ChildSink {
    fn write(&mut self, request: &BatchRequest<'_>) -> PluginAnswer {
        let mut encoded = std::mem::take(&mut self.encoded);
        if let Err(error) = protocol::encode(request.records, &mut encoded) {
            return PluginAnswer::Reject {
                reason: format!("the batch cannot be encoded: {error}"),
            };
        }
        let request = Request::Write {
            seq: request.seq,
            id: request.id,
            attempt: request.attempt,
            stream: request.stream.code(),
        };
        let (answer, _) = self.call("write", &request, &encoded);
        self.encoded = encoded;
        answer
    }

    fn flush(&mut self, within: Duration) -> (PluginAnswer, u64) {
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        self.call("flush", &Request::Flush { within_ms }, &[])
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::clone(&self.handle) as Arc<dyn Interrupt>
    }
}

impl Drop for ChildSink {
    fn drop(&mut self) {
        // An error means that it ended already. The pipe stays open until it has ended, so that it
        // ends if callmeter does.
        let _ = self.handle.send(&Request::Close, &[]);
        // Waits until it ends by itself, or the watchdog or the end of callmeter ends it.
        while !self.handle.has_ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Handle {
    fn send(&self, request: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        protocol::send(&mut *requests, request, bytes)
    }

    fn has_ended(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(child.try_wait(), Ok(None))
    }

    /// How the child ended, in the system's words; it is killed if it does not end.
    fn how_it_ended(&self) -> String {
        let by = Instant::now() + END_WITHIN;
        loop {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            match child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) if Instant::now() < by => {}
                Ok(None) => {
                    // It closed its pipes but still runs, so it is of no use.
                    let _ = child.kill();
                    return "it closed its pipes".to_owned();
                }
                Err(error) => return error.to_string(),
            }
            drop(child);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Interrupt for Handle {
    fn cancel(&self) {
        // Not while a request is being written: that one is stuck, and the child is killed next.
        match self.requests.try_lock() {
            Ok(mut requests) => {
                // An error means that it ended already.
                let _ = protocol::send(&mut *requests, &Request::Cancel, &[]);
            }
            Err(TryLockError::Poisoned(_) | TryLockError::WouldBlock) => {}
        }
    }

    fn kill(&self) -> bool {
        self.killed.store(true, Ordering::SeqCst);
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill().is_ok()
    }
}
