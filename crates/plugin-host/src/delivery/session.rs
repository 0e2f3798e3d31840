//! The delivery loop of one output, on a thread of its own.
//!
//! At least once and in order: a batch stays owed until the plugin's `flush` says that it is
//! durable; then, and only then, the cursor in the journal moves. A refused batch counts as settled
//! when it lies in the dead-letter directory. When an instance fails, everything that is not settled
//! is read again and sent to the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backlog::BatchSeq;

use super::feed::{Feed, Job};
use super::shared::Shared;
use super::window::{Entry, Origin, Window};
use crate::answer::Answer;
use crate::backlog::Backlog;
use crate::backoff;
use crate::dead_letters::{self, DeadLetter, DeadLetters};
use crate::settings::{Limits, OutputSettings};
use crate::sink::{BatchRequest, Sink};
use crate::status::{OutputState, PluginIdentity};

/// How long an output without work sleeps unless notified.
const IDLE: Duration = Duration::from_secs(1);
/// A plugin's wish to wait is honoured up to this.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Makes instances of an output's plugin.
pub(crate) trait MakeSink: Send {
    /// Makes one, or says why not. Registers the interrupt as soon as there is one, because making
    /// an instance may hang as well.
    fn make(&self, shared: &Shared) -> Result<(Box<dyn Sink>, PluginIdentity), String>;
}

/// Why feeding an instance ended.
enum End {
    /// The output shall stop.
    Stop,
    /// The instance is done for.
    Fatal(String),
}

/// An output's thread.
pub(crate) struct Delivery {
    output: String,
    streams: Vec<callmeter_records::Stream>,
    limits: Limits,
    letters: DeadLetters,
    backlog: Arc<dyn Backlog>,
    shared: Arc<Shared>,
    make: Box<dyn MakeSink>,
}

impl Delivery {
    pub(crate) fn new(
        settings: &OutputSettings,
        backlog: Arc<dyn Backlog>,
        shared: Arc<Shared>,
        make: Box<dyn MakeSink>,
    ) -> Self {
        Self {
            output: settings.name.clone(),
            streams: settings.streams.clone(),
            limits: settings.limits,
            letters: settings.dead_letters.clone(),
            backlog,
            shared,
            make,
        }
    }

    /// Runs until the output shall stop.
    pub(crate) fn run(self) {
        let Some(mut feed) = self.open_feed() else {
            return;
        };
        self.update_lag();
        while self.shared.stop_by().is_none() {
            let Some((sink, plugin)) = self.make_instance() else {
                return;
            };
            let mut session = Session {
                delivery: &self,
                sink,
                plugin: format!("{} {}", plugin.name, plugin.version),
                feed: &mut feed,
                window: Window::default(),
                seq: 0,
                accepted: 0,
                durable: 0,
                unknown_answers: 0,
            };
            let end = session.run();
            let sink = session.sink;
            self.shared.call("destroy", move || drop(sink));
            self.shared.instance_ended();
            feed.rewind();
            self.update_lag();
            match end {
                End::Stop => return,
                End::Fatal(reason) => {
                    self.shared.set_state(OutputState::Restarting);
                    let failures = self
                        .shared
                        .failed(&format!("the instance failed: {reason}"));
                    if !self.pause(failures) {
                        return;
                    }
                }
            }
        }
    }

    fn open_feed(&self) -> Option<Feed> {
        loop {
            match Feed::open(self.backlog.as_ref(), &self.output, &self.streams) {
                Ok(feed) => return Some(feed),
                Err(error) => {
                    let failures = self.shared.failed(&error.to_string());
                    if !self.pause(failures) {
                        return None;
                    }
                }
            }
        }
    }

    fn make_instance(&self) -> Option<(Box<dyn Sink>, PluginIdentity)> {
        loop {
            if self.shared.stop_by().is_some() {
                return None;
            }
            match self.shared.call("create", || self.make.make(&self.shared)) {
                Ok((sink, plugin)) => {
                    self.shared.set_interrupt(sink.interrupt());
                    self.shared.instance_made(plugin.clone());
                    self.shared.set_state(OutputState::Running);
                    tracing::info!(
                        output = self.output,
                        plugin = plugin.name,
                        version = plugin.version,
                        path = plugin.path,
                        sha256 = plugin.sha256,
                        "the output runs"
                    );
                    return Some((sink, plugin));
                }
                Err(reason) => {
                    self.shared.set_state(OutputState::Restarting);
                    let failures = self
                        .shared
                        .failed(&format!("no instance can be made: {reason}"));
                    if !self.pause(failures) {
                        return None;
                    }
                }
            }
        }
    }

