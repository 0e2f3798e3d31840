//! Two instances: what an operator asks one of them for, and configurations that change or differ.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use callmeter_simulator::{Faults, Latency, Options};
use callmeter_tests::{Exporter, Midday, Web, callmeter, csv_rows_so_far, output, plugin, quoted};
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::site::Site;

/// Two instances, each with its directory and its configuration.
struct Pair {
    site: Site,
    schema: String,
    today: Date,
}

const NAMES: [&str; 2] = ["one", "two"];

impl Pair {
    /// A site whose calls are in the last six days, of which polls read one.
    async fn new(name: &str) -> Self {
        let midday = Midday::now();
        let site = Site::new(Options {
            calls: Some(300),
            days: 6,
            time_zone: midday.zone,
            ..Options::default()
        })
        .await;
        let port = tokio::task::block_in_place(|| crate::postgres::shared().port);
        let url = format!("postgres://callmeter@127.0.0.1:{port}/postgres");
        site.world.write("journal.url", &url);
        for name in NAMES.iter().chain(&["three"]) {
            std::fs::create_dir(site.world.path(name)).unwrap();
        }
        let schema = format!("whole_{name}_{}", std::process::id());
        Self {
            site,
            schema,
            today: midday.today,
        }
    }

    /// Writes the configuration of an instance; returns its file.
    fn configure(&self, instance: &str, accounts: &[&str], outputs: &str) -> std::path::PathBuf {
        let accounts = accounts.iter().map(|name| {
            self.site
                .suite(name)
                .calls("every: 1s, lookback: 1d, settle: 0s, page_size: 10")
                .yaml(&self.site.world, "simulated")
        });
        let accounts: String = accounts.collect();
        let schema = &self.schema;
        let outputs = if outputs.is_empty() {
            String::new()
        } else {
            format!("outputs:\n{outputs}")
        };
        let text = format!(
            "accounts:\n{accounts}journal:\n  keep: 3650d\n  postgres: {{ url_file: journal.url, schema: {schema}, directory: {instance} }}\n{outputs}"
        );
        self.site.world.write(&format!("{instance}.yml"), &text)
    }

    async fn start(&self, instance: &str) -> Exporter {
        let config = self.site.world.path(&format!("{instance}.yml"));
        let log = self.site.world.path(&format!("{instance}.log"));
        Exporter::start(&config, &log, Web::default()).await
    }

    fn csv(&self, name: &str, library: &Path) -> String {
        let directory = quoted(&self.site.world.path(name).display().to_string());
        output(
            name,
            library,
            "calls",
            &format!("{{ directory: {directory} }}"),
        )
    }

    /// The first and the last day that may have calls.
    fn days(&self) -> (Date, Date) {
        (self.today - 7.days(), self.today)
    }

    /// Asks for all days of an account, with the configuration of an instance.
    fn backfill(&self, instance: &str, account: &str) -> Command {
        let config = self.site.world.path(&format!("{instance}.yml"));
        let (first, last) = self.days();
        let mut command = Command::new(callmeter());
        command
            .arg("backfill")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--account={account}"))
            .arg(format!("--from={first}"))
            .arg(format!("--to={last}"));
        command
    }

    fn drop_schema(&self) {
        let port = crate::postgres::shared().port;
        let url = format!("postgres://callmeter@127.0.0.1:{port}/postgres");
        let mut client = ::postgres::Client::connect(&url, ::postgres::NoTls).unwrap();
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        client.batch_execute(&drop).unwrap();
    }
}

fn run(mut command: Command) -> Output {
    tokio::task::block_in_place(|| command.output().unwrap())
}

fn text(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    format!("{}{errors}", String::from_utf8_lossy(&output.stdout))
}

fn end(exporter: Exporter) {
    tokio::task::block_in_place(|| crate::site::end(exporter));
}

/// Whether an instance polls an account.
async fn polls(exporter: &Exporter, account: &str) -> bool {
    let label = format!("account=\"{account}\"");
    exporter.metrics().await.count("callmeter_up", &[&label]) > 0
}

async fn calls(exporter: &Exporter, account: &str) -> u64 {
    let label = format!("account=\"{account}\"");
    exporter.metrics().await.totals(&[&label]).calls
}

