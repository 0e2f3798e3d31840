//! What a process has used of the machine, as the kernel counts it.

use std::time::Duration;

/// Clock ticks of `/proc/*/stat` in a second: 100 on every processor that callmeter is built for.
const TICKS: u64 = 100;

/// What a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time of all its threads, in user and kernel mode; to a hundredth of a second.
    pub cpu: Duration,
    /// Bytes of memory that it has now.
    pub resident: u64,
    /// The most that it had.
    pub peak: u64,
}

impl Usage {
    /// CPU time that it has used since `before`.
    pub fn cpu_since(&self, before: &Self) -> Duration {
        self.cpu.saturating_sub(before.cpu)
    }

    /// Of the process with that id.
    ///
    /// # Panics
    /// When there is none.
    pub fn of(pid: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // The name in brackets may hold anything; what follows it does not.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = |index: usize| -> u64 {
            let field = fields.split_whitespace().nth(index);
            field.unwrap().parse().unwrap()
        };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let kilobytes = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.unwrap().parse().unwrap()
        };
        Self {
            cpu: Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS),
            resident: kilobytes("VmRSS:") * 1024,
            peak: kilobytes("VmHWM:") * 1024,
        }
    }
}