    /// Waits as long as fits so many failures; false if the output shall stop.
    fn pause(&self, failures: u32) -> bool {
        self.update_lag();
        let wait = backoff::wait(failures, self.limits.retry_least, self.limits.retry_most);
        self.shared.pause(wait)
    }

    fn update_lag(&self) {
        self.shared.update_lag(self.backlog.as_ref());
    }
}

/// One instance's life.
struct Session<'a> {
    delivery: &'a Delivery,
    sink: Box<dyn Sink>,
    plugin: String,
    feed: &'a mut Feed,
    window: Window,
    /// The last number given to a batch.
    seq: u64,
    /// The last one that was accepted.
    accepted: u64,
    /// The last one that is durable.
    durable: u64,
    /// Undefined statuses in a row.
    unknown_answers: u32,
}

impl Session<'_> {
    fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.step() {
                return match end {
                    End::Stop => self.finish(),
                    fatal @ End::Fatal(_) => fatal,
                };
            }
        }
    }

    fn step(&mut self) -> Result<(), End> {
        let shared = &self.delivery.shared;
        if shared.stop_by().is_some() {
            return Err(End::Stop);
        }
        if self.must_flush() {
            return self.flush_or_wait();
        }
        let notified = shared.notified();
        let letter = self
            .feed
            .next_letter(&self.delivery.letters, shared, &self.window);
        let job = match letter {
            Some(job) => Some(job),
            None => match self.feed.next(self.delivery.backlog.as_ref()) {
                Ok(job) => job,
                Err(error) => {
                    let failures = shared.failed(&error.to_string());
                    return if self.delivery.pause(failures) {
                        Ok(())
                    } else {
                        Err(End::Stop)
                    };
                }
            },
        };
        match job {
            Some(job) => self.offer(job),
            None if self.window.is_empty() => {
                self.delivery.update_lag();
                shared.wait_for_notify(notified, IDLE);
                Ok(())
            }
            None => match self.linger() {
                Some(left) => {
                    shared.wait_for_notify(notified, left);
                    Ok(())
                }
                // Nothing else came: make durable what there is.
                None => self.flush_or_wait(),
            },
        }
    }

    /// How much longer to wait for another batch before a flush, if at all.
    fn linger(&self) -> Option<Duration> {
        let since = self.window.newest()?.elapsed();
        let left = self.delivery.limits.linger.checked_sub(since)?;
        (!left.is_zero()).then_some(left)
    }

    fn must_flush(&self) -> bool {
        let limits = &self.delivery.limits;
        self.window.len() >= limits.unflushed_batches
            || self.window.bytes() >= limits.unflushed_bytes
            || self
                .window
                .oldest()
                .is_some_and(|oldest| oldest.elapsed() >= limits.flush_every)
    }

    /// Hands a batch over, as often as the plugin asks for it.
    fn offer(&mut self, job: Job) -> Result<(), End> {
        let shared = Arc::clone(&self.delivery.shared);
        let records = job.batch.records.num_rows() as u64;
        if let Origin::Journal(place) = job.origin
            && self.feed.first_time(job.batch.stream, place)
        {
            shared.update_stream(job.batch.stream, |status| status.received += records);
        }
        self.seq += 1;
        let mut attempt = job.attempts_before;
        loop {
            attempt = attempt.saturating_add(1);
            let request = BatchRequest {
                seq: self.seq,
                id: job.batch.id.0,
                attempt,
                stream: job.batch.stream,
                records: &job.batch.records,
            };
            let answer = shared.call("write", || self.sink.write(&request));
            let (reason, after) = match self.normalize(answer) {
                Answer::Ok => {
                    shared.set_state(OutputState::Running);
                    self.accepted = self.seq;
                    self.admit(job, records, false);
                    return Ok(());
                }
                Answer::Reject { reason } => {
                    self.refuse(&job, attempt, &reason)?;
                    self.admit(job, records, true);
                    return Ok(());
                }
                Answer::Fatal { reason } => return Err(End::Fatal(reason)),
                Answer::Retry { reason, after } => (reason, after),
                Answer::Unknown { code, reason } => (format!("status {code}: {reason}"), None),
            };
            shared.retried();
            shared.set_state(OutputState::Retrying);
            let failures = shared.failed(&format!(
                "attempt {attempt} to write batch {} of {}: {reason}",
                job.batch.seq, job.batch.stream
            ));
            // What was accepted before need not wait for this one.
            if !self.window.is_empty() {
                self.flush(self.delivery.limits.flush_within)?;
            }
            if !self.pause(failures, after) {
                self.seq -= 1;
                self.feed.put_back(job);
                return Err(End::Stop);
            }
        }
    }

    /// Takes an undefined status for "retry" the first time, for "fatal" the second.
    fn normalize(&mut self, answer: Answer) -> Answer {
        match answer {
            Answer::Unknown { code, reason } => {
                self.unknown_answers += 1;
                if self.unknown_answers > 1 {
                    let reason =
                        format!("it answers with status {code}, which does not exist: {reason}");
                    return Answer::Fatal { reason };
                }
                Answer::Unknown { code, reason }
            }
            known => {
                self.unknown_answers = 0;
                known
            }
        }
    }

    fn pause(&self, failures: u32, after: Option<Duration>) -> bool {
        match after {
            Some(after) => {
                self.delivery.update_lag();
                self.delivery.shared.pause(after.min(MAX_RETRY_AFTER))
            }
            None => self.delivery.pause(failures),
        }
    }

    fn admit(&mut self, job: Job, records: u64, refused: bool) {
        let stream = job.batch.stream;
        if let Origin::Journal(place) = job.origin {
            self.feed.handed(stream, place);
        }
        self.window.push(Entry {
            seq: self.seq,
            stream,
            origin: job.origin,
            records,
            bytes: job.batch.records.get_array_memory_size(),
            refused,
            accepted_at: Instant::now(),
        });
        if refused {
            self.settle();
        }
    }

    /// Puts a refused batch aside, for as long as it takes: it is not dropped before it lies there.
    fn refuse(&mut self, job: &Job, attempts: u32, reason: &str) -> Result<(), End> {
        let shared = Arc::clone(&self.delivery.shared);
        let letter = DeadLetter {
            output: self.delivery.output.clone(),
            plugin: self.plugin.clone(),
            stream: job.batch.stream.name().to_owned(),
            place: job.batch.seq.0,
            id: job.batch.id.to_string(),
            records: job.batch.records.num_rows() as u64,
            reason: reason.to_owned(),
            refused_at: dead_letters::now(),
            attempts,
        };
        loop {
            let put = match job.origin {
                Origin::Journal(_) => self.delivery.letters.put(&letter, &job.batch.records),
                Origin::Letter(_) => self.delivery.letters.refused_again(&letter),
            };
            let Err(error) = put else { break };
            let failures = shared.failed(&format!("a refused batch cannot be put aside: {error}"));
            if !self.delivery.pause(failures) {
                return Err(End::Stop);
            }
        }
        tracing::error!(
            output = self.delivery.output,
            batch = letter.name(),
            records = letter.records,
            "the plugin refused a batch, it is among the dead letters now: {reason}"
        );
        Ok(())
    }

    fn flush_or_wait(&mut self) -> Result<(), End> {
        let before = self.window.len();
        let troubled = self.flush(self.delivery.limits.flush_within)?;
        let Some((failures, after)) = troubled else {
            if self.window.len() == before && !self.window.is_empty() {
                let failures = self
                    .delivery
                    .shared
                    .failed("flush says OK, but nothing became durable");
                return if self.delivery.pause(failures) {
                    Ok(())
                } else {
                    Err(End::Stop)
                };
            }
            self.delivery.shared.set_state(OutputState::Running);
            return Ok(());
        };
        if self.pause(failures, after) {
            Ok(())
        } else {
            Err(End::Stop)
        }
    }

    /// Flushes and settles what is durable. `Some` when it shall be tried again: failures in a row,
    /// and how long the plugin wants to wait.
    fn flush(&mut self, within: Duration) -> Result<Option<(u32, Option<Duration>)>, End> {
        let shared = Arc::clone(&self.delivery.shared);
        let (answer, durable) = shared.call("flush", || self.sink.flush(within));
        // More than was accepted cannot be durable, and what was durable stays so.
        self.durable = self.durable.max(durable.min(self.accepted));
        self.settle();
        let (reason, after) = match self.normalize(answer) {
            Answer::Ok => return Ok(None),
            Answer::Retry { reason, after } => (reason, after),
            Answer::Unknown { code, reason } => (format!("status {code}: {reason}"), None),
            Answer::Fatal { reason } => return Err(End::Fatal(reason)),
            Answer::Reject { reason } => {
                self.refuse_accepted(&reason)?;
                return Ok(None);
            }
        };
        shared.retried();
        shared.set_state(OutputState::Retrying);
        let failures = shared.failed(&format!("flush: {reason}"));
        Ok(Some((failures, after)))
    }

    /// A flush refused the first batch that is not durable; it is read again to be put aside.
    fn refuse_accepted(&mut self, reason: &str) -> Result<(), End> {
        let Some(entry) = self.window.first_open(self.durable) else {
            return Err(End::Fatal(format!(
                "flush refuses a batch, but all are durable: {reason}"
            )));
        };
        let (stream, origin) = (entry.stream, entry.origin.clone());
        entry.refused = true;
        let (batch, attempts_before) = match &origin {
            Origin::Journal(place) => {
                let before = BatchSeq(place.0.saturating_sub(1));
                let batch = self.delivery.backlog.next(stream, before);
                match batch {
                    Ok(Some(batch)) if batch.seq == *place => (batch, 0),
                    Ok(_) => return Err(End::Fatal(format!("batch {place} is gone: {reason}"))),
                    // Read everything again after a while; the plugin will refuse it again.
                    Err(error) => return Err(End::Fatal(error.to_string())),
                }
            }
            Origin::Letter(letter) => match self.delivery.letters.open_replay(letter) {
                Ok(batch) => (batch, letter.attempts),
                Err(error) => return Err(End::Fatal(error.to_string())),
            },
        };
        let job = Job {
            batch,
            origin,
            attempts_before,
        };
        self.refuse(&job, attempts_before.saturating_add(1), reason)?;
        self.settle();
        Ok(())
    }

    /// Takes what is durable or put aside out of the window, and moves the cursors.
    fn settle(&mut self) {
        let shared = &self.delivery.shared;
        let mut cursors: Vec<(callmeter_records::Stream, BatchSeq)> = Vec::new();
        let mut progress = false;
        while let Some(entry) = self.window.pop_settled(self.durable) {
            progress = true;
            shared.update_stream(entry.stream, |status| {
                if entry.refused {
                    status.dropped += entry.records;
                } else {
                    status.delivered += entry.records;
                }
            });
            match entry.origin {
                Origin::Journal(place) => {
                    cursors.retain(|(stream, _)| *stream != entry.stream);
                    cursors.push((entry.stream, place));
                }
                // A letter that was refused again is back among the dead already.
                Origin::Letter(letter) if !entry.refused => {
                    if let Err(error) = self.delivery.letters.delivered(&letter) {
                        shared.failed(&error.to_string());
                    }
                }
                Origin::Letter(_) => {}
            }
        }
        if progress {
            shared.progressed();
        }
        for (stream, place) in cursors {
            self.feed.acknowledged(stream, place);
            let moved = self
                .delivery
                .backlog
                .acknowledge(&self.delivery.output, stream, place);
            if let Err(error) = moved {
                // The next one moves it as well; until then a restart sends these batches again.
                shared.failed(&error.to_string());
            }
        }
        if progress {
            self.delivery.update_lag();
        }
    }

    /// The last flush, within what is left of the time to stop.
    fn finish(&mut self) -> End {
        while !self.window.is_empty() {
            let by = self.delivery.shared.stop_by().unwrap_or_else(Instant::now);
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(
                    output = self.delivery.output,
                    batches = self.window.len(),
                    "stopped before everything was durable; the rest is sent again at the next start"
                );
                break;
            }
            match self.flush(left) {
                Ok(None) if self.window.is_empty() => break,
                Ok(_) => std::thread::sleep(self.delivery.limits.retry_least.min(left / 4)),
                Err(End::Fatal(reason)) => {
                    self.delivery
                        .shared
                        .failed(&format!("the last flush failed: {reason}"));
                    break;
                }
                Err(End::Stop) => break,
            }
        }
        End::Stop
    }
}
