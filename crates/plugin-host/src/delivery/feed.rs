//! The batches for an output, in the journal's order, and the dead letters to replay.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use callmeter_records::{Batch, BatchSeq, Stream};

use super::shared::Shared;
use super::window::{Origin, Window};
use crate::dead_letters::{DeadLetter, DeadLetterError, DeadLetters, Listing};
use callmeter_records::{BatchLog, BatchLogError};

/// Time between two checks of the directory of replays.
const LOOK_FOR_REPLAYS: Duration = Duration::from_secs(5);

/// The number of failures that are remembered as reported; later ones are not reported.
const MAX_REPORTED: usize = 1000;

/// The reading side of an output.
pub(crate) struct Feed {
    readers: Vec<Reader>,
    /// Dead letters to replay, in order.
    replays: VecDeque<DeadLetter>,
    /// When they were last looked for.
    replays_seen: Option<Instant>,
    /// Failures of replays that were reported: a damaged file stays damaged at every look.
    reported: HashSet<String>,
}

/// How far a stream is read.
struct Reader {
    stream: Stream,
    /// The last batch that was acknowledged.
    acknowledged: BatchSeq,
    /// The last batch that was handed out.
    handed: BatchSeq,
    /// The last batch that was ever handed out: later ones count as received.
    furthest: BatchSeq,
    /// Read but not handed out.
    ahead: Option<Batch>,
}

/// A batch to be delivered.
pub(crate) struct Job {
    pub(crate) batch: Batch,
    pub(crate) origin: Origin,
    /// Attempts before it became a dead letter; 0 for a batch of the journal.
    pub(crate) attempts_before: u32,
}

impl Feed {
    /// Starts after the durable cursors.
    pub(crate) fn open(
        batches: &dyn BatchLog,
        output: &str,
        streams: &[Stream],
    ) -> Result<Self, BatchLogError> {
        let mut readers = Vec::with_capacity(streams.len());
        for stream in streams {
            let cursor = batches.open(output, *stream)?;
            readers.push(Reader {
                stream: *stream,
                acknowledged: cursor,
                handed: cursor,
                furthest: cursor,
                ahead: None,
            });
        }
        Ok(Self {
            readers,
            replays: VecDeque::new(),
            replays_seen: None,
            reported: HashSet::new(),
        })
    }

    /// The next batch over all streams, by its place in the journal.
    pub(crate) fn next(&mut self, batches: &dyn BatchLog) -> Result<Option<Job>, BatchLogError> {
        for reader in &mut self.readers {
            if reader.ahead.is_none() {
                reader.ahead = batches.next(reader.stream, reader.handed)?;
            }
        }
        let waiting = self
            .readers
            .iter_mut()
            .filter(|reader| reader.ahead.is_some());
        let first = waiting.min_by_key(|reader| reader.ahead.as_ref().map(|batch| batch.seq));
        Ok(first
            .and_then(|reader| reader.ahead.take())
            .map(|batch| Job {
                origin: Origin::Journal(batch.seq),
                batch,
                attempts_before: 0,
            }))
    }

    /// Puts back a batch that was not taken.
    pub(crate) fn put_back(&mut self, job: Job) {
        if let Origin::Journal(_) = job.origin
            && let Some(reader) = self.reader(job.batch.stream)
        {
            reader.ahead = Some(job.batch);
        }
    }

    /// Notes that a batch is in the window.
    pub(crate) fn handed(&mut self, stream: Stream, seq: BatchSeq) {
        if let Some(reader) = self.reader(stream) {
            reader.handed = seq;
        }
    }

    /// Whether a batch is handed out for the first time in this process.
    pub(crate) fn first_time(&mut self, stream: Stream, seq: BatchSeq) -> bool {
        self.reader(stream).is_some_and(|reader| {
            let first = seq > reader.furthest;
            reader.furthest = reader.furthest.max(seq);
            first
        })
    }

    pub(crate) fn acknowledged(&mut self, stream: Stream, seq: BatchSeq) {
        if let Some(reader) = self.reader(stream) {
            reader.acknowledged = reader.acknowledged.max(seq);
        }
    }

    /// Goes back to the cursors: what was not acknowledged is read again.
    pub(crate) fn rewind(&mut self) {
        for reader in &mut self.readers {
            reader.handed = reader.acknowledged;
            reader.ahead = None;
        }
        self.replays.clear();
        self.replays_seen = None;
    }

    /// Returns the next dead letter to replay. Looks for some every few seconds.
    pub(crate) fn next_replay(
        &mut self,
        dead_letters: &DeadLetters,
        shared: &Shared,
        window: &Window,
    ) -> Option<Job> {
        let looked = self.replays_seen;
        if self.replays.is_empty() && looked.is_none_or(|at| at.elapsed() >= LOOK_FOR_REPLAYS) {
            self.replays_seen = Some(Instant::now());
            let listing = dead_letters.replays(shared.name()).unwrap_or_else(|error| {
                self.report(shared, &error);
                Listing::default()
            });
            for error in &listing.damaged {
                self.report(shared, error);
            }
            self.replays = listing.letters.into();
        }
        while let Some(letter) = self.replays.pop_front() {
            if window.holds_dead_letter(&letter.name()) {
                continue;
            }
            match dead_letters.open_replay(&letter) {
                Ok(batch) => {
                    let attempts_before = letter.attempts;
                    let origin = Origin::DeadLetter(Box::new(letter));
                    return Some(Job {
                        batch,
                        origin,
                        attempts_before,
                    });
                }
                Err(error) => self.report(shared, &error),
            }
        }
        None
    }

    fn report(&mut self, shared: &Shared, error: &DeadLetterError) {
        let text = error.to_string();
        if self.reported.len() < MAX_REPORTED && self.reported.insert(text.clone()) {
            shared.failed(&text);
        }
    }

    fn reader(&mut self, stream: Stream) -> Option<&mut Reader> {
        self.readers
            .iter_mut()
            .find(|reader| reader.stream == stream)
    }
}
