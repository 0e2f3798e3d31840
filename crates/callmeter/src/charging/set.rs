//! The threads of all entries, as the configuration asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use callmeter_journal::{Journal, JournalError, Start};
use callmeter_records::{BatchSeq, Stream};

use super::cursor::cursor_of;
use super::engine::Engine;
use crate::config::{Charging, OutputFrom};
use crate::context::AppContext;

/// The running entries.
#[derive(Debug, Default)]
pub(crate) struct ChargeSet {
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    entry: Charging,
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// The cursors of entries: their names, and where new ones start. If another entry has charged the
/// account before, that is after its last charge.
pub(crate) fn cursors(
    journal: &Journal,
    entries: &[Charging],
) -> Result<Vec<(String, Stream, Start)>, JournalError> {
    let start = |entry: &Charging| {
        Ok(match (entry.from, journal.last_charged(&entry.account)?) {
            (OutputFrom::Oldest, _) => Start::Oldest,
            (OutputFrom::Now, BatchSeq::START) => Start::Newest,
            (OutputFrom::Now, charged) => Start::After(charged),
        })
    };
    entries
        .iter()
        .map(|entry| Ok((cursor_of(entry), Stream::Calls, start(entry)?)))
        .collect()
}

impl ChargeSet {
    /// Stops the entries that changed or are gone, and starts the new ones. Their cursors exist
    /// already. Waits for the batch that an entry charges; so it blocks.
    pub(crate) fn set(&mut self, app: &AppContext, entries: &[Charging]) -> std::io::Result<()> {
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running| entries.contains(&running.entry));
        self.running = kept;
        stop(app, gone);
        for entry in entries {
            let is_running = |running: &Running| running.entry == *entry;
            if self.running.iter().any(is_running) {
                continue;
            }
            let stopped = Arc::new(AtomicBool::new(false));
            let engine = Engine::new(app.clone(), entry.clone(), Arc::clone(&stopped));
            let thread = std::thread::Builder::new()
                .name(format!("charges-{}", entry.name))
                .spawn(move || engine.run())?;
            self.running.push(Running {
                entry: entry.clone(),
                stopped,
                thread,
            });
        }
        Ok(())
    }

    /// Stops all entries after the batch that each charges.
    pub(crate) fn stop(&mut self, app: &AppContext) {
        stop(app, std::mem::take(&mut self.running));
    }
}

fn stop(app: &AppContext, running: Vec<Running>) {
    for one in &running {
        one.stopped.store(true, Ordering::Relaxed);
    }
    app.journal.wake();
    for one in running {
        // A panic in a thread was logged.
        let _ended = one.thread.join();
        let labels = [one.entry.account.as_str()];
        let _gone = app
            .metrics
            .calls_waiting_for_deck
            .remove_label_values(&labels);
        app.status.remove_charging(&one.entry.name);
        // The series of the file of a deck. No account has the name of an entry.
        app.metrics.forget_account(&one.entry.name);
    }
}
