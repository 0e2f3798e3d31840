//! Random histories compared with a plain model: for any events in any order, with restarts and
//! with crashes at any point of a commit or a checkpoint, the journal contains what the model
//! contains, and the meter's totals match.

mod expected;
mod history;

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use callmeter_journal::{
    AccountState, BatchSeq, Classification, IngestSession, Journal, JournalError, PageCounts,
    PollOptions, PostgresJournal, Purpose, RetentionPolicy, Start,
};
use callmeter_meter::{FamilyId, Ledger, Limits, Values};
use callmeter_records::{CallsView, Change, Stream};
use proptest::prelude::*;

use expected::{Model, ModelPage};
use history::{Contents, Crash, Key, Poll, Step, Upstream, number_of, steps};

use crate::files::Files;
use crate::proxy::{Proxy, Way};
use crate::support::{DAY, Engine, HOUR, MINUTE, NOON, Place, all_batches, on};

const ACCOUNTS: [&str; 2] = ["acme", "other"];
const OUTPUTS: [&str; 2] = ["csv", "crm"];
const LOOKBACK: i64 = 6 * HOUR;
const SETTLE: i64 = 2 * MINUTE;

/// The journal under test, and its model.
struct World {
    place: Place,
    /// The journal on a server, through a proxy that can cut its connections.
    proxied: Option<PostgresJournal>,
    journal: Option<Journal>,
    model: Model,
    calls: [Vec<Upstream>; 2],
    now: i64,
    ledger: Ledger,
    /// The last batch that each output has acknowledged.
    acknowledged: [u64; 2],
    /// Whether nothing was dropped yet, so that a replay from the start gives everything.
    whole: bool,
    /// Whether edits may move a start by days. In that case nothing is dropped: the id of a dropped
    /// call is not known on another day.
    moves: bool,
}

/// Connects. What is left of a cut that an earlier step asked for may hit the first connection.
fn connect(journal: &PostgresJournal) -> Journal {
    match Journal::connect(journal) {
        Err(JournalError::Unreachable { .. }) => Journal::connect(journal).unwrap(),
        connected => connected.unwrap(),
    }
}

impl World {
    fn new(moves: bool) -> Self {
        // Creating the tables takes longer than most histories, so it is done once.
        static EMPTY: LazyLock<Files> = LazyLock::new(|| {
            let place = Place::new();
            let journal = place.open();
            for output in OUTPUTS {
                journal
                    .register_output(output, Stream::Calls, Start::Oldest)
                    .unwrap();
            }
            drop(journal);
            Files::read(&place.path())
        });
        let (place, proxied) = match Place::new() {
            Place::Files(_) => (EMPTY.put(), None),
            place @ Place::Schema(_) => {
                let journal = place.open();
                for output in OUTPUTS {
                    journal
                        .register_output(output, Stream::Calls, Start::Oldest)
                        .unwrap();
                }
                let proxied = place.behind(proxy());
                (place, Some(proxied))
            }
        };
        Self {
            place,
            proxied,
            journal: None,
            model: Model::default(),
            calls: Default::default(),
            now: NOON,
            ledger: Ledger::new(Limits::default()),
            acknowledged: [0; 2],
            whole: true,
            moves,
        }
    }

