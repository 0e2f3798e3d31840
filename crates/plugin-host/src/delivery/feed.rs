//! The batches for an output in the journal's order, and dead letters that are to be tried again.

use std::time::{Duration, Instant};

use crate::backlog::BatchSeq;
use callmeter_records::Stream;

use super::shared::Shared;
use super::window::{Origin, Window};
use crate::backlog::{Backlog, BacklogError, Batch};
use crate::dead_letters::DeadLetters;

/// How often the directory of replays is looked at.
const LOOK_FOR_REPLAYS: Duration = Duration::from_secs(2);

/// The reading side of an output.
pub(crate) struct Feed {
    readers: Vec<Reader>,
    letters_seen: Option<Instant>,
}

/// A stream's place.
struct Reader {
    stream: Stream,
    /// The last batch that was acknowledged.
    acknowledged: BatchSeq,
    /// The last batch that was handed out.
    handed: BatchSeq,
    /// The last batch that was ever handed out: what comes behind it counts as received.
    furthest: BatchSeq,
    /// Read, not handed out.
    ahead: Option<Batch>,
}

/// A batch to be delivered.
pub(crate) struct Job {
    pub(crate) batch: Batch,
    pub(crate) origin: Origin,
    /// Attempts that were made before, in an earlier life.
    pub(crate) attempts_before: u32,
}

impl Feed {
    /// Begins behind the durable cursors.
    pub(crate) fn open(
        backlog: &dyn Backlog,
        output: &str,
        streams: &[Stream],
    ) -> Result<Self, BacklogError> {
        let mut readers = Vec::with_capacity(streams.len());
        for stream in streams {
            let cursor = backlog.open(output, *stream)?;
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
            letters_seen: None,
        })
    }

    /// The next batch over all streams, by its place in the journal.
    pub(crate) fn next(&mut self, backlog: &dyn Backlog) -> Result<Option<Job>, BacklogError> {
        for reader in &mut self.readers {
            if reader.ahead.is_none() {
                reader.ahead = backlog.next(reader.stream, reader.handed)?;
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

    /// Goes back behind the cursors: what was not acknowledged comes again.
    pub(crate) fn rewind(&mut self) {
        for reader in &mut self.readers {
            reader.handed = reader.acknowledged;
            reader.ahead = None;
        }
        self.letters_seen = None;
    }

    /// A dead letter that shall be tried again, now and then.
    pub(crate) fn next_letter(
        &mut self,
        letters: &DeadLetters,
        shared: &Shared,
        window: &Window,
    ) -> Option<Job> {
        if self
            .letters_seen
            .is_some_and(|seen| seen.elapsed() < LOOK_FOR_REPLAYS)
        {
            return None;
        }
        let waiting = match letters.replays(shared.name()) {
            Ok(waiting) => waiting,
            Err(error) => {
                shared.failed(&error.to_string());
                Vec::new()
            }
        };
        for letter in waiting {
            if window.holds_letter(&letter.name()) {
                continue;
            }
            match letters.open_replay(&letter) {
                Ok(batch) => {
                    let attempts_before = letter.attempts;
                    let origin = Origin::Letter(Box::new(letter));
                    return Some(Job {
                        batch,
                        origin,
                        attempts_before,
                    });
                }
                Err(error) => {
                    shared.failed(&error.to_string());
                }
            }
        }
        // None is left: look again after a while.
        self.letters_seen = Some(Instant::now());
        None
    }

    fn reader(&mut self, stream: Stream) -> Option<&mut Reader> {
        self.readers
            .iter_mut()
            .find(|reader| reader.stream == stream)
    }
}
