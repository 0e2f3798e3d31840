//! A child process that is killed with its test.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::usage::Usage;

/// A child process that writes its output into a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; the file `log` receives both of its outputs.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        Self::start_with_input(command, Stdio::null(), log)
    }

    /// Like [`Process::start`], with a standard input.
    pub fn start_with_input(command: &mut Command, input: Stdio, log: &Path) -> Self {
        let file = std::fs::File::create(log).unwrap();
        let child = command
            .stdin(input)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            // Ctrl-C at the terminal stops the test only, which then drops this.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            child,
            log: log.to_path_buf(),
        }
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// The CPU time and memory that it has used so far.
    pub fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Its exit status if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Stops it with SIGTERM and waits for its end.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                begun.elapsed() < crate::PATIENCE,
                "it does not end:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it with SIGKILL, and then its children if `children` is set.
    pub fn kill(mut self, children: bool) {
        let own = self.children();
        self.child.kill().unwrap();
        if children {
            for pid in own {
                // It may already have ended.
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
        self.child.wait().unwrap();
    }

    /// Its child processes: callmeter has one for each isolated output.
    pub fn children(&self) -> Vec<Pid> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let Ok(tasks) = std::fs::read_dir(tasks) else {
            return Vec::new();
        };
        tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
            .flat_map(|text| {
                text.split_whitespace()
                    .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        let pid = i32::try_from(self.child.id()).unwrap();
        Pid::from_raw(pid).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may already have ended.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}
