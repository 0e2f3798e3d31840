//! Whatever happens to three instances with one journal, in a random order: no call is lost,
//! counted twice or written twice, and all instances show the same.
//!
//! `CALLMETER_INSTANCES_EVENTS` sets the number of events, `CALLMETER_INSTANCES_SEED` which they
//! are.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use callmeter_simulator::{Edits, Faults, Late, LedgerQuery, Options, Running, Simulator};
use callmeter_tests::{
    Exporter, PbxAccount, Process, SuiteAccount, Web, World, callmeter, csv_rows_so_far,
    differences, output, plugin, quoted,
};
use fastrand::Rng;
use jiff::{Timestamp, ToSpan as _};
use rustix::process::Signal;

use crate::cluster::{Cluster, Outage};
use crate::postgres_proxy::{Proxy, Way};
use crate::receiver::Receiver;
use crate::{charges, kills};

/// The events of a run of CI; `CALLMETER_INSTANCES_EVENTS` sets another number.
const EVENTS: u32 = 10;
/// The seed of a run of CI.
const SEED: u64 = 5;
/// Events between two times at which everything is compared.
const STRETCH: u32 = 20;
/// The most simulated seconds between two events: some eight calls.
const STEP: u32 = 1_000;
/// Accounts that stay, and those that come and go.
const ACCOUNTS: [&str; 3] = ["acme", "beta", "gamma"];
const EXTRA: [&str; 2] = ["delta", "epsilon"];

/// One of the instances.
struct Instance {
    name: String,
    config: PathBuf,
    proxy: Proxy,
    process: Option<Process>,
    starts: u32,
    suspended_until: Option<Instant>,
    silent_until: Option<Instant>,
}

struct Run {
    random: Rng,
    simulator: Running,
    receiver: Receiver,
    world: World,
    cluster: Cluster,
    instances: Vec<Instance>,
    /// The accounts of [`EXTRA`] that are configured.
    extra: Vec<&'static str>,
    faults: Faults,
    begun: Instant,
    trace: Trace,
}

/// What has happened; printed if the test fails.
#[derive(Default)]
struct Trace(Vec<String>);

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0.join("\n"));
        }
    }
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_instances_loses_and_doubles_nothing() {
    let events = from_environment("CALLMETER_INSTANCES_EVENTS").unwrap_or(EVENTS);
    let seed = from_environment("CALLMETER_INSTANCES_SEED").unwrap_or(SEED);
    let mut run = Run::start(seed, events).await;
    for event in 1..=events {
        run.event().await;
        if event % STRETCH == 0 {
            run.rest().await;
        }
    }
    run.extra = EXTRA.to_vec();
    run.configure();
    run.note("the end");
    run.rest().await;
    run.finish();
}

impl Run {
    async fn start(seed: u64, events: u32) -> Self {
        // The simulated clock moves only with the events, and stays behind the real one.
        let behind = i64::from(events + 4) * i64::from(STEP);
        let simulator = Simulator::start(Options {
            start: Some(Timestamp::now() - behind.seconds()),
            calls_per_day: Some(700),
            days: 1,
            rates: 48,
            ..Options::default()
        })
        .await
        .unwrap();
        simulator.freeze(true);
        let receiver = Receiver::start(|_| {
            // A slow response, so that instances end between a post and its acknowledgement.
            std::thread::sleep(Duration::from_millis(15));
            (StatusCode::NO_CONTENT, String::new())
        })
        .await;
        let world = World::new();
        let cluster = tokio::task::block_in_place(Cluster::start);
        let instances = ["one", "two", "three"].map(|name| {
            std::fs::create_dir(world.path(name)).unwrap();
            Instance {
                name: name.to_owned(),
                config: world.path(&format!("{name}.yml")),
                proxy: Proxy::new(cluster.port()),
                process: None,
                starts: 0,
                suspended_until: None,
                silent_until: None,
            }
        });
        let mut run = Self {
            random: Rng::with_seed(seed),
            simulator,
            receiver,
            world,
            cluster,
            instances: instances.into(),
            extra: Vec::new(),
            faults: Faults::default(),
            begun: Instant::now(),
            trace: Trace::default(),
        };
        run.note(&format!("{events} events, CALLMETER_INSTANCES_SEED={seed}"));
        run.configure();
        for index in 0..run.instances.len() {
            run.spawn(index);
        }
        run.rest().await;
        run
    }