/// The index of the instance that polls an account.
async fn holder(exporters: &[Exporter; 2], account: &str) -> usize {
    let find = async || {
        let has = [
            polls(&exporters[0], account).await,
            polls(&exporters[1], account).await,
        ];
        match has {
            [true, false] => Some(0),
            [false, true] => Some(1),
            _ => None,
        }
    };
    callmeter_tests::until("polled by one", find, async || exporters[0].log()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn any_instance_backfills_any_account() {
    let pair = Pair::new("backfill").await;
    for instance in NAMES.iter().chain(&["three"]) {
        pair.configure(instance, &["acme", "beta"], "");
    }
    let exporters = [pair.start("one").await, pair.start("two").await];
    let of_acme = holder(&exporters, "acme").await;
    let other = 1 - of_acme;
    let truth = pair.site.truth().total.calls;
    assert!(calls(&exporters[other], "acme").await < truth);

    // Where no callmeter runs, the command says where to run it.
    let refused = run(pair.backfill("three", "acme"));
    let said = text(&refused);
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains("another callmeter polls account"), "{said}");

    // The instance that is asked gets the account from the other one.
    let done = run(pair.backfill(NAMES[other], "acme"));
    let said = text(&done);
    assert!(done.status.success(), "{said}\n{}", exporters[other].log());
    assert!(!said.contains(" 0 of them new"), "{said}");
    assert!(polls(&exporters[other], "acme").await);
    for exporter in &exporters {
        exporter
            .until("counted", async |exporter| {
                calls(exporter, "acme").await == truth
            })
            .await;
    }
    let again = run(pair.backfill(NAMES[of_acme], "acme"));
    let said = text(&again);
    assert!(again.status.success(), "{said}");
    assert!(
        said.contains(" 0 of them new") && said.contains("had been read before"),
        "{said}"
    );

    // An instance is killed while it reads; the other one goes on, and the same command follows it.
    let slow = Faults {
        latency: Some(Latency {
            ms: 150,
            ..Latency::default()
        }),
        ..Faults::default()
    };
    pair.site.simulator.set_faults(slow).unwrap();
    let of_beta = holder(&exporters, "beta").await;
    let killed = 1 - of_beta;
    let mut command = pair.backfill(NAMES[killed], "beta");
    let command = std::thread::spawn(move || command.output().unwrap());
    exporters[killed]
        .until("some are read", async |exporter| {
            let asked = exporter
                .log()
                .matches("past days of calls were asked for")
                .count();
            // Polls by themselves read two days of six.
            asked == 2 && calls(exporter, "beta").await > truth / 2
        })
        .await;
    let [one, two] = exporters;
    let (dead, left) = if killed == 0 { (one, two) } else { (two, one) };
    dead.into_process().kill(true);
    let ended = tokio::task::block_in_place(|| command.join().unwrap());
    let said = text(&ended);
    assert!(!ended.status.success(), "{said}");
    assert!(said.contains("the exporter has stopped"), "{said}");
    let done = run(pair.backfill(NAMES[1 - killed], "beta"));
    assert!(done.status.success(), "{}", text(&done));
    left.until("counted", async |exporter| {
        calls(exporter, "beta").await == truth && calls(exporter, "acme").await == truth
    })
    .await;
    end(left);
    tokio::task::block_in_place(|| pair.drop_schema());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_from_the_configurations_is_gone_everywhere() {
    let pair = Pair::new("removed").await;
    let csv = plugin("csv");
    let both = pair.csv("first", &csv) + &pair.csv("second", &csv);
    for instance in NAMES {
        pair.configure(instance, &["acme", "beta", "gamma"], &both);
    }
    let exporters = [pair.start("one").await, pair.start("two").await];
    for exporter in &exporters {
        exporter
            .until("all are counted", async |exporter| {
                let metrics = exporter.metrics().await;
                ["acme", "beta", "gamma"].iter().all(|account| {
                    let label = format!("account=\"{account}\"");
                    metrics.sum("callmeter_calls_total", &[&label]) > 0.0
                })
            })
            .await;
    }
    let runs = async |output: &str| {
        let label = format!("output=\"{output}\"");
        let mut count = 0;
        for exporter in &exporters {
            count += exporter
                .metrics()
                .await
                .count("callmeter_output_up", &[&label]);
        }
        count
    };
    callmeter_tests::until(
        "each output runs once",
        async || (runs("first").await == 1 && runs("second").await == 1).then_some(()),
        async || exporters[0].log() + &exporters[1].log(),
    )
    .await;
    let one = pair.csv("first", &csv);
    for (instance, exporter) in NAMES.iter().zip(&exporters) {
        pair.configure(instance, &["acme", "gamma"], &one);
        exporter.reload().await;
    }
    for exporter in &exporters {
        exporter
            .until("gone", async |exporter| {
                let metrics = exporter.metrics().await;
                let status = exporter.status().await.to_string();
                ["callmeter_calls_total", "callmeter_up"]
                    .iter()
                    .all(|family| metrics.count(family, &["account=\"beta\""]) == 0)
                    && metrics.with_label("output=\"second\"") == 0
                    && !status.contains("\"beta\"")
                    && !status.contains("\"second\"")
            })
            .await;
        assert!(calls(exporter, "acme").await > 0);
    }
    callmeter_tests::until(
        "the other output still runs once",
        async || (runs("first").await == 1).then_some(()),
        async || exporters[0].log() + &exporters[1].log(),
    )
    .await;
    let config = pair.site.world.path("one.yml");
    let stats = |wanted: &str| {
        let mut command = Command::new(callmeter());
        command
            .args(["journal", "stats"])
            .arg(format!("--config.file={}", config.display()));
        let said = text(&run(command));
        said.lines().filter(|line| line.starts_with(wanted)).count()
    };
    callmeter_tests::until(
        "the cursor of an output that nobody has is gone",
        async || (stats("first") == 1 && stats("second") == 0).then_some(()),
        async || exporters[0].log() + &exporters[1].log(),
    )
    .await;
    let [first, second] = exporters;
    end(first);
    end(second);
    tokio::task::block_in_place(|| pair.drop_schema());
}

/// An output that is removed from the configuration of the instance that runs it goes on at the
/// other one, from where it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_no_longer_has_goes_on_at_the_other() {
    let pair = Pair::new("goes_on").await;
    let csv = pair.csv("archive", &plugin("csv"));
    for instance in NAMES {
        pair.configure(instance, &["acme"], &csv);
    }
    let exporters = [pair.start("one").await, pair.start("two").await];
    let has_rows = async |rows: usize| {
        callmeter_tests::until(
            "delivered",
            async || (sequences(&pair.site.world.path("archive")).len() >= rows).then_some(()),
            async || exporters[0].log() + &exporters[1].log(),
        )
        .await;
    };
    let first = &exporters[0];
    first
        .until("counted", async |first| calls(first, "acme").await > 0)
        .await;
    has_rows(1).await;
    let runs = async |exporter: &Exporter| {
        let metrics = exporter.metrics().await;
        metrics.count("callmeter_output_up", &["output=\"archive\""]) > 0
    };
    // It may just move from one to the other.
    let loser = callmeter_tests::until(
        "run by one",
        async || match (runs(first).await, runs(&exporters[1]).await) {
            (true, false) => Some(0),
            (false, true) => Some(1),
            _ => None,
        },
        async || exporters[0].log() + &exporters[1].log(),
    )
    .await;
    pair.configure(NAMES[loser], &["acme", "beta"], "");
    exporters[loser].reload().await;
    pair.configure(NAMES[1 - loser], &["acme", "beta"], &csv);
    exporters[1 - loser].reload().await;
    let other = &exporters[1 - loser];
    other
        .until("both have the same calls", async |other| {
            let [acme, beta] = [calls(other, "acme").await, calls(other, "beta").await];
            acme > 0 && acme == beta
        })
        .await;
    let all = 2 * usize::try_from(calls(other, "acme").await).unwrap();
    has_rows(all).await;
    let mut found = sequences(&pair.site.world.path("archive"));
    assert_eq!(found.len(), all);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), all);
    let [first, second] = exporters;
    end(first);
    end(second);
    tokio::task::block_in_place(|| pair.drop_schema());
}

