//! Tests of the commands that read or write a journal.

use std::collections::BTreeSet;

use callmeter::cli::{Cli, Command};
use callmeter::commands;
use callmeter::exit::Failure;
use callmeter_simulator::Options;
use clap::Parser as _;

use crate::support::{Program, World, published};

/// Runs a command line as the program would, on a thread of its own: commands bring their own
/// runtime.
fn run(line: &[&str]) -> Result<(), Failure> {
    let cli = Cli::try_parse_from(std::iter::once(&"callmeter").chain(line)).unwrap();
    std::thread::spawn(move || match cli.command.unwrap() {
        Command::Backfill(args) => commands::backfill::run(&args),
        Command::Export(args) => commands::export::run(&args),
        Command::Journal(command) => commands::journal::run(command),
        other => panic!("not run here: {other:?}"),
    })
    .join()
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_completes_the_journal_and_exports_hold_all_of_it() {
    let world = World::new(Options {
        calls: Some(600),
        days: 6,
        rates: 10,
        ..Options::default()
    })
    .await;
    let suite = world.suite("acme").replace("lookback: 4d", "lookback: 1d");
    let config = world.configure(&[suite]);
    let config = format!("--config.file={}", config.display());
    let truth = world.ledger();

    // The first run reads the lookback only.
    let program = world.start().await;
    program
        .until("polled", async |program| {
            program
                .metrics()
                .await
                .sum("callmeter_polls_total", &["acme", "task=\"calls\""])
                > 1.0
        })
        .await;
    let recent = program.metrics().await.sums("acme").calls;
    assert!(
        recent > 0 && recent < 600,
        "{recent} of 600 calls are recent"
    );

    // The running program holds the journal.
    let today = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    let from = format!("--from={}", today - jiff::Span::new().days(7));
    let to = format!("--to={today}");
    let backfill = [
        "backfill",
        &config,
        "--account=acme",
        &from,
        &to,
        "--pause=0s",
    ];
    let held = run(&backfill).unwrap_err();
    assert!(matches!(held, Failure::Journal(_)), "{held}");
    program.end().await;

    let asked_before = requests(&world);
    until_free(&backfill);
    let asked = requests(&world) - asked_before;
    assert!(asked >= 8, "{asked} requests for 8 days");
    // What was read is not asked for again.
    run(&backfill).unwrap();
    assert_eq!(requests(&world) - asked_before, asked);

    let program = world.start().await;
    assert_eq!(program.metrics().await.sums("acme"), published(truth.total));
    program.end().await;

    run(&["journal", "verify", &config]).unwrap();
    run(&["journal", "stats", &config]).unwrap();
    exports_hold_everything(&world, &config, &from, &truth);
}

/// The first poll reaches as far back as it is told to; later ones ask for the lookback alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_read_once() {
    let world = World::new(Options {
        calls: Some(600),
        days: 20,
        ..Options::default()
    })
    .await;
    let suite = world
        .suite("acme")
        .replace("lookback: 4d", "lookback: 1d, history: 21d");
    world.configure(&[suite]);
    let program = world.start().await;
    let polls = async |program: &Program| {
        let labels = ["acme", "task=\"calls\""];
        program
            .metrics()
            .await
            .sum("callmeter_polls_total", &labels)
    };
    let truth = published(world.ledger().total);
    program
        .until("counted", async |program| {
            program.metrics().await.sums("acme") == truth
        })
        .await;
    let (asked, polled) = (requests(&world), polls(&program).await);
    assert!(asked >= 20, "{asked} requests for 20 days");
    program
        .until("polled again", async |program| {
            polls(program).await >= polled + 2.0
        })
        .await;
    // Two days or three, as the clock has it; two polls, and perhaps the third.
    let again = requests(&world) - asked;
    assert!(again <= 3 * 4, "{again} requests for a day's lookback");
    program.end().await;
}

fn exports_hold_everything(
    world: &World,
    config: &str,
    from: &str,
    truth: &callmeter_simulator::Ledger,
) {
    let to = "--to=2999-01-01";
    let export = |format: &str| {
        let file = world.path(format);
        let out = format!("--output={}", file.display());
        let format = format!("--format={format}");
        run(&["export", config, from, to, &format, &out, "--step=1h"]).unwrap();
        std::fs::read_to_string(file).unwrap()
    };
    let ids: BTreeSet<&str> = truth.ids.iter().map(String::as_str).collect();

    let text = export("csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let id = reader
        .headers()
        .unwrap()
        .iter()
        .position(|name| name == "id")
        .unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let exported: BTreeSet<&str> = rows.iter().map(|row| row.get(id).unwrap()).collect();
    assert_eq!(rows.len(), 600);
    assert_eq!(exported, ids);

    let text = export("ndjson");
    let exported: BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|record| record["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        exported.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        ids
    );
    assert!(text.starts_with(r#"{"account":"acme","sequence":1,"revision":0,"change":"new","#));

    // The last sample of each series is its total; together they are the ledger's calls.
    let text = export("openmetrics");
    let mut last = std::collections::BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| line.starts_with("callmeter_calls_total{"))
    {
        let (series, sample) = line.split_once("} ").unwrap();
        let value: u64 = sample.split(' ').next().unwrap().parse().unwrap();
        let before = last.insert(series.to_owned(), value).unwrap_or(0);
        assert!(before <= value, "a counter falls: {line}");
    }
    assert_eq!(last.values().sum::<u64>(), 600);
    assert!(text.ends_with("# EOF\n"));
}

/// Requests for pages of calls so far.
fn requests(world: &World) -> u64 {
    world.simulator.requests().to("calls")
}

/// Runs a command, and again while threads of the previous program still lock the journal.
fn until_free(line: &[&str]) {
    for _ in 0..100 {
        match run(line) {
            Err(Failure::Journal(_)) => std::thread::sleep(std::time::Duration::from_millis(50)),
            result => return result.unwrap(),
        }
    }
    panic!("the journal is still held");
}