    fn note(&mut self, what: &str) {
        let line = format!("{:7.1} s: {what}", self.begun.elapsed().as_secs_f64());
        println!("{line}");
        self.trace.0.push(line);
    }

    /// Writes the configuration of each instance: they differ in how the server is reached.
    fn configure(&self) {
        let suites = ACCOUNTS.iter().chain(&self.extra);
        let suites = suites.map(|name| {
            SuiteAccount::of(name, &self.simulator)
                .calls("every: 1s, lookback: 5d, settle: 0s, page_size: 500")
                .yaml(&self.world, "simulated")
        });
        let suites: String = suites.collect();
        let pbx = PbxAccount::of("hq", &self.simulator).yaml(&self.world, "simulated");
        let outputs = [
            output(
                "archive",
                &plugin("csv"),
                "calls",
                &self.csv("csv", ", max_bytes: 40KiB"),
            ),
            output("bills", &plugin("csv"), "charges", &self.csv("bills", "")),
            output(
                "crm",
                &plugin("webhook"),
                "calls",
                &format!("{{ url: \"{}\", batch: 5 }}", self.receiver.url()),
            ),
        ];
        let outputs = outputs.concat();
        let charges = "charges:\n  - { name: spend, account: acme, deck: hq, numbers: { country_code: \"1\" } }\n";
        for Instance {
            name,
            config,
            proxy,
            ..
        } in &self.instances
        {
            let url = format!("postgres://callmeter@127.0.0.1:{}/postgres", proxy.port);
            self.world.write(&format!("{name}.url"), &url);
            let journal =
                format!("{{ url_file: {name}.url, directory: {name}, schema: callmeter }}");
            let text = format!(
                "accounts:\n{suites}{pbx}{charges}journal:\n  keep: 3650d\n  postgres: {journal}\noutputs:\n{outputs}"
            );
            std::fs::write(config, text).unwrap();
        }
    }

    fn csv(&self, directory: &str, more: &str) -> String {
        let directory = quoted(&self.world.path(directory).display().to_string());
        format!("{{ directory: {directory}, rotate: never{more} }}")
    }

    fn spawn(&mut self, index: usize) {
        let instance = &mut self.instances[index];
        instance.starts += 1;
        let log = format!("{}-{}.log", instance.name, instance.starts);
        let log = self.world.path(&log);
        instance.process = Some(Exporter::spawn(&instance.config, &log, &Web::default()));
    }

    /// Lets suspended instances and connections go on whose time is over, or all of them.
    fn resume(&mut self, all: bool) {
        let is_over = |until: Option<Instant>| until.is_some_and(|at| all || at <= Instant::now());
        for instance in &mut self.instances {
            if is_over(instance.suspended_until) {
                instance.suspended_until = None;
                if let Some(process) = &instance.process {
                    process.signal(Signal::CONT);
                }
            }
            if is_over(instance.silent_until) {
                instance.silent_until = None;
                instance.proxy.silence(false);
            }
            if all {
                // Also forgets after how many bytes to cut.
                instance.proxy.cut();
            }
        }
    }

    /// Whether an instance runs. One that found no server at its start has ended.
    fn runs(&mut self, index: usize) -> bool {
        let process = &mut self.instances[index].process;
        if process
            .as_mut()
            .is_some_and(|process| process.ended().is_some())
        {
            *process = None;
        }
        process.is_some()
    }

