//! The child process: a small program that runs one instance.

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use callmeter_records::Stream;

use super::protocol::{self, Create, Reply, Request};
use crate::callbacks::{HostContext, LogSink};
use crate::instance::Instance;
use crate::library::Plugin;
use crate::load;
use crate::plugin_answer::PluginAnswer;
use crate::settings::PluginSource;
use crate::sink::{BatchRequest, Interrupt, Sink as _};
use crate::status::PluginIdentity;

/// The argument that makes callmeter run [`child_main`].
pub const CHILD_ARGUMENT: &str = "plugin-child";

/// The program of a child process: serves one instance over standard input and output until it is
/// told to close or its parent ends. Call it first in `main`, before any thread is started.
pub fn child_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("callmeter plugin-child: {error}; it is started by callmeter, not by hand");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let (requests, replies) = take_pipes()?;
    ignore_signals();
    let replies = Arc::new(Mutex::new(BufWriter::new(replies)));
    let interrupt: Arc<Mutex<Option<Arc<dyn Interrupt>>>> = Arc::default();
    let (sender, receiver) = mpsc::sync_channel(1);
    let cancelled = Arc::clone(&interrupt);
    std::thread::Builder::new()
        .name("requests".to_owned())
        .spawn(move || read_requests(requests, &sender, &cancelled))?;

    let Ok((Request::Create(create), _)) = receiver.recv() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it was not told what to load",
        ));
    };
    let log = ToParent {
        replies: Arc::clone(&replies),
        level: create.log_level,
    };
    let host = HostContext::leak(log);
    let loaded = load_plugin(&create, host);
    if create.check_only {
        let checked = loaded.and_then(|(plugin, _)| plugin.check_fully(&create.config, host));
        return reply(&replies, &Reply::Checked(checked));
    }
    let made = loaded.and_then(|(plugin, identity)| {
        plugin.check_config(&create.config, host)?;
        let instance = Instance::create(&plugin, host, &create.name, &create.config)?;
        Ok((instance, identity))
    });
    let mut instance = match made {
        Ok((instance, identity)) => {
            *interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(instance.interrupt());
            reply(&replies, &Reply::Created(Ok(identity)))?;
            instance
        }
        Err(reason) => return reply(&replies, &Reply::Created(Err(reason))),
    };
    drop(create);
    while let Ok((request, bytes)) = receiver.recv() {
        let (answer, durable) = match request {
            Request::Write {
                seq,
                id,
                attempt,
                stream,
            } => {
                let answer = match (Stream::from_code(stream), protocol::decode(bytes)) {
                    (Some(stream), Ok(records)) => instance.write(&BatchRequest {
                        seq,
                        id,
                        attempt,
                        stream,
                        records: &records,
                    }),
                    (None, _) => PluginAnswer::Fatal {
                        reason: format!("there is no stream {stream}"),
                    },
                    (_, Err(reason)) => PluginAnswer::Fatal { reason },
                };
                (answer, 0)
            }
            Request::Flush { within_ms } => instance.flush(Duration::from_millis(within_ms)),
            // The reader handles Cancel itself.
            Request::Close | Request::Cancel | Request::Create(_) => break,
        };
        reply(&replies, &Reply::done(answer, durable))?;
    }
    // So that the reader of requests does not wait for this thread.
    drop(receiver);
    drop(instance);
    Ok(())
}

/// Loads the plugin.
fn load_plugin(
    create: &Create,
    host: &'static HostContext,
) -> Result<(Plugin, PluginIdentity), String> {
    let source = PluginSource::File {
        path: create.path.clone(),
        sha256: create.sha256.clone(),
        trust: create.trust,
    };
    load::load(&source, host)
}

/// Takes standard input and output for the frames, and replaces them, so that a plugin that prints
/// something does not disturb the frames.
fn take_pipes() -> io::Result<(File, File)> {
    let requests = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let replies = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let nothing = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok((File::from(requests), File::from(replies)))
}

/// A service manager that stops callmeter also signals its children. They must flush first, and end
/// when callmeter tells them to. A write beyond the limit of the size of files is an error instead.
fn ignore_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGXFSZ] {
        // SAFETY: ignoring a signal installs no handler; no other thread runs yet.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}

fn read_requests(
    requests: File,
    sender: &mpsc::SyncSender<(Request, Vec<u8>)>,
    interrupt: &Mutex<Option<Arc<dyn Interrupt>>>,
) {
    let mut requests = BufReader::with_capacity(64 * 1024, requests);
    while let Ok(Some((request, bytes))) = protocol::receive(&mut requests) {
        if let Request::Cancel = request {
            let interrupt = interrupt
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if let Some(interrupt) = interrupt {
                interrupt.cancel();
            }
            continue;
        }
        // The receiver is gone when the instance is being destroyed.
        let _ = sender.send((request, bytes));
    }
    // callmeter is gone: it keeps the pipe open until this process has ended. What was not
    // acknowledged is sent again after its next start, so nothing is lost by ending now, whatever
    // the plugin is doing, even if its `destroy` hangs.
    // SAFETY: ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(0) }
}

fn reply(replies: &Mutex<BufWriter<File>>, reply: &Reply) -> io::Result<()> {
    let mut replies = replies.lock().unwrap_or_else(PoisonError::into_inner);
    protocol::send(&mut *replies, reply, &[])
}

/// Sends a plugin's log lines to the parent.
struct ToParent {
    replies: Arc<Mutex<BufWriter<File>>>,
    level: i32,
}

impl LogSink for ToParent {
    fn enabled(&self, level: i32) -> bool {
        level <= self.level
    }

    fn line(&self, level: i32, target: &str, message: &str) {
        if self.enabled(level) {
            let (target, message) = (target.to_owned(), message.to_owned());
            // If this fails, the parent is gone and this process is about to end.
            let _ = reply(
                &self.replies,
                &Reply::Log {
                    level,
                    target,
                    message,
                },
            );
        }
    }
}
