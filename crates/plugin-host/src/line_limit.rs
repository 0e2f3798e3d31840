//! Bounds how many lines a plugin writes to callmeter's log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use callmeter_plugin_abi::level;

use crate::callbacks::{LogSink, ToTracing};

/// A plugin's lines in a second that are logged.
const MOST: u64 = 100;
const WINDOW: Duration = Duration::from_secs(1);

/// Passes on as many lines as a plugin may write, and then says how many were left out.
pub(crate) struct LineLimit<S> {
    sink: Arc<S>,
    counts: Arc<Mutex<Counts>>,
}

/// callmeter's log for the plugin of an output.
pub(crate) fn plugin_log(output: &str) -> LineLimit<ToTracing> {
    LineLimit::new(ToTracing::new(output))
}

struct Counts {
    since: Instant,
    lines: u64,
    left_out: u64,
}

impl<S: LogSink> LineLimit<S> {
    fn new(sink: S) -> Self {
        Self {
            sink: Arc::new(sink),
            counts: Arc::new(Mutex::new(Counts {
                since: Instant::now(),
                lines: 0,
                left_out: 0,
            })),
        }
    }

    /// Whether a line may be logged. The first one that may not starts a thread, which says later
    /// how many were left out, even if the plugin is silent by then.
    fn admits(&self) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.since.elapsed() >= WINDOW {
            counts.since = Instant::now();
            counts.lines = 0;
        }
        counts.lines += 1;
        if counts.lines <= MOST {
            return true;
        }
        counts.left_out += 1;
        if counts.left_out == 1 {
            let (sink, counts) = (Arc::clone(&self.sink), Arc::clone(&self.counts));
            // Without a thread, this is said after the lines that are left out next.
            let _ = std::thread::Builder::new()
                .name("left-out".to_owned())
                .spawn(move || say_later(sink.as_ref(), &counts));
        }
        false
    }
}

fn say_later(sink: &impl LogSink, counts: &Mutex<Counts>) {
    std::thread::sleep(WINDOW);
    let left_out = {
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut counts.left_out)
    };
    let text = format!(
        "{left_out} lines of the plugin were left out: callmeter logs at most {MOST} a second"
    );
    sink.line(level::WARN, "plugin-host", &text);
}

impl<S: LogSink> LogSink for LineLimit<S> {
    fn enabled(&self, level: i32) -> bool {
        self.sink.enabled(level)
    }

    fn line(&self, level: i32, target: &str, message: &str) {
        if self.enabled(level) && self.admits() {
            self.sink.line(level, target, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use callmeter_plugin_abi::level;

    use super::{LineLimit, LogSink};

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl LogSink for Arc<Heard> {
        fn enabled(&self, level: i32) -> bool {
            level <= level::WARN
        }

        fn line(&self, _: i32, _: &str, message: &str) {
            let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            heard.push(message.to_owned());
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        const LINES: usize = 20_000;
        let heard = Arc::new(Heard::default());
        let limit = LineLimit::new(Arc::clone(&heard));
        for _ in 0..LINES {
            limit.line(level::WARN, "stderr", "noise");
            // Nobody would see it, so it is not counted.
            limit.line(level::TRACE, "stderr", "detail");
        }
        let (shown, left_out) = loop {
            let heard = heard
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let (shown, said): (Vec<_>, Vec<_>) = heard.iter().partition(|line| *line == "noise");
            let left_out: usize = said
                .iter()
                .map(|line| line.split(' ').next().unwrap().parse::<usize>().unwrap())
                .sum();
            if shown.len() + left_out >= LINES {
                break (shown.len(), left_out);
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(shown + left_out, LINES);
        assert!(left_out > 0 && shown >= 100, "{shown} {left_out}");
    }
}