    async fn event(&mut self) {
        self.resume(false);
        for index in 0..self.instances.len() {
            if !self.runs(index) && self.random.bool() {
                self.note(&format!("{} starts", self.instances[index].name));
                self.spawn(index);
            }
        }
        self.simulator.advance(self.random.u32(1..STEP)).unwrap();
        let index = self.random.usize(..self.instances.len());
        match self.random.u32(..24) {
            0..5 => self.kill(index),
            5..8 => self.stop(index),
            8..10 => self.suspend(index),
            10..12 => self.silence(index),
            12..16 => self.cut(index),
            16 => {
                self.note("the server ends all connections");
                tokio::task::block_in_place(|| self.cluster.end_connections());
            }
            17..19 => self.interrupt_server().await,
            19 => self.promote(),
            20..23 => self.reload(),
            _ => self.change_faults(),
        }
        let pause = self.random.u64(..1_500);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    fn kill(&mut self, index: usize) {
        let children = self.random.bool();
        let instance = &mut self.instances[index];
        instance.suspended_until = None;
        let what = format!("kill {}, with its children: {children}", instance.name);
        if let Some(process) = instance.process.take() {
            process.kill(children);
        }
        self.note(&what);
    }

    fn stop(&mut self, index: usize) {
        if !self.runs(index) {
            return;
        }
        let name = self.instances[index].name.clone();
        self.note(&format!("stop {name}"));
        let instance = &mut self.instances[index];
        if let Some(process) = instance.process.take() {
            if instance.suspended_until.take().is_some() {
                process.signal(Signal::CONT);
            }
            let is_open = process.log().contains("totals restored");
            let status = tokio::task::block_in_place(|| process.terminate());
            // Without a server it may end by itself; before it listens for signals, it is killed.
            assert!(status.success() || !is_open, "{name}: {status}");
        }
        self.note(&format!("{name} has stopped"));
    }

    fn suspend(&mut self, index: usize) {
        if !self.runs(index) {
            return;
        }
        let seconds = self.random.u64(1..14);
        let instance = &mut self.instances[index];
        instance.suspended_until = Some(Instant::now() + Duration::from_secs(seconds));
        if let Some(process) = &instance.process {
            process.signal(Signal::STOP);
        }
        let what = format!("suspend {} for {seconds} s", instance.name);
        self.note(&what);
    }

    fn silence(&mut self, index: usize) {
        let after_commit = self.random.bool();
        let seconds = self.random.u64(1..14);
        let instance = &mut self.instances[index];
        instance.silent_until = Some(Instant::now() + Duration::from_secs(seconds));
        if after_commit {
            instance.proxy.silence_after_commit();
        } else {
            instance.proxy.silence(true);
        }
        let what = format!(
            "{} hears nothing of the server for {seconds} s, from a commit on: {after_commit}",
            instance.name
        );
        self.note(&what);
    }

    fn cut(&mut self, index: usize) {
        let bytes = self.random.u64(..30_000);
        let way = if self.random.bool() {
            Way::Up
        } else {
            Way::Down
        };
        let instance = &self.instances[index];
        instance.proxy.cut_after(way, bytes);
        let what = format!(
            "cut the connections of {} after {bytes} bytes {way:?}",
            instance.name
        );
        self.note(&what);
    }

    /// The server stops, crashes or is suspended for some seconds. An instance may be told to stop
    /// meanwhile.
    async fn interrupt_server(&mut self) {
        let how = [Outage::Stop, Outage::Crash, Outage::Suspension][self.random.usize(..3)];
        let pause = self.random.u64(..8_000);
        self.note(&format!("the server is away for {pause} ms: {how:?}"));
        tokio::task::block_in_place(|| self.cluster.interrupt(how));
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if self.random.u32(..3) == 0 {
            let index = self.random.usize(..self.instances.len());
            self.stop(index);
        }
        tokio::task::block_in_place(|| self.cluster.go_on(how));
        self.note("the server runs again");
    }

    fn promote(&mut self) {
        self.note("the server is lost, and its standby takes over");
        let proxies: Vec<&Proxy> = self.instances.iter().map(|one| &one.proxy).collect();
        tokio::task::block_in_place(|| {
            self.cluster.promote(|port| {
                for proxy in &proxies {
                    proxy.lead_to(port);
                }
            });
        });
        self.note("it has a standby of its own");
    }

    /// Adds, removes or renames an account, and tells the instances that run.
    fn reload(&mut self) {
        let choices: [&[&'static str]; 4] = [&[], &EXTRA[..1], &EXTRA[1..], &EXTRA];
        self.extra = choices[self.random.usize(..4)].to_vec();
        self.note(&format!("the extra accounts are {:?}", self.extra));
        self.configure();
        for index in 0..self.instances.len() {
            if self.runs(index)
                && let Some(process) = &self.instances[index].process
            {
                // Before it listens for signals, this ends it.
                process.signal(Signal::HUP);
            }
        }
    }

    fn change_faults(&mut self) {
        let (edits, late) = (self.random.bool(), self.random.bool());
        self.faults = Faults {
            edits: edits.then_some(Edits {
                rate: 0.5,
                seed: 7,
                within_seconds: 3_000,
            }),
            late: late.then_some(Late {
                rate: 0.3,
                seed: 8,
                within_seconds: 3_000,
            }),
            ..Faults::default()
        };
        self.simulator.set_faults(self.faults.clone()).unwrap();
        self.note(&format!("edits: {edits}, late rows: {late}"));
    }

    /// Lets all instances run undisturbed until they show the truth, all the same.
    async fn rest(&mut self) {
        self.resume(true);
        self.note("rest");
        let mut exporters = Vec::new();
        for index in 0..self.instances.len() {
            exporters.push(self.adopt(index).await);
        }
        for exporter in &exporters {
            exporter
                .until("reloaded", async |exporter| {
                    exporter.try_reload().await.status == 200
                })
                .await;
        }
        let truth = self.simulator.ledger(&LedgerQuery::default());
        let mut expected = charges::Expected::new();
        charges::take_in(&mut expected, &self.simulator);
        let accounts: Vec<&str> = ACCOUNTS.iter().chain(&self.extra).copied().collect();
        for exporter in &exporters {
            let different = async || {
                let metrics = exporter.metrics().await;
                let mut found = charges::differences(exporter, &expected).await;
                for account in &accounts {
                    found.extend(differences(&metrics, account, &truth));
                }
                for account in EXTRA.iter().filter(|name| !accounts.contains(name)) {
                    let label = format!("account=\"{account}\"");
                    if metrics.count("callmeter_calls_total", &[&label]) > 0 {
                        found.push(format!("{account} is shown"));
                    }
                }
                found
            };
            wait_for("true", exporter, different).await;
        }
        let waiting = async || {
            let mut outputs = 0;
            let mut lags = Vec::new();
            for exporter in &exporters {
                let metrics = exporter.metrics().await;
                let lag = "callmeter_output_lag_records";
                outputs += metrics.count(lag, &[]);
                let behind = metrics.of(lag, &[]).filter(|(_, lag)| *lag > 0.0);
                lags.extend(behind.map(|(output, lag)| format!("{output} {lag}")));
            }
            if outputs < 3 {
                lags.push(format!("only {outputs} outputs run"));
            }
            let journaled = tokio::task::block_in_place(|| self.cluster.calls_journaled());
            let written = csv_rows_so_far(&self.world.path("csv"), "").len();
            let posted = posted(&self.receiver).len();
            if written < journaled || posted < journaled {
                lags.push(format!(
                    "{written} written and {posted} posted of {journaled}"
                ));
            }
            lags
        };
        wait_for("delivered", &exporters[0], waiting).await;
        let first = counted(&exporters[0]).await;
        for exporter in &exporters[1..] {
            let other = counted(exporter).await;
            let differ: Vec<_> = first.symmetric_difference(&other).collect();
            assert!(differ.is_empty(), "{differ:#?}");
        }
        self.check_outputs(&accounts, &truth.ids);
        for (instance, exporter) in self.instances.iter_mut().zip(exporters) {
            instance.process = Some(exporter.into_process());
        }
        self.note(&format!(
            "{} calls of each account, as they should be",
            truth.total.calls
        ));
    }

    /// A running instance that has opened the journal.
    async fn adopt(&mut self, index: usize) -> Exporter {
        let begun = Instant::now();
        loop {
            if !self.runs(index) {
                self.spawn(index);
            }
            let process = self.instances[index].process.as_ref();
            let log = process.map(Process::log).unwrap_or_default();
            if log.contains("totals restored") {
                break;
            }
            assert!(begun.elapsed() < callmeter_tests::PATIENCE, "{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let process = self.instances[index].process.take().unwrap();
        Exporter::adopt(process, Web::default()).await
    }

    /// Checks what the outputs have got.
    fn check_outputs(&self, accounts: &[&str], ids: &[String]) {
        let written = kills::rows(&self.world.path("csv"));
        let posted = posted(&self.receiver);
        let places: BTreeMap<&kills::Place, &String> =
            written.iter().map(|(place, id)| (place, id)).collect();
        assert_eq!(places.len(), written.len(), "rows are written twice");
        let sequences: BTreeSet<u64> = places
            .keys()
            .map(|(_, at, _)| at.parse().unwrap())
            .collect();
        assert_eq!(sequences.len(), written.len(), "rows share a place");
        let all: BTreeSet<u64> = (1..=written.len() as u64).collect();
        assert_eq!(sequences, all, "rows are missing");
        for account in accounts {
            let of_account = places.iter().filter(|((name, ..), _)| name == account);
            let mut revisions: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
            for ((.., revision), id) in of_account {
                let known = revisions.entry(id.as_str()).or_default();
                assert!(
                    known.insert(revision.parse().unwrap()),
                    "{account} {id} {revision}"
                );
            }
            let found: BTreeSet<&str> = revisions.keys().copied().collect();
            assert_eq!(found, ids.iter().map(String::as_str).collect(), "{account}");
            for (id, known) in revisions {
                assert_eq!(known, (0..known.len() as u64).collect(), "{account} {id}");
            }
        }
        assert_eq!(posted, sequences, "sequences at the receiver");
    }

    /// Stops all instances; the journal is sound, and the charges are the ledger's.
    fn finish(mut self) {
        for index in 0..self.instances.len() {
            self.stop(index);
        }
        let mut expected = charges::Expected::new();
        charges::take_in(&mut expected, &self.simulator);
        let bills = charges::from_csv(&self.world.path("bills"));
        let truth = charges::sums_of_calls(&expected);
        let rows = |charges: &BTreeMap<(String, String), i64>| -> BTreeSet<String> {
            charges.iter().map(|charge| format!("{charge:?}")).collect()
        };
        let (bills, truth) = (rows(&bills), rows(&truth));
        let differ: Vec<_> = bills.symmetric_difference(&truth).collect();
        assert!(differ.is_empty(), "charges in the CSV files: {differ:#?}");
        let verified = std::process::Command::new(callmeter())
            .args(["journal", "verify"])
            .arg(format!(
                "--config.file={}",
                self.instances[0].config.display()
            ))
            .output()
            .unwrap();
        assert!(verified.status.success(), "{verified:?}");
        let posts = self.receiver.posts().len();
        self.note(&format!("{posts} posts; all is well"));
    }
}

/// Waits until nothing is found that is not as it should be, and checks the log of an instance.
async fn wait_for(what: &str, exporter: &Exporter, mut found: impl AsyncFnMut() -> Vec<String>) {
    let last = RefCell::new(Vec::new());
    let is_done = async || {
        let now = found().await;
        let is_done = now.is_empty();
        last.replace(now);
        is_done.then_some(())
    };
    let otherwise = async || {
        let status = exporter.get("/api/v1/status").await.text();
        format!("{:#?}\n{status}\n{}", last.borrow(), exporter.log())
    };
    callmeter_tests::until(what, is_done, otherwise).await;
    let log = exporter.log();
    for word in ["panicked", "damaged", "does not match its checksum"] {
        assert!(!log.contains(word), "{log}");
    }
}

/// The lines of `/metrics` that are counted from the journal.
async fn counted(exporter: &Exporter) -> BTreeSet<String> {
    let text = exporter.get("/metrics").await.text();
    let is_counted = |line: &&str| {
        let of_calls = line.starts_with("callmeter_call_") && line.contains("_seconds");
        let words = [
            "callmeter_calls_total",
            "callmeter_calls_unanswered_total",
            "callmeter_calls_abandoned_total",
            "callmeter_calls_flagged_total",
            "callmeter_call_corrections",
            "callmeter_client_",
            "callmeter_charge",
        ];
        of_calls || words.iter().any(|word| line.starts_with(word))
    };
    text.lines().filter(is_counted).map(str::to_owned).collect()
}

/// The places of the records that were posted. A repeated post has the same id and content, and no
/// record was posted under two ids.
fn posted(receiver: &Receiver) -> BTreeSet<u64> {
    let posts = receiver.posts();
    let mut bodies: BTreeMap<&str, &str> = BTreeMap::new();
    let mut seen: BTreeMap<u64, &str> = BTreeMap::new();
    for post in posts.iter() {
        let key = post.headers["webhook-id"].as_str();
        let before = bodies.insert(key, &post.body);
        assert!(
            before.is_none_or(|before| before == post.body),
            "two contents under {key}"
        );
        let body: serde_json::Value = serde_json::from_str(&post.body).unwrap();
        for record in body["data"].as_array().unwrap() {
            let place = record["sequence"].as_u64().unwrap();
            let before = seen.insert(place, key);
            assert!(
                before.is_none_or(|before| before == key),
                "{place} has two ids"
            );
        }
    }
    seen.into_keys().collect()
}
