//! The parent process: starts children, sends them requests, and finds out how they ended.

use std::ffi::OsString;
use std::io::{self, BufReader, BufWriter};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError, mpsc};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::child::CHILD_ARGUMENT;
use super::protocol::{self, Create, Reply, Request};
use crate::callbacks::{self, LogSink as _, ToTracing};
use crate::delivery::MakeSink;
use crate::delivery::shared::Shared;
use crate::plugin_answer::PluginAnswer;
use crate::settings::{OutputSettings, PluginSource};
use crate::sink::{BatchRequest, Interrupt, Sink};
use crate::status::PluginIdentity;

/// How long a child that closed its output may take to end.
const END_WITHIN: Duration = Duration::from_secs(2);

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
            .stdout(Stdio::piped());
        command
    }
}

impl MakeSink for ChildMaker {
    fn make(&self, shared: &Shared) -> Result<(Box<dyn Sink>, PluginIdentity), String> {
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
        shared.set_interrupt(sink.interrupt());
        let create = Create {
            path: path.clone(),
            sha256: sha256.clone(),
            trust: *trust,
            name: self.name.clone(),
            config: self.config.clone(),
            log_level: callbacks::most_detailed(),
        };
        match sink.ask("create", &Request::Create(Box::new(create)), &[])? {
            Reply::Created(Ok(identity)) => Ok((Box::new(sink), identity)),
            Reply::Created(Err(reason)) => Err(reason),
            _ => Err("the plugin's process gave another answer than it was asked for".to_owned()),
        }
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
    /// `None` once it was closed.
    requests: Mutex<Option<BufWriter<ChildStdin>>>,
    killed: AtomicBool,
}

impl ChildSink {
    fn new(mut child: Child, output: &str) -> Result<Self, String> {
        let (Some(requests), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the plugin's process has no pipes".to_owned());
        };
        let (sender, receiver) = mpsc::channel();
        let log = ToTracing::new(output);
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
            requests: Mutex::new(Some(BufWriter::new(requests))),
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
                "the plugin's process did not return from {operation} and was killed ({how})"
            ));
        }
        Err(format!(
            "the plugin's process ended during {operation} ({how})"
        ))
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
        // An error means that it ended already.
        let _ = self.handle.send(&Request::Close, &[]);
        self.handle.close();
        // Waits until it ends by itself, or the watchdog or the end of callmeter ends it.
        while !self.handle.has_ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Handle {
    fn send(&self, request: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = requests.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        protocol::send(requests, request, bytes)
    }

    fn close(&self) {
        if let Some(requests) = self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            // Nothing is left in the buffer: every frame is flushed.
            drop(requests);
        }
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
                if let Some(requests) = requests.as_mut() {
                    // An error means that it ended already.
                    let _ = protocol::send(requests, &Request::Cancel, &[]);
                }
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
