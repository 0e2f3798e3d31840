//! The CPU time and memory of a process, from `/proc`.

use std::time::Duration;

/// Clock ticks of `/proc/*/stat` in a second: 100 on every processor that callmeter supports.
const TICKS: u64 = 100;

/// CPU time and memory of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time of all its threads in user and kernel mode, in steps of 10 ms.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
    /// The peak of its resident memory in bytes.
    pub peak: u64,
}

impl Usage {
    /// CPU time that it has used since `before`.
    pub fn cpu_since(&self, before: &Self) -> Duration {
        self.cpu.saturating_sub(before.cpu)
    }

    /// Reads the use of the process with this id.
    ///
    /// # Panics
    /// If there is no such process.
    pub fn of(pid: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // The name in brackets may contain blanks; the fields after it do not.
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
