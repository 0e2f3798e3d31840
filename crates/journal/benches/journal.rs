//! The cost of the journal: appending a page, and a start with a million known ids.
//!
//! `cargo bench -p callmeter-journal`. The memory of known ids and the CPU of an append are
//! printed, not timed: see `main`.
#![expect(
    clippy::expect_used,
    reason = "a benchmark stops where it cannot go on"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use callmeter_journal::{Journal, Options, PollOptions, PostgresJournal, Purpose};
use callmeter_records::{Call, Interaction, Reading};
use tempfile::TempDir;

const PAGE: usize = 1_000;
const MILLION: usize = 1_000_000;
const SECOND: i64 = 1_000_000;
/// 2026-08-06T12:00:00Z.
const NOON: i64 = 1_786_017_600 * SECOND;
const RANGE: std::ops::Range<i64> = NOON - 3 * 86_400 * SECOND..NOON;

fn main() {
    if let Ok(url) = std::env::var("CALLMETER_BENCH_POSTGRES") {
        server_figures(&url);
    }
    figures();
    divan::main();
}

/// Texts of calls of a usual size: about 600 bytes each.
struct Texts {
    ids: Vec<String>,
    numbers: Vec<String>,
    notes: Vec<String>,
}

impl Texts {
    fn new(from: usize, count: usize) -> Self {
        let range = from..from + count;
        let mixed = |number: usize| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            ids: range.clone().map(|n| format!("{:024x}", mixed(n))).collect(),
            numbers: range.clone().map(|n| format!("+1212{:07}", mixed(n) % 10_000_000)).collect(),
            notes: range
                .map(|n| {
                    let (a, b) = (mixed(n) % 977, mixed(n) % 89);
                    format!(
                        "Caller asked for order {a} and wants to be called back about invoice {b}; spoke with {b} of \
                         the team, who will look into item {a} and write before the end of the week."
                    )
                })
                .collect(),
        }
    }

    fn add_to(&self, page: &mut callmeter_journal::PageIngest<'_>) {
        let interactions = [
            Interaction {
                start_time: Reading::Known(NOON),
                interaction_type: Some("Answer"),
                description: Some("answered"),
            },
            Interaction {
                start_time: Reading::Known(NOON),
                interaction_type: Some("Hangup"),
                description: None,
            },
        ];
        for (index, ((id, number), notes)) in self
            .ids
            .iter()
            .zip(&self.numbers)
            .zip(&self.notes)
            .enumerate()
        {
            let millis = i64::try_from(index).unwrap_or(0) * 250;
            let start = RANGE.start + (millis * 37_000) % (2 * 86_400 * SECOND);
            let clients = ["c-1001", "c-1002", "c-1003", "c-1004", "c-1005"];
            page.add(&Call {
                id: Some(id),
                client_id: Some(clients[index % 5]),
                client_name: Some("Meier & Söhne Treuhand AG"),
                center_id: Some("center-7"),
                start_time: Reading::Known(start),
                caller_name: Some("Anna Beispiel"),
                caller_number: Some(number),
                notes: Some(notes),
                duration_ms: Reading::Known(millis),
                ring_ms: Reading::Known(millis / 9),
                hold_ms: Reading::Known(0),
                talk_ms: Reading::Known(millis / 2),
                transfer_ms: Reading::Known(0),
                work_ms: Reading::Known(millis / 5),
                hold_count: Reading::Known(0),
                interactions: Some(&interactions),
                answered_by: Some("operator.12"),
                server: Some("srv-eu-3"),
                screen_pop: Some("https://crm.example.com/contact/4711"),
                flagged: Reading::Known(false),
                call_type: Some("Incoming"),
                ..Call::default()
            })
            .expect("the journal reads");
        }
    }
}

fn open(path: &Path) -> Journal {
    Journal::open(path, &Options::default()).expect("the journal opens")
}

fn options() -> PollOptions {
    PollOptions {
        purpose: Purpose::Regular,
        range: RANGE,
        settle: Duration::ZERO,
    }
}