    fn journal(&mut self) -> Journal {
        let place = &self.place;
        self.journal
            .get_or_insert_with(|| match &self.proxied {
                Some(journal) => connect(journal),
                None => place.open(),
            })
            .clone()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write {
                account,
                slot,
                call,
            } => self.write(account, slot, call),
            Step::Pass { minutes } => self.now += minutes * MINUTE,
            Step::Poll(poll) => self.poll(&poll),
            Step::Acknowledge { output, but } => {
                let journal = self.journal();
                let batch = BatchSeq(journal.head().0.saturating_sub(but));
                journal
                    .acknowledge(OUTPUTS[output], Stream::Calls, batch)
                    .unwrap();
                self.acknowledged[output] = self.acknowledged[output].max(batch.0);
            }
            Step::Restart => self.restart(),
            Step::Checkpoint { killed_after } => self.checkpoint(killed_after),
            Step::Snapshot => {
                let journal = self.journal();
                journal
                    .store_snapshot(journal.head(), &self.ledger.encode())
                    .unwrap();
            }
            Step::Retain { .. } if self.moves => {}
            Step::Retain { hours } => {
                let policy = RetentionPolicy {
                    keep: Some(Duration::from_secs(hours * 3600)),
                    accounts: ACCOUNTS.map(str::to_owned).to_vec(),
                    ..RetentionPolicy::default()
                };
                let report = self.journal().retain(&policy, self.now).unwrap();
                assert_eq!(report.lost, []);
                self.whole &= report.batches == 0;
            }
        }
    }

    fn write(&mut self, account: usize, slot: usize, contents: Contents) {
        let number = self.calls[account].len();
        let start = self.now - contents.ago * MINUTE;
        match self.calls[account].get_mut(slot) {
            // An edit may move the start of a call; a call keeps its id or has none.
            Some(call) if call.contents.named => {
                let most = if self.moves { i64::MAX } else { HOUR };
                let moved = (start - call.start).clamp(-most, most);
                call.start += moved;
                call.contents = Contents {
                    named: true,
                    ..contents
                };
            }
            _ => self.calls[account].push(Upstream {
                number,
                start,
                contents,
            }),
        }
    }

    fn poll(&mut self, poll: &Poll) {
        self.now += MINUTE;
        let journal = self.journal();
        let account = poll.account;
        let (from, now) = (self.now - LOOKBACK, self.now);
        let options = PollOptions {
            purpose: Purpose::Regular,
            range: from..now,
            settle: Duration::from_micros(SETTLE.unsigned_abs()),
        };
        let listed: Vec<Upstream> = self.calls[account]
            .iter()
            .filter(|call| {
                (from..now).contains(&call.start) || poll.leaky && call.contents.readable_start
            })
            .cloned()
            .collect();
        let mut ingest_session = journal.ingest_session(ACCOUNTS[account], options).unwrap();
        let mut seen = HashSet::new();
        let starts = (0..listed.len()).step_by(poll.page);
        let pages = starts.len();
        for (number, start) in starts.enumerate() {
            let start = if poll.overlap {
                start.saturating_sub(1)
            } else {
                start
            };
            let rows = &listed[start..(start + poll.page + 1).min(listed.len())];
            if poll.lost == Some(number) {
                self.page(&mut ingest_session, account, rows, &seen);
            }
            let page = self.page(&mut ingest_session, account, rows, &seen);
            // The state is committed with the last page.
            let state = (number + 1 == pages).then_some(AccountState {
                watermark: Some(now),
                page_base: Some(1),
            });
            if let Some((_, crash)) = poll.crash.filter(|(crash, _)| *crash == number) {
                drop(page);
                self.crash(&mut ingest_session, account, rows, &seen, state, crash);
                return;
            }
            let (page, model) = page;
            let counts = page.counts();
            let committed = page.commit(state).unwrap();
            assert_eq!(committed.counts, counts);
            assert_eq!(counts, count(&model.classifications));
            seen.extend(model.fresh.iter().cloned());
            self.model.commit(account, model, state);
            for batch in committed.batches {
                assert!(
                    self.ledger
                        .apply(batch.meta.seq.0, batch.meta.stream, &batch.records)
                        .unwrap()
                );
            }
        }
    }

    fn page<'p>(
        &self,
        poll: &'p mut IngestSession,
        account: usize,
        rows: &[Upstream],
        seen: &HashSet<Key>,
    ) -> (callmeter_journal::PageIngest<'p>, ModelPage) {
        let window = (self.now - LOOKBACK, self.now);
        let mut page = poll.page(window.0..window.1, self.now).unwrap();
        let mut model = ModelPage::default();
        for row in rows {
            self.model.judge(account, row, window, seen, &mut model);
            let classification = row.with_call(|call| page.add(call).unwrap());
            assert_eq!(
                Some(&classification),
                model.classifications.last(),
                "{row:?}"
            );
        }
        (page, model)
    }

    /// Commits the page, then continues from what a crash in the middle would have left.
    fn crash(
        &mut self,
        poll: &mut IngestSession,
        account: usize,
        rows: &[Upstream],
        seen: &HashSet<Key>,
        state: Option<AccountState>,
        crash: Crash,
    ) {
        if self.proxied.is_some() {
            self.cut(poll, account, rows, seen, state, crash);
            return;
        }
        let path = self.place.path();
        let (page, model) = self.page(poll, account, rows, seen);
        let before = Files::read(&path);
        page.commit(state).unwrap();
        let after = Files::read(&path);
        assert!(
            before.database == after.database,
            "a commit writes to the log alone"
        );
        let written = before.written(&after);
        if written.is_empty() {
            // There was nothing to commit.
            self.model.commit(account, model, state);
            return;
        }
        let (files, survives) = match crash {
            Crash::Torn(part) => {
                let cut = written.len() * usize::from(part) / usize::from(u16::MAX);
                (before.torn_commit(&after, cut), cut == written.len())
            }
            Crash::Sector(sector) => match before.lost_sector(&after, sector) {
                Some(files) => (files, false),
                None => (after, true),
            },
        };
        self.journal = None;
        self.place = files.put();
        if survives {
            self.model.commit(account, model, state);
        }
        self.start();
    }

    /// Commits the page while the connections to the server are cut, then starts again. The commit
    /// says whether the page's calls are stored, whatever the moment.
    fn cut(
        &mut self,
        poll: &mut IngestSession,
        account: usize,
        rows: &[Upstream],
        seen: &HashSet<Key>,
        state: Option<AccountState>,
        crash: Crash,
    ) {
        let (page, model) = self.page(poll, account, rows, seen);
        // An append sends about two kilobytes, and gets half of one.
        match crash {
            Crash::Torn(part) => proxy().cut_after(Way::Up, u64::from(part) / 32),
            Crash::Sector(sector) => {
                proxy().cut_after(Way::Down, u64::try_from(sector % 64).unwrap() * 8);
            }
        }
        let committed = page.commit(state);
        proxy().cut();
        let counts = count(&model.classifications);
        let has_batch = counts.new + counts.revised > 0;
        match committed {
            Ok(_) => self.model.commit(account, model, state),
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                // Nobody asks whether a state without a batch is stored: it may be repeated.
                self.journal = None;
                let stored = self.journal().account_state(ACCOUNTS[account]).unwrap();
                if !has_batch && Some(stored) == state {
                    self.model.commit(account, model, state);
                }
            }
        }
        self.restart();
    }

    fn checkpoint(&mut self, killed_after: Option<usize>) {
        let journal = self.journal();
        if self.proxied.is_some() {
            // The server does this by itself.
            journal.checkpoint().unwrap();
            return;
        }
        let path = self.place.path();
        let before = Files::read(&path);
        journal.checkpoint().unwrap();
        let Some(pages) = killed_after else { return };
        let after = Files::read(&path);
        assert!(
            before.log == after.log,
            "a checkpoint writes to the database file alone"
        );
        drop(journal);
        self.journal = None;
        self.place = before.torn_checkpoint(&after, pages).put();
        self.start();
    }

    fn restart(&mut self) {
        self.journal = None;
        self.start();
    }

    /// What the exporter does at a start: the totals from the last snapshot and all batches after
    /// it.
    fn start(&mut self) {
        let journal = self.journal();
        let (mut after, mut ledger) = match journal.latest_snapshot().unwrap() {
            Some((seq, bytes)) => (seq, Ledger::decode(&bytes, Limits::default()).unwrap()),
            None => (BatchSeq::START, Ledger::new(Limits::default())),
        };
        while let Some(batch) = journal.next_of_any(after).unwrap() {
            after = batch.meta.seq;
            ledger
                .apply(batch.meta.seq.0, batch.meta.stream, &batch.records)
                .unwrap();
        }
        self.ledger = ledger;
        // Acknowledgements do not wait for the disk: a crash may lose them, but nothing else.
        for (index, output) in OUTPUTS.into_iter().enumerate() {
            let cursor = journal.cursor(output, Stream::Calls).unwrap().unwrap();
            assert!(cursor.batch.0 <= self.acknowledged[index]);
            self.acknowledged[index] = cursor.batch.0;
        }
        self.check();
    }

    fn check(&mut self) {
        let journal = self.journal();
        let batches = all_batches(&journal);
        // Rows, in order and without a gap.
        let mut rows = Vec::new();
        let mut first_sequence = None;
        for batch in &batches {
            for row in CallsView::new(&batch.records).unwrap().rows() {
                let expected = *first_sequence.get_or_insert(row.sequence())
                    + i64::try_from(rows.len()).unwrap();
                assert_eq!(row.sequence(), expected);
                let talk = |talk: Option<i64>| talk.unwrap_or(-1);
                let id = row
                    .id()
                    .map_or("-".to_owned(), |id| number_of(id).to_string());
                let previous = row.previous().map_or(String::new(), |previous| {
                    format!(" was {}", talk(previous.durations[3]))
                });
                assert_eq!(
                    row.change() == Some(Change::Revised),
                    row.previous().is_some()
                );
                rows.push(format!(
                    "{} {id} r{} talk {}{previous}",
                    row.account(),
                    row.revision(),
                    talk(row.durations()[3])
                ));
            }
        }
        let dropped = self.model.rows.len() - rows.len();
        assert!(dropped == 0 || !self.whole);
        assert_eq!(rows, self.model.rows[dropped..]);
        if let Some(first) = first_sequence {
            assert_eq!(usize::try_from(first).unwrap(), dropped + 1);
        }
        // State, backlog.
        for (account, state) in ACCOUNTS.into_iter().zip(self.model.states) {
            assert_eq!(journal.account_state(account).unwrap(), state);
        }
        for (index, output) in OUTPUTS.into_iter().enumerate() {
            let owed: u64 = batches
                .iter()
                .filter(|batch| batch.meta.seq.0 > self.acknowledged[index])
                .map(|batch| u64::from(batch.meta.rows))
                .sum();
            let backlog = journal.backlog(output, Stream::Calls).unwrap();
            assert_eq!((backlog.records, backlog.lost), (owed, 0));
        }
        self.check_totals(&batches);
    }

    /// Checks that the meter's counts plus corrections match the last contents of the calls.
    fn check_totals(&mut self, batches: &[callmeter_journal::StoredBatch]) {
        if self.whole {
            let mut replayed = Ledger::new(Limits::default());
            for batch in batches {
                replayed
                    .apply(batch.meta.seq.0, batch.meta.stream, &batch.records)
                    .unwrap();
            }
            assert!(
                replayed.encode() == self.ledger.encode(),
                "a replay from nothing gives other totals"
            );
        }
        let mut shown = Ledger::decode(&self.ledger.encode(), Limits::default()).unwrap();
        for account in ACCOUNTS {
            shown.configure(account, callmeter_meter::Api::HostedSuite);
        }
        let snapshot = shown.snapshot();
        let (mut calls, mut talk, mut corrections) = (0, 0, 0);
        for block in snapshot.blocks(FamilyId::Calls) {
            let Values::Integers(values) = block.values else {
                panic!("counters")
            };
            calls += values.iter().sum::<u64>();
        }
        for block in snapshot.blocks(FamilyId::ClientTalk) {
            let Values::Amounts(values, _) = block.values else {
                panic!("exact sums")
            };
            talk += values.iter().sum::<i128>();
        }
        for block in snapshot.blocks(FamilyId::CallCorrectionsSeconds) {
            let Values::Amounts(values, _) = block.values else {
                panic!("exact gauges")
            };
            for (row, value) in values.iter().enumerate() {
                if block.labels.row(row).contains("field=\"talk\"") {
                    corrections += value;
                }
            }
        }
        assert_eq!(calls, self.model.known.len() as u64);
        let truth: i128 = self
            .model
            .known
            .values()
            .filter_map(|known| known.talk.map(i128::from))
            .sum();
        assert_eq!(
            talk + corrections,
            truth,
            "sum {talk}, corrections {corrections}"
        );
    }
}

