//! Kills a process that appends, at any moment: each committed call is stored, and none is stored
//! twice.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use callmeter_journal::{AccountState, Journal, Options, PostgresJournal};
use callmeter_records::{Call, CallsView};
use rand_like::Random;

use crate::support::{HOUR, NOON, Place, all_batches, call, on_both_engines};

const KILLS: u64 = 300;
/// New calls of a page. Each page also repeats the new calls of the previous one, as polls overlap.
const PAGE: u64 = 20;

/// A small random generator: the times of the kills only have to differ.
mod rand_like {
    pub(super) struct Random(pub(super) u64);

    impl Random {
        pub(super) fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }
    }
}

/// The child: appends pages until it is killed, and prints after each commit how many calls there
/// must be.
#[test]
#[ignore = "is started by the test below"]
fn child() {
    let Some(place) = std::env::var_os("JOURNAL_TO_FILL") else {
        return;
    };
    let journal = match std::env::var("JOURNAL_SCHEMA") {
        Ok(schema) => Journal::connect(&PostgresJournal {
            schema,
            ..PostgresJournal::new(place.to_str().unwrap())
        }),
        Err(_) => Journal::open(place, &Options::default()),
    }
    .unwrap();
    loop {
        let state = journal.account_state("acme").unwrap();
        let done = u64::try_from(state.watermark.unwrap_or(0)).unwrap();
        let ids: Vec<String> = (done.saturating_sub(PAGE)..done + PAGE)
            .map(|id| format!("call-{id}"))
            .collect();
        let mut poll = crate::support::poll(&journal, NOON);
        let mut page = poll.page(NOON - 2 * HOUR..NOON, NOON).unwrap();
        for id in &ids {
            page.add(&Call {
                notes: Some(id),
                ..call(id)
            })
            .unwrap();
        }
        let all = done + PAGE;
        let watermark = Some(i64::try_from(all).unwrap());
        let committed = page
            .commit(Some(AccountState {
                watermark,
                page_base: None,
            }))
            .unwrap();
        assert_eq!(committed.counts.new, PAGE);
        // One line for each commit, so that the parent knows what has been committed.
        println!("committed {all}");
        if all.is_multiple_of(PAGE * 64) {
            journal.checkpoint().unwrap();
        }
    }
}

/// The calls that a line of the child promises. The last line may be cut short; then it promises
/// nothing that is not there.
fn commits(line: &str) -> Option<u64> {
    line.strip_prefix("committed ")?.parse().ok()
}

on_both_engines! { three_hundred_kills }

fn three_hundred_kills() {
    let place = Place::new();
    // To connect to a server takes longer than to open a file.
    let (environment, shortest) = match &place {
        Place::Files(_) => (vec![("JOURNAL_TO_FILL", place.path().into())], 2_000),
        Place::Schema(journal) => {
            // The first child must not be killed before there are tables.
            place.open();
            let schema = OsString::from(&journal.schema);
            let url = OsString::from(&journal.url);
            (
                vec![("JOURNAL_TO_FILL", url), ("JOURNAL_SCHEMA", schema)],
                8_000,
            )
        }
    };
    let seed = std::env::var("JOURNAL_KILL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| {
            u64::from(
                std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap()
                    .subsec_nanos(),
            ) + 1
        });
    println!("replay with JOURNAL_KILL_SEED={seed}");
    let mut random = Random(seed);
    let mut promised = 0;
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--ignored", "--nocapture"])
            .envs(environment.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        if random.below(2) == 0 {
            // From the middle of the opening to some hundred commits later.
            std::thread::sleep(Duration::from_micros(shortest + random.below(60_000)));
        } else {
            // During one of the first commits, however slow the machine is.
            let first = usize::try_from(1 + random.below(3)).unwrap();
            let last = lines.by_ref().filter_map(|line| commits(&line)).take(first);
            promised = last.fold(promised, u64::max);
            std::thread::sleep(Duration::from_micros(random.below(5_000)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        promised = lines
            .filter_map(|line| commits(&line))
            .fold(promised, u64::max);
    }
    let journal = place.open();
    let mut sequence = 0;
    let mut ids = std::collections::HashSet::new();
    for batch in all_batches(&journal) {
        for row in CallsView::new(&batch.records).unwrap().rows() {
            sequence += 1;
            assert_eq!(row.sequence(), sequence);
            assert!(
                ids.insert(row.id().unwrap().to_owned()),
                "{} is there twice",
                row.id().unwrap()
            );
        }
    }
    let stored = u64::try_from(sequence).unwrap();
    assert!(
        promised >= KILLS,
        "the children were killed too early to matter: {promised} calls"
    );
    assert!(
        stored >= promised,
        "{promised} calls were promised, {stored} are there"
    );
    // There may be more calls: those that each child had committed but not yet printed.
    let watermark = journal.account_state("acme").unwrap().watermark;
    assert_eq!(
        watermark,
        Some(sequence),
        "calls and watermark are one commit"
    );
    let verified = place.reader().verify(|_| ()).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
}