fn append(journal: &Journal, texts: &Texts) {
    let mut poll = journal
        .ingest_session("acme", options())
        .expect("the ids load");
    let mut page = poll.page(RANGE, NOON).expect("the ids load");
    texts.add_to(&mut page);
    page.commit(None).expect("the page commits");
}

/// CPU time of this thread in nanoseconds. Everything that is measured runs on this thread.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_ascii_whitespace()
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn figures() {
    let dir = TempDir::new().expect("a directory");
    let journal = open(&dir.path().join("journal.db"));
    let mut spent = 0;
    for page in 0..MILLION / PAGE {
        let texts = Texts::new(page * PAGE, PAGE);
        let before = cpu();
        append(&journal, &texts);
        spent += cpu() - before;
    }
    let per_record = spent / MILLION as u64;
    println!("append with fsync, a million calls in pages of 1,000: {per_record} ns of CPU a call");
    let stats = journal.stats().expect("the journal reads");
    println!("{} bytes of journal a call", stats.bytes / MILLION as u64);
    let mut known = 0;
    for page in 0..100 {
        let texts = Texts::new(page * PAGE, PAGE);
        let begun = cpu();
        append(&journal, &texts);
        known += cpu() - begun;
    }
    println!(
        "a call that is known: {} ns of CPU",
        known / (100 * PAGE as u64)
    );
    let (ids, bytes) = journal.known_ids("acme").expect("the journal reads");
    println!("known ids: {ids}, {} bytes each", bytes / ids);
    drop(journal);
    let begun = Instant::now();
    let before = cpu();
    let journal = open(&dir.path().join("journal.db"));
    let poll = journal
        .ingest_session("acme", options())
        .expect("the ids load");
    println!(
        "start with {} known ids: {:?}, {} ms of CPU",
        journal.known_ids("acme").expect("the journal reads").0,
        begun.elapsed(),
        (cpu() - before) / 1_000_000
    );
    drop(poll);
    let later = Duration::from_hours(40 * 24);
    let later = i64::try_from(later.as_micros()).unwrap_or(0);
    let options = PollOptions {
        range: RANGE.start + later..RANGE.end + later,
        ..options()
    };
    let poll = journal
        .ingest_session("acme", options)
        .expect("the ids load");
    let (ids, bytes) = journal.old_ids("acme").expect("the journal reads");
    println!(
        "ids older than the look-back: {ids}, {} bytes for 100",
        bytes * 100 / ids
    );
    drop(poll);
}

/// What a server costs: `CALLMETER_BENCH_POSTGRES` has its URL. It leaves the schema
/// `callmeter_bench`, which must not be there before.
fn server_figures(url: &str) {
    let journal = Journal::connect(&PostgresJournal {
        schema: "callmeter_bench".to_owned(),
        ..PostgresJournal::new(url)
    })
    .expect("the server answers");
    let mut times = Vec::new();
    for page in 0..300 {
        let texts = Texts::new(page * PAGE, PAGE);
        let begun = Instant::now();
        append(&journal, &texts);
        times.push(begun.elapsed());
    }
    let all: Duration = times.iter().sum();
    times.sort_unstable();
    let calls = f64::from(u32::try_from(times.len() * PAGE).unwrap_or(u32::MAX));
    println!(
        "server: {:.0} calls/s in pages of 1,000; a page takes {:?}, 99 of 100 at most {:?}",
        calls / all.as_secs_f64(),
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
    let stats = journal.stats().expect("the journal reads");
    println!("server: {} bytes of journal a call", stats.bytes / 300_000);
}

/// Appends a page of 1,000 new calls durably.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn append_a_page(bencher: divan::Bencher<'_, '_>) {
    let dir = TempDir::new().expect("a directory");
    let journal = open(&dir.path().join("journal.db"));
    let mut from = 0;
    bencher
        .counter(divan::counter::ItemsCount::new(PAGE))
        .with_inputs(|| {
            from += PAGE;
            Texts::new(from, PAGE)
        })
        .bench_local_values(|texts| append(&journal, &texts));
}