fn count(classifications: &[Classification]) -> PageCounts {
    let mut counts = PageCounts::default();
    for classification in classifications {
        match classification {
            Classification::New { late, unnamed } => {
                counts.new += 1;
                counts.late += u64::from(*late);
                counts.unnamed += u64::from(*unnamed);
            }
            Classification::Revised => counts.revised += 1,
            Classification::Known => counts.known += 1,
            Classification::Repeated => counts.repeated += 1,
            Classification::Unsettled => counts.unsettled += 1,
            Classification::OutsideWindow => counts.outside_window += 1,
            Classification::Forgotten => counts.forgotten += 1,
        }
    }
    counts
}

fn run(steps: Vec<Step>, moves: bool) {
    let mut world = World::new(moves);
    for step in steps {
        world.step(step);
    }
    world.check();
    world.restart();
    drop(world.journal.take());
    let verified = world.place.reader().verify(|_| ()).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    assert!(world.now < NOON + 400 * DAY);
}

/// Four parts, so that they run in parallel; together they have 10,000 cases.
macro_rules! parts {
    ($($name:ident)*) => { $(
        proptest! {
            #![proptest_config(ProptestConfig { cases: 2_500, max_shrink_iters: 2_000, ..ProptestConfig::default() })]
            #[test]
            fn $name(steps in steps(), moves: bool) {
                run(steps, moves);
            }
        }
    )* };
}

parts! { part_1 part_2 part_3 part_4 }

/// The proxy of this process.
fn proxy() -> &'static Proxy {
    static PROXY: LazyLock<Proxy> = LazyLock::new(|| Proxy::new(crate::server::shared().port));
    &PROXY
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn part_on_a_server(steps in steps(), moves: bool) {
        on(Engine::Server, || run(steps, moves));
    }
}