/// An output whose secret cannot be read when its lease comes is shown as down, keeps no other from
/// running, and starts as soon as the secret can be read.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_cannot_start_is_tried_again() {
    let pair = Pair::new("again").await;
    for instance in NAMES {
        let secret = pair
            .site
            .world
            .write(&format!("{instance}.secret"), "s3cret-s3cret");
        let secret = quoted(&secret.display().to_string());
        let settings = format!("{{ url: \"http://127.0.0.1:9/\", secret_file: {secret} }}");
        let hook = output("hook", &plugin("webhook"), "calls", &settings);
        let outputs = hook + &pair.csv("archive", &plugin("csv"));
        pair.configure(instance, &["acme"], &outputs);
    }
    let has = async |exporter: &Exporter, output: &str| {
        let metrics = exporter.metrics().await;
        let label = format!("output=\"{output}\"");
        metrics.count("callmeter_output_up", &[label.as_str()]) == 1
    };
    let reason = "cannot read secret";
    let waits = async |exporter: &Exporter| exporter.status().await.to_string().contains(reason);
    let runs = async |exporter: &Exporter| has(exporter, "hook").await && !waits(exporter).await;
    let exporters = [pair.start("one").await, pair.start("two").await];
    for exporter in &exporters {
        // Then the shares are even, and stay.
        exporter
            .until("it has a share", async |exporter| {
                let metrics = exporter.metrics().await;
                metrics.sum("callmeter_leases", &["held=\"here\""]) >= 1.0
                    && metrics.sum("callmeter_instances", &[]) == 2.0
            })
            .await;
    }
    callmeter_tests::until(
        "the output runs",
        async || (runs(&exporters[0]).await || runs(&exporters[1]).await).then_some(()),
        async || exporters[0].log() + &exporters[1].log(),
    )
    .await;
    let [mut runner, mut other] = exporters;
    let mut secret = "two.secret";
    if runs(&other).await {
        (runner, other) = (other, runner);
        secret = "one.secret";
    }
    std::fs::remove_file(pair.site.world.path(secret)).unwrap();
    end(runner);
    let failed = "outputs cannot be started; trying again";
    other
        .until("it fails, and the other one runs", async |other| {
            other.log().contains(failed)
                && has(other, "hook").await
                && waits(other).await
                && other
                    .metrics()
                    .await
                    .sum("callmeter_output_up", &["archive"])
                    == 1.0
        })
        .await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(other.log().matches(failed).count(), 1);
    pair.site.world.write(secret, "s3cret-s3cret");
    other
        .until("it runs", async |other| runs(other).await)
        .await;
    end(other);
    tokio::task::block_in_place(|| pair.drop_schema());
}

