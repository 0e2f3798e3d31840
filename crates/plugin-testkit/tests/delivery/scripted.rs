//! A plugin that answers as a script says, and records what it saw.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use callmeter_plugin_sdk::batch::Value;
use callmeter_plugin_sdk::{
    Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin, RawConfig,
};

/// What the plugin answers next; when nothing is left, it accepts batches and makes them durable.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Accept,
    Retry(u64),
    Reject,
    Fatal,
    Panic,
    Durable(u64),
}

/// What the plugin saw, and what it will answer.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) writes: VecDeque<Answer>,
    pub(crate) flushes: VecDeque<Answer>,
    /// Sequences of records. A batch that holds one of them is refused.
    pub(crate) poisonous: Vec<i64>,
    /// Batch id, attempt, stream and first sequence of each write.
    pub(crate) seen: Vec<(String, u32, &'static str, i64)>,
    /// Records that were durable, by stream.
    pub(crate) durable: HashMap<&'static str, Vec<i64>>,
    /// The largest number of batches that were accepted and not durable.
    pub(crate) most_unflushed: usize,
    /// How often it was asked to flush.
    pub(crate) flushed: u32,
    pub(crate) creations: u32,
    pub(crate) last_config: String,
}

pub(crate) static SCRIPTS: LazyLock<Mutex<HashMap<String, Arc<Mutex<Script>>>>> =
    LazyLock::new(Mutex::default);

pub(crate) struct Scripted {
    script: Arc<Mutex<Script>>,
    accepted: VecDeque<(u64, &'static str, Vec<i64>)>,
}

impl Scripted {
    fn make_durable(&mut self, upto: u64) {
        let mut script = self.script.lock().unwrap();
        while self
            .accepted
            .front()
            .is_some_and(|(seq, _, _)| *seq <= upto)
        {
            let (_, stream, sequences) = self.accepted.pop_front().unwrap();
            script.durable.entry(stream).or_default().extend(sequences);
        }
    }
}

impl OutputPlugin for Scripted {
    const NAME: &'static str = "scripted";
    type Config = RawConfig;

    fn create(_: Host, config: RawConfig) -> Result<Self, Fatal> {
        let name = String::from_utf8(config.0)?;
        let script = SCRIPTS.lock().unwrap().get(&name).cloned();
        let script = script.ok_or_else(|| Fatal::new("there is no such script"))?;
        script.lock().unwrap().creations += 1;
        script.lock().unwrap().last_config = name;
        Ok(Self {
            script,
            accepted: VecDeque::new(),
        })
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        let sequences: Vec<i64> = batch
            .rows()
            .filter_map(|row| {
                if let Value::Int(n) = row.get("sequence") {
                    Some(n)
                } else {
                    None
                }
            })
            .collect();
        let mut script = self.script.lock().unwrap();
        let stream = batch.stream().name();
        let first = sequences.first().copied().unwrap_or(0);
        script
            .seen
            .push((batch.id_hex(), batch.attempt(), stream, first));
        if sequences
            .iter()
            .any(|sequence| script.poisonous.contains(sequence))
        {
            return Err(Fail::reject("poisonous"));
        }
        match script.writes.pop_front().unwrap_or(Answer::Accept) {
            Answer::Retry(ms) => return Err(Fail::retry("busy").after(Duration::from_millis(ms))),
            Answer::Reject => return Err(Fail::reject("malformed")),
            Answer::Fatal => return Err(Fail::fatal("broken")),
            Answer::Panic => {
                drop(script);
                panic!("scripted")
            }
            Answer::Accept | Answer::Durable(_) => {}
        }
        self.accepted.push_back((batch.seq(), stream, sequences));
        script.most_unflushed = script.most_unflushed.max(self.accepted.len());
        Ok(())
    }

    fn flush(&mut self, _: Deadline) -> Result<Durable, Fail> {
        let answer = self
            .script
            .lock()
            .unwrap()
            .flushes
            .pop_front()
            .unwrap_or(Answer::Accept);
        self.script.lock().unwrap().flushed += 1;
        let first = self.accepted.front().map_or(0, |(seq, _, _)| *seq);
        match answer {
            Answer::Accept => {
                self.make_durable(u64::MAX);
                Ok(Durable::All)
            }
            Answer::Durable(batches) if batches > 0 && !self.accepted.is_empty() => {
                let upto = first + batches - 1;
                self.make_durable(upto);
                Err(Fail::retry("some").durable(upto))
            }
            Answer::Durable(_) | Answer::Retry(_) => Err(Fail::retry("not yet")),
            Answer::Reject if self.accepted.is_empty() => Ok(Durable::All),
            Answer::Reject => {
                // The first batch is refused after all, so it is forgotten.
                let (seq, _, _) = self.accepted.pop_front().unwrap();
                Err(Fail::reject("on second thoughts").durable(seq - 1))
            }
            Answer::Fatal => Err(Fail::fatal("broken")),
            Answer::Panic => panic!("scripted"),
        }
    }
}

callmeter_plugin_sdk::export!(Scripted);