/// The place of each row in all CSV files, which may be written meanwhile.
fn sequences(directory: &Path) -> Vec<String> {
    let rows = csv_rows_so_far(directory, "").into_iter();
    rows.map(|mut row| row.remove("sequence").unwrap())
        .collect()
}

/// An instance that cannot use the library of an output, or has an old password, says so, and the
/// work goes on when that instance has stopped.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_cannot_do_is_shown() {
    let pair = Pair::new("plugin").await;
    let library = pair.site.world.write("libcsv.so", "damaged");
    let config = pair.configure("one", &["acme"], &pair.csv("archive", &library));
    let text = std::fs::read_to_string(&config).unwrap();
    let outdated = text.replace("acme.password", "outdated.password");
    assert_ne!(outdated, text);
    std::fs::write(&config, outdated).unwrap();
    pair.site.world.write("outdated.password", "outdated");
    pair.configure("two", &["acme"], &pair.csv("archive", &plugin("csv")));
    let one = pair.start("one").await;
    one.until("it is down", async |one| {
        let metrics = one.metrics().await;
        let label = "output=\"archive\"";
        metrics.count("callmeter_output_up", &[label]) == 1
            && metrics.sum("callmeter_output_up", &[label]) == 0.0
            && one.status().await.to_string().contains("libcsv.so")
            && metrics.count("callmeter_up", &["account=\"acme\""]) == 1
            && metrics.sum("callmeter_up", &["account=\"acme\""]) == 0.0
    })
    .await;
    let two = pair.start("two").await;
    end(one);
    two.until("delivered", async |two| {
        let metrics = two.metrics().await;
        metrics.sum("callmeter_output_up", &["output=\"archive\""]) == 1.0
            && metrics.sum("callmeter_up", &["account=\"acme\""]) == 1.0
            && metrics.sum("callmeter_output_records_delivered_total", &[]) > 0.0
    })
    .await;
    end(two);
    tokio::task::block_in_place(|| pair.drop_schema());
}
